"""Many rows of one statement: compiled once an engine, given to the driver as plain tuples."""

from collections.abc import Callable, Sequence
from operator import attrgetter, itemgetter
from typing import Any, Final

from sqlalchemy import Dialect, and_, bindparam, insert, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import UpdateBase

from broker.domain.agent import Agent
from broker.store.rows import WRITE, to_text
from broker.store.schema import agents, history

Row = tuple[Any, ...]


class Batch:
    """A statement over many rows, whose values are in the order of `names`, as they stand in columns."""

    def __init__(self, statement: UpdateBase, names: Sequence[str]) -> None:
        """`names` are the statement's parameters."""
        self._statement = statement
        self._names = tuple(names)
        self._compiled: dict[str, tuple[str, Callable[[Row], Row] | None]] = {}

    async def run(self, connection: AsyncConnection, rows: Sequence[Row]) -> None:
        """Executes it for all rows; none is nothing to do."""
        if not rows:
            return
        text, order = self._compiled.get(connection.dialect.name) or self._compile(connection.dialect)
        await connection.exec_driver_sql(text, list(rows) if order is None else [order(row) for row in rows])

    def _compile(self, dialect: Dialect) -> tuple[str, Callable[[Row], Row] | None]:
        compiled: Any = self._statement.compile(dialect=dialect)
        positions = [self._names.index(name) for name in compiled.positiontup]
        order = None if positions == list(range(len(self._names))) else itemgetter(*positions)
        found = self._compiled[dialect.name] = (str(compiled), order)
        return found


class Columns:
    """Some fields of agents, as they stand in their columns."""

    def __init__(self, names: Sequence[str]) -> None:
        """More than one."""
        self._fields = attrgetter(*names)
        self._writers = [(n, WRITE[name]) for n, name in enumerate(names) if name in WRITE]

    def of(self, agent: Agent) -> Row:
        """The fields of one agent."""
        values = list(self._fields(agent))
        for n, write in self._writers:
            if values[n] is not None:
                values[n] = write(values[n])
        return tuple(values)


def changing(names: Sequence[str]) -> Batch:
    """Sets these columns of agents; a row is their values, then the id and the version that the row must have."""
    row = and_(agents.c.id == bindparam("old_id"), agents.c.version == bindparam("old_version"))
    statement = update(agents).where(row).values({name: bindparam(f"new_{name}") for name in names})
    return Batch(statement, (*(f"new_{name}" for name in names), "old_id", "old_version"))


_EVENT: Final = (
    *("at", "controller", "agent", "name", "policy", "event", "phase"),
    *("attempt", "pool", "why", "message", "actor", "details"),
)
EVENTS: Final = Batch(insert(history).values({name: bindparam(name) for name in _EVENT}), _EVENT)
"""New events."""


def event_columns(agent: Agent, event: str, at: int, details: str | None = None) -> Row:
    """An event of what an agent now is, with nobody behind it, for `EVENTS`."""
    a = agent
    said = to_text(a.message)
    told = (at, a.controller, a.id, a.name, a.policy, event, a.phase)
    return (*told, a.attempt, a.pool, a.why, said, "", details and to_text(details))
