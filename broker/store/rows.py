"""Agents as plain tuples, past the processors of columns, and kept by version: an unchanged row is read once."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import BigInteger, Boolean, ColumnElement, LargeBinary, Select, String, select, type_coerce
from sqlalchemy.ext.asyncio import AsyncConnection

from broker.domain.agent import Agent
from broker.domain.ids import AgentId
from broker.domain.lifecycle import Goal, Outcome, Phase
from broker.domain.overrides import NO_OVERRIDE, Override
from broker.domain.reason import Reason
from broker.store.columns import EPOCH, MICROSECOND, Asked, Lasting, Moment, to_moment
from broker.store.schema import agents

BATCH: Final = 500
"""Below the bound on variables of one SQLite statement."""
OLDEST_FIRST: Final = (agents.c.requested_at, agents.c.name)


class Rows:
    """The agents that were read, by id: taken again only while the database says that their version is the same.

    Right because every change of a row changes its version. Reads of what its own transaction has written must not come
    through here: a rollback would leave it.
    """

    def __init__(self) -> None:
        """Knows nobody."""
        self._known: dict[AgentId, Agent] = {}

    async def read(self, connection: AsyncConnection, query: Select[Any]) -> list[Agent]:
        """The agents of a query over their ids and versions, in its order."""
        found = (await connection.execute(query)).all()
        told: dict[AgentId, Agent] = {}  # others may forget some of them while the rest is read
        changed: list[AgentId] = []
        for agent_id, version in found:
            agent = self._known.get(agent_id)
            if agent is None or agent.version != version:
                changed.append(agent_id)
            else:
                told[agent_id] = agent
        for start in range(0, len(changed), BATCH):
            these = await read_whole(connection, agents.c.id.in_(changed[start : start + BATCH]))
            fresh = {agent.id: agent for agent in these}
            told |= fresh
            self._known |= fresh
        return [told[agent_id] for agent_id, _ in found if agent_id in told]

    def keep_only(self, these: Iterable[Agent]) -> None:
        """Forgets all others."""
        self._known = {agent.id: agent for agent in these}

    def forget(self, agent_id: AgentId) -> None:
        """Keeps it no longer: nobody reads what is gone again and again."""
        self._known.pop(agent_id, None)

    def committed(self, these: Iterable[Agent]) -> None:
        """Takes agents over that were just written; one that stands there in other words is read."""
        self._known |= {agent.id: agent for agent in these if not any("\x00" in said for said in _TEXTS(agent))}


def by_version(*clauses: ColumnElement[bool]) -> Select[Any]:
    """The query of `Rows.read` for these agents, the oldest request first."""
    return select(agents.c.id, agents.c.version).where(*clauses).order_by(*OLDEST_FIRST)


async def read_whole(connection: AsyncConnection, *clauses: ColumnElement[bool]) -> list[Agent]:
    """Agents within a transaction, the oldest request first, whatever is known of them."""
    rows = await connection.execute(select(*_PLAIN).where(*clauses).order_by(*OLDEST_FIRST))
    return [_agent(row) for row in rows]


def _moment(value: int) -> datetime:
    return EPOCH + timedelta(microseconds=value)


def _lasting(value: int) -> timedelta:
    return timedelta(microseconds=value)


def _asked(value: str) -> Override:
    return Override(**json.loads(value)) if value else NO_OVERRIDE


_TEXTS: Final = attrgetter("message", "job", "label_expression", "build_url")
"""What others say at length."""


def to_text(value: str) -> str:
    """What both engines can hold, as `Words` has it."""
    return value.replace("\x00", "\u2400")


def _plain_type(kind: Any) -> Any:
    if isinstance(kind, Boolean | LargeBinary):
        return kind
    return String() if isinstance(kind, Asked) or kind.python_type is str else BigInteger()


_NAMES: Final = tuple(field.name for field in fields(Agent))
_PLAIN: Final = tuple(type_coerce(agents.c[name], _plain_type(agents.c[name].type)).label(name) for name in _NAMES)

_READ: Final[Mapping[str, Callable[[Any], Any]]] = {
    **{name: _moment for name in _NAMES if isinstance(agents.c[name].type, Moment)},
    **{name: _lasting for name in _NAMES if isinstance(agents.c[name].type, Lasting)},
    "phase": Phase,
    "goal": Goal,
    "outcome": Outcome,
    "why": Reason,
    "overrides": _asked,
}
_NOTHING: Final[Mapping[str, Any]] = {
    "direct": False,
    "zone": "",
    "type": "",
    "capacity": "",
    "host": "",
    "refusals": 0,
    "stalled": False,
    "overrides": NO_OVERRIDE,
    "held": "",
}
"""What a row of an older version, which says nothing, means."""
_READERS: Final = tuple((name, _READ.get(name), _NOTHING.get(name)) for name in _NAMES)


def _agent(row: Sequence[Any]) -> Agent:
    values: dict[str, Any] = {
        name: nothing if value is None else value if read is None else read(value)
        for (name, read, nothing), value in zip(_READERS, row, strict=True)
    }
    return Agent(**values)


WRITE: Final[Mapping[str, Callable[[Any], Any]]] = {
    **dict.fromkeys([name for name in _NAMES if _READ.get(name) is _moment], to_moment),
    **{name: lambda value: value // MICROSECOND for name in _NAMES if _READ.get(name) is _lasting},
    **dict.fromkeys(("message", "pool", "host", "zone", "type", "capacity", "instance"), to_text),
}
"""What a field becomes in its column; the others stand as they are."""
