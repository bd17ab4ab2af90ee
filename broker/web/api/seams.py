"""What the API needs of the parts that it does not import: which gateways are linked, and a reload of the config."""

from typing import Protocol


class Linked(Protocol):
    """A gateway whose link is up."""

    @property
    def id(self) -> str:
        """The gateway's own id."""
        ...

    @property
    def pid(self) -> int:
        """Its process, on its machine."""
        ...

    @property
    def version(self) -> str:
        """What it runs."""
        ...

    @property
    def listen(self) -> str:
        """Where agents connect."""
        ...

    @property
    def generation(self) -> int:
        """Which one of its supervisor's; 0 without one."""
        ...

    @property
    def accepting(self) -> bool:
        """Whether it takes new sessions."""
        ...


class Reloaded(Protocol):
    """What a reload has changed, or would change."""

    @property
    def changed(self) -> tuple[str, ...]:
        """The changes, a line each."""
        ...

    @property
    def needs_restart(self) -> tuple[str, ...]:
        """Those that wait for a restart."""
        ...

    @property
    def revision(self) -> str:
        """Of the config that is in force after it."""
        ...

    @property
    def policies(self) -> tuple[str, ...]:
        """The policies that are touched."""
        ...

    @property
    def agents(self) -> int:
        """Living agents that are touched."""
        ...

    @property
    def ending(self) -> int:
        """Those of them that end after their builds."""
        ...

    def lines(self) -> list[str]:
        """All of it for people."""
        ...


class Reloads(Protocol):
    """Reads the config anew. The last two raise `ConfigError` with the diagnostics; then nothing has changed."""

    def shown(self) -> dict[str, object]:
        """All that the config in force says, defaults included, with secrets masked."""
        ...

    async def reload(self, actor: str = "") -> Reloaded:
        """Puts it in force; `actor` is who asked."""
        ...

    async def preview(self) -> Reloaded:
        """Says what that would change."""
        ...
