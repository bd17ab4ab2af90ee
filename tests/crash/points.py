"""Fail-points: where a broker dies. They stand at the seams (the database, the backends); the broker has none in it.

A point is an edge of the lifecycle (or another write that matters) and a place beside its transaction. The same
wrappers serve a broker that lives in the test's process, where dying is an exception that nobody catches, and one that
is a process of its own, where it is SIGKILL.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, NamedTuple, NoReturn, TypeVar, cast

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from broker.domain.ids import AgentId, InstanceRef
from broker.domain.instance import Instance, LaunchKey, Listing
from broker.domain.lifecycle import Phase
from broker.domain.offer import Offer
from broker.domain.pool import Pool
from broker.ports import Backend, LaunchSpec
from broker.store import schema
from broker.store.engine import Database

T = TypeVar("T")


class Column(StrEnum):
    """Where beside the transaction."""

    BEFORE_COMMIT = "before commit"
    AFTER_COMMIT = "after commit"
    CALL_LEFT = "after the call left"
    REPLIED = "after its reply"


ANY: Final = "any"
ACCEPTED, NOTED, AIMED = "accepted", "instance noted", "goal moved"
WRITES: Final = (ACCEPTED, NOTED, AIMED)
"""Writes that change no phase and yet are all that a call, or a person's word, leaves behind."""

_LAUNCH, _LOOK, _END = frozenset({"launch"}), frozenset({"describe"}), frozenset({"terminate", "locate"})
_NEXT_CALL: Final[Mapping[str, frozenset[str]]] = {
    Phase.REQUESTED: _LAUNCH,
    Phase.LAUNCHING: _LAUNCH,
    Phase.BOOTING: _LOOK,
    Phase.CONNECTING: _LOOK,
    Phase.ONLINE: _LOOK,
    Phase.RECONNECTING: _LOOK,
    Phase.DRAINING: _LOOK,
    Phase.TERMINATING: _END,
    Phase.GONE: frozenset({"list_owned"}),
    ACCEPTED: _LAUNCH,
    NOTED: _LOOK,
    AIMED: _END,
    ANY: _LAUNCH | _LOOK | _END,
}
"""Which call to the backend follows a write: that of the phase which the write begins."""


def edge(before: Phase, after: Phase) -> str:
    """The name of a change of phase."""
    return f"{before}->{after}"


def next_call(write: str) -> frozenset[str]:
    """The calls that count as the one after a write."""
    return _NEXT_CALL[write.rpartition("->")[2]]


@dataclass(frozen=True, slots=True)
class Point:
    """A write, by its name, and the place beside it. `agent` narrows it to the agent of one name."""

    write: str
    column: Column
    agent: str = ""


class Killed(BaseException):
    """A broker in this process has died: nothing of it may act, or catch this, any more."""


def _raise() -> NoReturn:
    raise Killed


class Row(NamedTuple):
    """What a transaction may have done to an agent."""

    name: str
    phase: Phase
    goal: str
    instance: str | None
    token: str | None


@dataclass(slots=True)
class FailPoints:
    """One broker's death. Without a point it lives."""

    point: Point | None = None
    kill: Callable[[], NoReturn] = _raise
    check: Callable[[LaunchSpec, Row | None], None] = lambda _spec, _row: None
    """What a test wants to say of a launch that is about to leave, beside the agent's row as it is saved."""
    dead: bool = False
    _write_seen: bool = False
    _dying: bool = False
    _database: Database | None = field(default=None, repr=False)

    def database(self, inner: Database) -> Database:
        """The database as the broker sees it."""
        self._database = inner
        return cast("Database", _Database(inner, self))

    def backend(self, inner: Backend) -> Backend:
        """The backend as the broker sees it."""
        return _Backend(inner, self)

    def die(self) -> NoReturn:
        """The end."""
        self.dead = True
        self.kill()

    def breathe(self) -> None:
        """Before every write and call: the dead do nothing, and who dies after a reply has nothing more to say."""
        if self.dead or self._dying:
            self.die()

    def writing(self, before: Mapping[str, Row], after: Mapping[str, Row]) -> bool:
        """Within a transaction: whether it is the one that is waited for."""
        if self.point is None or self._write_seen:
            return False
        rows = [(before.get(key), row) for key, row in after.items() if self.point.agent in ("", row.name)]
        found = any(self.point.write in (name, ANY) for old, new in rows for name in names_of(old, new))
        if found and self.point.column is Column.BEFORE_COMMIT:
            self.die()
        return found

    def written(self) -> None:
        """The transaction that was waited for is committed."""
        self._write_seen = True
        if self.point is not None and self.point.column is Column.AFTER_COMMIT:
            self.die()

    async def call(self, operation: str, call: Callable[[], Awaitable[T]]) -> T:
        """A call of the backend, carried out, whose answer the broker may not live to see."""
        self.breathe()
        point = self.point
        struck = point is not None and self._write_seen and operation in next_call(point.write)
        try:
            return await call()
        finally:
            if struck and point is not None and point.column is Column.CALL_LEFT:
                self.die()
            self._dying = self._dying or (struck and point is not None and point.column is Column.REPLIED)

    async def saved(self, agent_id: AgentId) -> Row | None:
        """An agent's row, read beside the broker."""
        if self._database is None:
            return None
        async with self._database.reading() as connection:
            return (await _rows(connection)).get(agent_id)


def names_of(before: Row | None, after: Row) -> list[str]:
    """What a transaction has done to a row, in the words of the matrix."""
    if before is None:
        return [ACCEPTED]
    if before.phase != after.phase:
        return [edge(before.phase, after.phase)]
    names = [NOTED] if after.instance is not None and before.instance != after.instance else []
    return names + ([AIMED] if before.goal != after.goal else [])


async def _rows(connection: AsyncConnection) -> dict[str, Row]:
    a = schema.agents.c
    rows = await connection.execute(select(a.id, a.name, a.phase, a.goal, a.instance, a.token))
    return {row.id: Row(row.name, Phase(row.phase), row.goal, row.instance, row.token) for row in rows}


class _Database:
    """All of a `Database`; looks at every transaction from within."""

    def __init__(self, inner: Database, points: FailPoints) -> None:
        self._inner = inner
        self._points = points

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def transaction(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        self._points.breathe()
        found = False

        async def watched(connection: AsyncConnection) -> T:
            nonlocal found
            before = await _rows(connection)
            result = await work(connection)
            found = self._points.writing(before, await _rows(connection))
            return result

        result = await self._inner.transaction(watched)
        if found:
            self._points.written()
        return result


class _Backend:
    """All of a `ports.Backend`; a call leaves only after its token is saved (I7)."""

    def __init__(self, inner: Backend, points: FailPoints) -> None:
        self._inner = inner
        self._points = points

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def offers(self, pool: Pool) -> Sequence[Offer]:
        return await self._inner.offers(pool)

    async def launch(self, spec: LaunchSpec) -> InstanceRef:
        self._points.check(spec, await self._points.saved(spec.key.agent_id))
        return await self._points.call("launch", lambda: self._inner.launch(spec))

    async def locate(self, key: LaunchKey) -> InstanceRef | None:
        return await self._points.call("locate", lambda: self._inner.locate(key))

    async def describe(self, refs: Sequence[InstanceRef]) -> Mapping[InstanceRef, Instance]:
        return await self._points.call("describe", lambda: self._inner.describe(refs))

    async def terminate(self, ref: InstanceRef) -> None:
        await self._points.call("terminate", lambda: self._inner.terminate(ref))

    async def list_owned(self) -> Listing:
        return await self._points.call("list_owned", self._inner.list_owned)

    async def close(self) -> None:
        await self._inner.close()
