"""Whose a task is: tags, a signature over them that only this broker's key can make, and `startedBy` (design D8)."""

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from broker.domain.ids import AgentId, BackendName
from broker.domain.instance import LaunchKey
from broker.ports import LaunchSpec

PREFIX: Final = "agentbroker:"
INSTALLATION: Final = "agentbroker:installation"
BACKEND: Final = "agentbroker:backend"
AGENT_ID: Final = "agentbroker:agent-id"
ATTEMPT: Final = "agentbroker:attempt"
LAUNCH: Final = "agentbroker:launch"
"""Names the launch token without giving it away."""
SIGNATURE: Final = "agentbroker:signature"

_MOST_TAGS: Final = 50
_LONGEST_KEY: Final = 128
_LONGEST_VALUE: Final = 256
_LONGEST_STARTER: Final = 128
_LONGEST_TOKEN: Final = 64
_NOT_IN_TAGS: Final = re.compile(r"[^\w .:/=+@-]")
"""Letters and numbers of any language, spaces and these are allowed (API reference, Tag)."""
_NOT_IN_STARTER: Final = re.compile(r"[^A-Za-z0-9_/-]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """What the tags of one of our tasks say."""

    agent_id: AgentId
    attempt: int
    launch: str


NOBODY: Final = Owned(agent_id=AgentId(""), attempt=0, launch="")


class Ownership:
    """Marks tasks as ours and tells them from others, copied tags among them."""

    def __init__(self, backend: BackendName, installation: str, sign: Callable[[str], str]) -> None:
        """`sign` gives the same text the same signature, and nobody else can."""
        self._backend = backend
        self._installation = installation
        self._sign = sign
        self.started_by = _NOT_IN_STARTER.sub("-", f"agentbroker/{installation}")[:_LONGEST_STARTER]
        """What all tasks of this installation carry as `startedBy`, by which they are listed."""

    def launch_id(self, key: LaunchKey) -> str:
        """The same for the same launch, and for no other of any broker."""
        text = f"{self._installation}\n{self._backend}\n{key.agent_id}\n{key.attempt}\n{key.token}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def client_token(self, key: LaunchKey) -> str:
        """The key's own token, or a hash of one that the API would not take."""
        token = str(key.token)
        fits = len(token) <= _LONGEST_TOKEN and token.isascii() and token.isprintable()
        return token if fits else hashlib.sha256(token.encode()).hexdigest()

    def tags(self, spec: LaunchSpec, family: str) -> list[dict[str, str]]:
        """What a task of this launch carries: our marks, what people look for, then the template's own."""
        key, launch = spec.key, self.launch_id(spec.key)
        marks = {
            INSTALLATION: self._installation,
            BACKEND: self._backend,
            AGENT_ID: key.agent_id,
            ATTEMPT: str(key.attempt),
            LAUNCH: launch,
            SIGNATURE: self._signature(key.agent_id, str(key.attempt), launch, family),
        }
        told = {
            "agent": spec.name,
            "controller": spec.controller,
            "policy": spec.policy,
            "pool": spec.pool.name,
            "template": spec.template.name,
            "job": spec.job,
            "build": spec.build_url,
        }
        marks |= {PREFIX + name: clean(value) for name, value in told.items() if value}
        own = {clean(name)[:_LONGEST_KEY]: clean(value) for name, value in spec.template.tags.items()}
        own = {name: value for name, value in own.items() if _is_free(name)}
        tags = marks | dict(list(own.items())[: _MOST_TAGS - len(marks)])
        return [{"key": name, "value": value} for name, value in tags.items()]

    def owner(self, key: LaunchKey) -> Owned:
        """What the tags of a task of this launch say."""
        return Owned(agent_id=key.agent_id, attempt=key.attempt, launch=self.launch_id(key))

    def of(self, task: Mapping[str, Any]) -> Owned | None:
        """Whose a task is, told with its tags; None if it is not ours, whatever they say."""
        tags = {str(tag.get("key")): str(tag.get("value", "")) for tag in task.get("tags") or ()}
        agent_id, attempt, launch = tags.get(AGENT_ID, ""), tags.get(ATTEMPT, ""), tags.get(LAUNCH, "")
        signature = self._signature(agent_id, attempt, launch, family_of(task))
        signed = hmac.compare_digest(tags.get(SIGNATURE, "").encode(), signature.encode())
        ours = tags.get(INSTALLATION) == self._installation and task.get("startedBy") == self.started_by
        if not (signed and ours) or not attempt.isdecimal():
            return None
        return Owned(agent_id=AgentId(agent_id), attempt=int(attempt), launch=launch)

    def of_recorded(self, task: Mapping[str, Any]) -> Owned | None:
        """As `of`, for a task whose ARN the broker has on record: others may have changed its tags, and StopTask
        deletes them, but who started it stands; then it is ours, and of nobody known.
        """
        owned = self.of(task)
        if owned is None and task.get("startedBy") == self.started_by:
            return NOBODY
        return owned

    def _signature(self, agent_id: str, attempt: str, launch: str, family: str) -> str:
        signed = (self._installation, self._backend, agent_id, attempt, launch, self.started_by, family)
        return self._sign("\n".join(("aws-ecs", *signed)))


def family_of(task: Mapping[str, Any]) -> str:
    """The family of a task's definition."""
    return family_of_arn(str(task.get("taskDefinitionArn", "")))


def family_of_arn(arn: str) -> str:
    """`agentbroker-java` of `arn:…:task-definition/agentbroker-java:7`."""
    return arn.rpartition("/")[2].partition(":")[0]


def clean(value: str) -> str:
    """As a tag may have it: what is not allowed is an underscore, what is too long is cut."""
    return _NOT_IN_TAGS.sub("_", value)[:_LONGEST_VALUE].strip()


def _is_free(name: str) -> bool:
    """Whether a user's tag may be called so: neither as ours nor as the vendor's."""
    return bool(name) and not name.lower().startswith((PREFIX, "aws:"))
