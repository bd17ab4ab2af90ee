"""Whose a container is: labels, and a signature over them that only this broker's key can make (design D8)."""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from broker.domain.ids import AgentId, AgentName, InstanceRef
from broker.domain.instance import LaunchKey

MANAGED_BY: Final = "managed-by"
INSTALLATION: Final = "agentbroker.installation"
AGENT_ID: Final = "agentbroker.agent-id"
ATTEMPT: Final = "agentbroker.attempt"
LAUNCH: Final = "agentbroker.launch"
"""Names the launch token without giving it away."""
SIGNATURE: Final = "agentbroker.signature"


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """What the labels of one of our containers say."""

    agent_id: AgentId
    attempt: int


class Ownership:
    """Marks containers as ours and tells them from others, copied labels among them."""

    def __init__(self, installation: str, sign: Callable[[str], str]) -> None:
        """`sign` gives the same text the same signature, and nobody else can."""
        self._installation = installation
        self._sign = sign

    @property
    def filter(self) -> str:
        """The engine's filter for what may be ours."""
        return f"{INSTALLATION}={self._installation}"

    def launch_id(self, key: LaunchKey) -> str:
        """The same for the same launch, and for no other of any broker."""
        text = f"{self._installation}\n{key.agent_id}\n{key.attempt}\n{key.token}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def name(self, key: LaunchKey, agent: AgentName) -> InstanceRef:
        """The container's name: a person's half, and one that makes it the launch's alone."""
        return InstanceRef(f"{agent}-{key.attempt}-{self.launch_id(key)}")

    def labels(self, key: LaunchKey, name: InstanceRef) -> dict[str, str]:
        """What a container of this launch carries."""
        return {
            MANAGED_BY: "agentbroker",
            INSTALLATION: self._installation,
            AGENT_ID: key.agent_id,
            ATTEMPT: str(key.attempt),
            LAUNCH: self.launch_id(key),
            SIGNATURE: self._signature(key.agent_id, str(key.attempt), name),
        }

    def of(self, name: str, labels: Mapping[str, str]) -> Owned | None:
        """Whose it is; None if it is not ours, whatever its labels say."""
        agent_id, attempt = labels.get(AGENT_ID, ""), labels.get(ATTEMPT, "")
        signed = hmac.compare_digest(
            labels.get(SIGNATURE, "").encode(), self._signature(agent_id, attempt, name).encode()
        )
        if not signed or labels.get(INSTALLATION) != self._installation or not attempt.isdecimal():
            return None
        return Owned(agent_id=AgentId(agent_id), attempt=int(attempt))

    def _signature(self, agent_id: str, attempt: str, name: str) -> str:
        return self._sign(f"container\n{self._installation}\n{agent_id}\n{attempt}\n{name}")
