"""The crash matrix of hosts: lives in which the broker dies beside each write, and what must hold afterwards."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from broker.domain.host import HostPhase, host_may_follow
from broker.domain.ids import HostId
from broker.domain.reason import Reason
from broker.errors import BackendRejected, InsufficientCapacity
from broker.ports import Backend
from broker.store import schema
from broker.store.engine import Database
from broker.testing.clock import ManualClock
from broker.testing.machines import HostLedger
from tests.crash.points import Column, Killed
from tests.host_core import HostCore, hosts_core

T = TypeVar("T")

MADE: Final = "machine noted"
_STEP_S: Final = 1.0
_LONGEST_LIFE: Final = 400
_CALLS: Final[Mapping[str, str]] = {
    "creating": "create_hosts",
    MADE: "describe_hosts",
    "preparing": "prepare_host",
    "ready": "describe_hosts",
    "draining": "delete_hosts",
    "deleting": "delete_hosts",
}
"""Which call follows a write: that of the phase which the write begins; none follows the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPlan:
    """How a host's life goes, and through which writes."""

    name: str
    turn: Callable[[HostCore, HostId], None]
    """Turns the knobs of the cloud; asked before each step."""
    writes: tuple[str, ...]
    most_machines: int = 1


def _nothing(_world: HostCore, _host: HostId) -> None:
    return None


def _no_stock(world: HostCore, _host: HostId) -> None:
    def refuse(*_: object) -> None:
        raise InsufficientCapacity("NoStock", "none left")

    world.cloud.check_create = refuse


def _broken(world: HostCore, _host: HostId) -> None:
    def fails(_: object) -> None:
        raise BackendRejected("Exit", "init script: exit code 1", Reason.SETUP_FAILED)

    world.cloud.check_prepare = fails


def _vanishes(world: HostCore, host: HostId) -> None:
    row = world.ctx.known.rows.get(host)
    if row is not None and row.phase is HostPhase.READY and world.cloud.hosts.machine_of(host) is not None:
        world.cloud.vanish_host(host)


_UP: Final = ("requested->creating", MADE, "creating->preparing")
PLANS: Final = (
    HostPlan(
        name="plain",
        turn=_nothing,
        writes=(*_UP, "preparing->ready", "ready->draining", "draining->deleting", "deleting->gone"),
    ),
    HostPlan(
        name="no stock",
        turn=_no_stock,
        writes=("requested->creating", "creating->deleting", "deleting->gone"),
        most_machines=0,
    ),
    HostPlan(name="broken", turn=_broken, writes=(*_UP, "preparing->deleting", "deleting->gone")),
    HostPlan(name="vanishes", turn=_vanishes, writes=("ready->deleting", "deleting->gone")),
)
WALKED: Final = {write for plan in PLANS for write in plan.writes} - {MADE}
ARGUED: Final[Mapping[str, str]] = {
    "requested->gone": "nothing was called for it, and nothing is: the row is all that there is of it",
}
_OF_CALLS: Final = frozenset({Column.CALL_LEFT, Column.REPLIED})


def _is_followed(plan: HostPlan, write: str) -> bool:
    """Whether a call comes after a write: nothing is deleted where it is sure that nothing was made."""
    return write.endswith(tuple(_CALLS)) and (plan.most_machines > 0 or not write.endswith("deleting"))


CELLS: Final = [
    (plan, write, column)
    for plan in PLANS
    for write in plan.writes
    for column in Column
    if column not in _OF_CALLS or _is_followed(plan, write)
]


@dataclass(slots=True)
class HostPoints:
    """One broker's death beside one write, or none."""

    write: str = ""
    column: Column = Column.AFTER_COMMIT
    dead: bool = False
    seen: bool = False
    dying: bool = False
    walked: list[str] = field(default_factory=list)

    def database(self, inner: Database) -> Database:
        return cast("Database", _Database(inner, self))

    def backend(self, inner: Backend) -> Backend:
        return cast("Backend", _Backend(inner, self))

    def breathe(self) -> None:
        if self.dead or self.dying:
            self.die()

    def die(self) -> None:
        self.dead = True
        raise Killed

    async def call(self, name: str, call: Callable[[], Awaitable[T]]) -> T:
        self.breathe()
        struck = self.seen and _CALLS.get(self.write.rpartition("->")[2]) == name
        answer: T
        try:
            answer = await call()
        finally:
            if struck and self.column is Column.CALL_LEFT:
                self.die()
            self.dying = self.dying or (struck and self.column is Column.REPLIED)
        return answer


class _Database:
    def __init__(self, inner: Database, points: HostPoints) -> None:
        self._inner = inner
        self._points = points

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def transaction(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        points, found = self._points, list[str]()
        points.breathe()

        async def watched(connection: AsyncConnection) -> T:
            before = await _rows(connection)
            result = await work(connection)
            found[:] = [
                name for host, row in (await _rows(connection)).items() for name in _names(before.get(host), row)
            ]
            if points.write in found and points.column is Column.BEFORE_COMMIT:
                points.die()
            return result

        result = await self._inner.transaction(watched)
        points.walked += found
        if points.write in found and not points.seen:
            points.seen = True
            if points.column is Column.AFTER_COMMIT:
                points.die()
        return result


class _Backend:
    """All calls about hosts come by here."""

    def __init__(self, inner: Backend, points: HostPoints) -> None:
        self._inner = inner
        self._points = points

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        if name not in _CALLS.values():
            return method
        return lambda *args: self._points.call(name, lambda: method(*args))


async def _rows(connection: AsyncConnection) -> dict[str, tuple[str, str | None]]:
    h = schema.hosts.c
    return {row.id: (str(row.phase), row.ref) for row in await connection.execute(select(h.id, h.phase, h.ref))}


def _names(before: tuple[str, str | None] | None, after: tuple[str, str | None]) -> list[str]:
    if before is None:
        return []
    names = [f"{before[0]}->{after[0]}"] if before[0] != after[0] else []
    return names + ([MADE] if before[1] is None and after[1] is not None else [])


async def run_cell(directory: Path, plan: HostPlan, write: str, column: Column, *, again: bool = False) -> list[str]:
    """What does not hold after brokers have died at that point; nothing, if all is well."""
    clock, ledger, host = ManualClock(), HostLedger(), list[HostId]()
    for _ in range(2 if again else 1):
        points = HostPoints(write, column)
        try:
            await _live(directory, plan, points, clock, ledger, host)
        except Killed:
            continue
        if not again:
            return [f"the broker was never at {write}, {column}: it walked {points.walked}"]
    points = HostPoints()
    try:
        await _live(directory, plan, points, clock, ledger, host)
    except AssertionError as left:
        return [str(left)]
    over = [f"{a} after {b}" for b, a in pairwise(points.walked) if "->" in a and "->" in b and not _follows(b, a)]
    made = sum(ledger.machines_of.values())
    return over + ([f"{made} machines were made"] if made > plan.most_machines else [])


def _follows(before: str, after: str) -> bool:
    begin, _, end = after.partition("->")
    return before.rpartition("->")[2] == begin and host_may_follow(HostPhase(begin), HostPhase(end))


async def _live(
    directory: Path, plan: HostPlan, points: HostPoints, clock: ManualClock, ledger: HostLedger, host: list[HostId]
) -> None:
    idle = timedelta(seconds=5)
    async with hosts_core(directory, ledger=ledger, clock=clock, seams=points, idle_timeout=idle) as world:
        world.cloud.boot_s, world.cloud.delete_s, world.cloud.steps = 3.0, 3.0, (("init script", 2.0),)
        if not host:
            host.append((await world.ask(settle=False))[0].id)
        for _ in range(_LONGEST_LIFE):
            plan.turn(world, host[0])
            await world.advance(_STEP_S, _STEP_S)
            if not await world.phases() and not world.cloud.machines():
                return
        raise AssertionError(f"left: {await world.phases()}, {world.cloud.machines()}")
