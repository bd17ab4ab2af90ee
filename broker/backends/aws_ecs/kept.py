"""Which definitions are known to be registered, by the hash of their content: in the process, and in the store."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from broker.errors import StoreUnavailable, Throttled
from broker.ports import Clock, Memory
from broker.telemetry import events

_USED_AGAIN: Final = timedelta(hours=1)
"""A later use is written down at most so often."""
_MOST: Final = 2000
"""More are not kept: those that were used longest ago go first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A registered definition; `used` is when a launch last chose it, give or take an hour.

    `ours` says that this backend has registered it, so that it may deregister it.
    """

    arn: str
    ours: bool
    used: datetime


class KeptDefinitions:
    """By content hash. What cannot be written down is still known until the process ends, and written with the next."""

    def __init__(self, memory: Memory, clock: Clock, backend: str, place: str) -> None:
        """Nothing is read yet. What was kept of another `place` (account and region) is not known in this one."""
        self._memory = memory
        self._clock = clock
        self._backend = backend
        self._place = place
        self._known: dict[str, Kept] | None = None

    async def known(self) -> Mapping[str, Kept]:
        """All of them. Throttled if the store cannot be read the first time."""
        if self._known is None:
            try:
                text = await self._memory.recall()
            except StoreUnavailable as error:
                raise Throttled("StoreUnavailable", f"task definitions are not known: {error}") from error
            if self._known is None:  # else somebody was faster, and has written since
                self._known = _read(text, self._place)
        return self._known

    async def keep(self, content: str, arn: str, *, ours: bool) -> None:
        """It is registered, and a launch has chosen it."""
        known = await self._writable()
        known[content] = Kept(arn=arn, ours=ours, used=self._clock.now())
        await self._write(known)

    async def use(self, content: str) -> None:
        """A launch has chosen it again."""
        known, now = await self._writable(), self._clock.now()
        standing = known.get(content)
        if standing is not None and now - standing.used >= _USED_AGAIN:
            known[content] = replace(standing, used=now)
            await self._write(known)

    async def forget(self, arns: Iterable[str]) -> None:
        """They can no longer be run."""
        known, gone = await self._writable(), set(arns)
        lost = [content for content, kept in known.items() if kept.arn in gone]
        for content in lost:
            del known[content]
        if lost:
            await self._write(known)

    async def _writable(self) -> dict[str, Kept]:
        await self.known()
        return self._known if self._known is not None else {}

    async def _write(self, known: dict[str, Kept]) -> None:
        for content, _ in sorted(known.items(), key=lambda item: item[1].used)[: max(0, len(known) - _MOST)]:
            del known[content]
        plain = {content: asdict(kept) | {"used": kept.used.isoformat()} for content, kept in known.items()}
        told = {"version": 1, "place": self._place, "definitions": plain}
        try:
            await self._memory.remember(json.dumps(told, sort_keys=True))
        except StoreUnavailable as error:
            events.DEFINITIONS_NOT_REMEMBERED.emit(backend=self._backend, error=str(error))


def _read(text: str | None, place: str) -> dict[str, Kept]:
    """What was written; nothing of a text that another version wrote, or that is about another place."""
    try:
        told: Any = json.loads(text or "{}")
        found = told["definitions"] if (told.get("version"), told.get("place")) == (1, place) else {}
        return {content: _kept(**kept) for content, kept in found.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _kept(arn: str, ours: bool, used: str) -> Kept:
    return Kept(arn=arn, ours=ours, used=datetime.fromisoformat(used))
