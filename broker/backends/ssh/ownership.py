"""Whose an agent on a host is: marks beside it, and a signature over them that only this broker's key can make."""

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from broker.domain.ids import AgentId, AgentName, HostId, InstanceRef
from broker.domain.instance import LaunchKey

MANAGED_BY: Final = "managed-by"
INSTALLATION: Final = "agentbroker.installation"
AGENT_ID: Final = "agentbroker.agent-id"
ATTEMPT: Final = "agentbroker.attempt"
LAUNCH: Final = "agentbroker.launch"
"""Names the launch token without giving it away."""
SIGNATURE: Final = "agentbroker.signature"
_NAME: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z-]{0,80}-[0-9]{1,9}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """What the marks of one of our agents say."""

    agent_id: AgentId
    attempt: int


class Ownership:
    """Marks agents as ours and tells them from others, copied marks among them."""

    def __init__(self, installation: str, sign: Callable[[str], str]) -> None:
        """`sign` gives the same text the same signature, and nobody else can."""
        self._installation = installation
        self._sign = sign

    @property
    def installation(self) -> str:
        """The id that marks what is ours."""
        return self._installation

    @property
    def folder(self) -> str:
        """The name of our directory on a host: another broker has another."""
        return hashlib.sha256(f"ssh\n{self._installation}".encode()).hexdigest()[:16]

    def launch_id(self, key: LaunchKey) -> str:
        """The same for the same launch, and for no other of any broker."""
        text = f"{self._installation}\n{key.agent_id}\n{key.attempt}\n{key.token}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def marks(self, key: LaunchKey, name: str, host: str) -> dict[str, str]:
        """What an agent of this launch carries, as labels of a container or lines of a file."""
        return {
            MANAGED_BY: "agentbroker",
            INSTALLATION: self._installation,
            AGENT_ID: key.agent_id,
            ATTEMPT: str(key.attempt),
            LAUNCH: self.launch_id(key),
            SIGNATURE: self._signature(key.agent_id, str(key.attempt), name, host),
        }

    def of(self, name: str, host: str, marks: Mapping[str, str]) -> Owned | None:
        """Whose it is; None if it is not ours, whatever its marks say."""
        agent_id, attempt = marks.get(AGENT_ID, ""), marks.get(ATTEMPT, "")
        made = self._signature(agent_id, attempt, name, host)
        signed = hmac.compare_digest(marks.get(SIGNATURE, "").encode(), made.encode())
        if not signed or marks.get(INSTALLATION) != self._installation or not attempt.isdecimal():
            return None
        return Owned(agent_id=AgentId(agent_id), attempt=int(attempt))

    def _signature(self, agent_id: str, attempt: str, name: str, host: str) -> str:
        return self._sign(f"ssh\n{self._installation}\n{host}\n{agent_id}\n{attempt}\n{name}")


def name_of(key: LaunchKey, agent: AgentName) -> str:
    """What an attempt is called on its host: a directory's name, or a container's first part."""
    return f"{agent}-{key.attempt}"


def is_name(text: str) -> bool:
    """Whether an attempt may be called so."""
    return _NAME.fullmatch(text) is not None


def ref_of(host: str, name: str) -> InstanceRef:
    """The instance of that name on that host."""
    return InstanceRef(f"{host}/{name}")


def parse_ref(ref: str) -> tuple[HostId, str] | None:
    """Host and name; None for a reference that is none of ours."""
    host, _, name = ref.partition("/")
    return (HostId(host), name) if host and is_name(name) else None


def attempt_of(name: str) -> int:
    """The number at its end; 0 where there is none."""
    number = name.rpartition("-")[2]
    return int(number) if number.isdecimal() else 0
