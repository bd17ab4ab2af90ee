"""What the API needs of the parts that it does not import: which gateways are linked, and a reload of the config."""

from datetime import datetime
from typing import Protocol

from broker.domain.timed_override import TimedOverride
from broker.operations import Actor


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

    def read_last(self) -> tuple[str, datetime]:
        """The name of the file that is in force, without its directory and empty if there is none, and since when."""
        ...

    async def reload(self, actor: str = "") -> Reloaded:
        """Puts it in force; `actor` is who asked."""
        ...

    async def preview(self) -> Reloaded:
        """Says what that would change."""
        ...


class Changed(Protocol):
    """What a key of a pool was and is."""

    @property
    def pool(self) -> str:
        """Whose key it is."""
        ...

    @property
    def key(self) -> str:
        """Such as `limits.agents`."""
        ...

    @property
    def before(self) -> str | None:
        """As a file writes it; None is not said."""
        ...

    @property
    def after(self) -> str | None:
        """As a file writes it; None is not said."""
        ...

    @property
    def until(self) -> datetime | None:
        """Until when; None: it is the config's again."""
        ...


class Timed(Protocol):
    """What operators set over the config for a time. Both raise `NotFound`, and `ConfigError` for a bad value."""

    def shown(self) -> tuple[TimedOverride, ...]:
        """What is set now."""
        ...

    async def set(self, override: TimedOverride, actor: Actor) -> Changed:
        """Sets a key for a time."""
        ...

    async def unset(self, pool: str, key: str, actor: Actor) -> Changed:
        """Ends what was set."""
        ...
