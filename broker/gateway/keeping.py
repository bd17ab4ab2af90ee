"""What the control plane's end of the link keeps over restarts, wherever that is."""

from dataclasses import dataclass, field
from typing import Protocol

from broker.domain.ids import AgentId


class Memory(Protocol):
    """Keeps one text over restarts of the control plane. Raises `StoreError`."""

    async def recall(self) -> str | None:
        """What was remembered last; None if nothing ever was."""
        ...

    async def remember(self, text: str) -> None:
        """Takes the place of what was remembered before."""
        ...


class Nothing:
    """A `Memory` that forgets at once."""

    async def recall(self) -> str | None:
        """Nothing."""
        return None

    async def remember(self, text: str) -> None:
        """Is forgotten."""


class Cookies(Protocol):
    """The cookies that controllers gave the last connections of agents. Raises `StoreError`."""

    async def keep(self, agent_id: AgentId, cookie: str) -> None:
        """Takes the place of the agent's former one."""
        ...

    async def kept(self, agent_id: AgentId) -> str:
        """The agent's last one; empty if there is none."""
        ...


class NoCookies:
    """`Cookies` that are forgotten at once."""

    async def keep(self, agent_id: AgentId, cookie: str) -> None:
        """Is forgotten."""

    async def kept(self, agent_id: AgentId) -> str:
        """None."""
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """All of it; by default nothing is kept."""

    gateways: Memory = field(default_factory=Nothing)
    cookies: Cookies = field(default_factory=NoCookies)
