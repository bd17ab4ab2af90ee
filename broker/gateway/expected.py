"""Which gateways there are, linked or not: who is connected is known only when each of them has told."""

import asyncio
from dataclasses import dataclass
from typing import Final

from pydantic import TypeAdapter

from broker.errors import StoreError
from broker.gateway.keeping import Memory
from broker.gateway.link import Hello
from broker.gateway.sockets import process_started, this_host
from broker.ports import Clock
from broker.telemetry.events import GATEWAYS_NOT_REMEMBERED

LOST_GATEWAY_S: Final = 60.0
"""How long a gateway that is not known to be dead may be without a link before nobody waits for it any more."""
_SAVE_S: Final = 2.0
"""A gateway waits no longer for its link: that it is known now is worth more than that it will be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """A gateway process. `watched`: /proc here shows it, so that its end is seen there."""

    id: str
    pid: int
    started: int
    host: str
    watched: bool

    @classmethod
    def of(cls, hello: Hello) -> "Expected":
        """The one that says this hello.

        A pid says nothing in another pid namespace or on another machine, nor where /proc hides the process; a gateway
        of a version that does not tell its host is watched if a process of that pid and start time is to be seen.
        """
        near = hello.host in ("", this_host())
        watched = near and process_started(hello.pid) == hello.started
        return cls(id=hello.gateway, pid=hello.pid, started=hello.started, host=hello.host, watched=watched)

    def has_died(self) -> bool:
        """Whether it is sure that the process is no more."""
        near = self.host in ("", this_host())
        return self.watched and near and process_started(self.pid) != self.started


_KEPT: Final = TypeAdapter(list[Expected])


class ExpectedGateways:
    """All gateways that were linked and may live, those of a former control plane included."""

    def __init__(self, memory: Memory, clock: Clock) -> None:
        """Expects nobody."""
        self._memory = memory
        self._clock = clock
        self._known: dict[str, Expected] = {}
        self._away_since: dict[str, float] = {}
        self._saved: set[Expected] = set()

    async def recall(self) -> None:
        """Expects those that the former control plane knew, from now on. Raises `StoreError`."""
        text = await self._memory.recall()
        try:
            known = _KEPT.validate_json(text) if text else []
        except ValueError:  # of a version that wrote it otherwise: as if there was one gateway, which links first
            known = []
        now = self._clock.monotonic()
        self._known = {one.id: one for one in known}
        self._away_since = dict.fromkeys(self._known, now)
        self._saved = set(known)

    def expect(self, hello: Hello) -> None:
        """One says hello: it is waited for until `linked`."""
        self._known[hello.gateway] = Expected.of(hello)
        self._away_since.setdefault(hello.gateway, self._clock.monotonic())

    def linked(self, gateway: str) -> None:
        """One has told its sessions."""
        self._away_since.pop(gateway, None)

    def unlinked(self, gateway: str) -> None:
        """The link of one is down; it may come back."""
        if gateway in self._known:
            self._away_since[gateway] = self._clock.monotonic()

    def gone(self, gateway: str) -> None:
        """One has left for good: nobody waits for it."""
        self._known.pop(gateway, None)
        self._away_since.pop(gateway, None)

    def missing(self) -> bool:
        """Whether one that may have sessions has no link."""
        return any(not self.given_up(gateway) for gateway in self._away_since)

    def given_up(self, gateway: str) -> bool:
        """Whether one without a link has no sessions any more, as far as anybody can know: dead, or away too long."""
        one, since = self._known.get(gateway), self._away_since.get(gateway)
        if one is None:
            return True
        return since is not None and (one.has_died() or self._clock.monotonic() - since >= LOST_GATEWAY_S)

    async def save(self) -> None:
        """Keeps the present ones for the next control plane, where they have changed; never raises.

        What could not be kept is tried again at the next call.
        """
        for gateway in [gateway for gateway in self._away_since if self.given_up(gateway)]:
            self.gone(gateway)
        now = set(self._known.values())
        if now == self._saved:
            return
        try:
            async with asyncio.timeout(_SAVE_S):
                await self._memory.remember(_KEPT.dump_json(sorted(now, key=lambda one: one.id)).decode())
        except (TimeoutError, StoreError) as error:
            GATEWAYS_NOT_REMEMBERED.emit(message=str(error) or f"nothing was written for {_SAVE_S:g} s")
        else:
            self._saved = now
