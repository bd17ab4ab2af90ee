"""Who waits for a place, line by line: the head of each is decided, the rest is told what its last one was told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, case, func, insert, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from broker.domain.agent import Agent
from broker.domain.ids import AgentId, ControllerName, PolicyName
from broker.domain.lifecycle import Goal
from broker.domain.overrides import NO_OVERRIDE, Override
from broker.domain.placement import Decision, Placed, Waits
from broker.store.columns import Moment, Words
from broker.store.cooldowns import CLOCK_STEP
from broker.store.details import Details, to_text
from broker.store.rows import OLDEST_FIRST, read_whole
from broker.store.schema import IS_WAITING, agents, history
from broker.store.standing import Line, Standing

HEAD: Final = 500
"""Agents of one line that a look decides."""
_WORDS_LAST: Final = timedelta(minutes=1)
"""How long the words of a long line stand while the reason is the same."""


@dataclass(frozen=True, slots=True)
class Queue:
    """One line: its oldest agents, and whether there are more."""

    line: Line
    head: list[Agent]
    goes_on: bool


@dataclass(frozen=True, slots=True)
class Waiting:
    """Who waits for a place, in short."""

    kinds: list[Agent]
    """One agent for each controller, policy and override of those that are due."""
    over: list[AgentId]
    """Those that nobody wants any more, or whose time is over."""
    next_due: datetime | None
    """When the next one is due that is not."""
    next_over: datetime | None
    """When the time of the next one is over."""


async def read_waiting(connection: AsyncConnection, now: datetime) -> Waiting:
    """What a look begins with: few rows, however many agents wait."""
    a = agents.c
    over = select(a.id).where(IS_WAITING, or_(a.goal != Goal.ONLINE, a.deadline <= now))
    later = select(func.min(a.not_before)).where(IS_WAITING, ~_is_due(now))
    ends = select(func.min(a.deadline)).where(IS_WAITING, a.deadline > now)
    kinds = select(func.min(a.id)).where(_wants_a_place(now)).group_by(a.controller, a.policy, a.overrides)
    return Waiting(
        kinds=await read_whole(connection, a.id.in_(kinds)),
        over=list((await connection.execute(over)).scalars()),
        next_due=(await connection.execute(later)).scalar(),
        next_over=(await connection.execute(ends)).scalar(),
    )


async def read_kind(connection: AsyncConnection, like: Agent, now: datetime) -> list[AgentId]:
    """All that wait and are of one kind with an agent."""
    same = _of_one(like.controller, like.policy, like.overrides)
    return list((await connection.execute(select(agents.c.id).where(_wants_a_place(now), same))).scalars())


async def read_lines(connection: AsyncConnection, now: datetime, standing: Standing, head: int = HEAD) -> list[Queue]:
    """The lines of those who want a place now, the oldest of each first."""
    found = await standing.rows.read(connection, _heads(now, standing, head + 1))
    lines: dict[Line, list[Agent]] = {}
    for agent in found:
        lines.setdefault(_line_of(agent, standing), []).append(agent)
    return [Queue(line, waiting[:head], len(waiting) > head) for line, waiting in lines.items()]


async def tell_the_rest(
    connection: AsyncConnection,
    queues: Sequence[Queue],
    decided: Mapping[AgentId, Decision],
    now: datetime,
    standing: Standing,
) -> bool:
    """Writes behind the head of each line what its last one was told; tells whether that one has found a place."""
    more = False
    for queue in queues:
        if not queue.goes_on:
            continue
        last = decided.get(queue.head[-1].id)
        if isinstance(last, Placed):
            more = True
        elif last is not None:
            await _tell(connection, queue, last, now, standing)
    long = {queue.line for queue in queues if queue.goes_on}
    for line in standing.worded.keys() - long:
        del standing.worded[line]
    return more


def _wants_a_place(now: datetime) -> ColumnElement[bool]:
    return and_(IS_WAITING, agents.c.goal == Goal.ONLINE, _is_due(now))


def _is_due(now: datetime) -> ColumnElement[bool]:
    """Who waits since a time ahead of the clock, since that was set back, waits no longer."""
    return or_(agents.c.not_before <= now, agents.c.phase_since > now + CLOCK_STEP)


def _heads(now: datetime, standing: Standing, most: int) -> Select[Any]:
    a = agents.c
    job = case((a.policy.in_(sorted(standing.by_job)), a.job), else_=literal("")) if standing.by_job else literal("")
    line = (a.controller, a.policy, job, a.overrides)
    place = func.row_number().over(partition_by=line, order_by=OLDEST_FIRST).label("place")
    waiting = select(a.id, a.version, *OLDEST_FIRST, place).where(_wants_a_place(now)).subquery()
    heads = select(waiting.c.id, waiting.c.version).where(waiting.c.place <= most)
    return heads.order_by(waiting.c.requested_at, waiting.c.name)


def _line_of(agent: Agent, standing: Standing) -> Line:
    job = agent.job if agent.policy in standing.by_job else ""
    return Line(agent.controller, agent.policy, job, agent.overrides)


async def _tell(connection: AsyncConnection, queue: Queue, last: Waits, now: datetime, standing: Standing) -> None:
    """Each of the rest has an event of its own, and only where the reason is another, or its words have stood long."""
    a, worded = agents.c, standing.worded.get(queue.line)
    news: list[ColumnElement[bool]] = [a.why.is_(None), a.why != last.reason, a.stalled.is_distinct_from(last.stalled)]
    if worded is None or (worded[0] != last.message and not timedelta() <= now - worded[1] < _WORDS_LAST):
        news.append(a.message != last.message)
        standing.worded[queue.line] = (last.message, now)
    these = and_(_wants_a_place(now), _behind(queue), or_(*news))
    said = {"at": literal(now, Moment), "event": literal("waiting"), "why": literal(last.reason.value)}
    said |= {"message": literal(last.message, Words), "actor": literal("")}
    said |= {"details": literal(to_text(Details(rejections=last.rejections)), Words)}
    same = {"controller": a.controller, "agent": a.id, "name": a.name, "policy": a.policy, "phase": a.phase}
    same |= {"attempt": a.attempt, "pool": a.pool}
    event = same | said
    columns: list[Any] = list(event.values())
    told = select(*columns).where(these).order_by(*OLDEST_FIRST)
    await connection.execute(insert(history).from_select(list(event), told))
    values = {"why": last.reason, "message": last.message, "stalled": last.stalled, "version": a.version + 1}
    await connection.execute(update(agents).where(these).values(**values))


def _behind(queue: Queue) -> ColumnElement[bool]:
    a, line, last = agents.c, queue.line, queue.head[-1]
    later = or_(a.requested_at > last.requested_at, and_(a.requested_at == last.requested_at, a.name > last.name))
    same = and_(_of_one(line.controller, line.policy, line.overrides), later)
    return and_(same, a.job == line.job) if line.job else same


def _of_one(controller: ControllerName, policy: PolicyName, overrides: Override) -> ColumnElement[bool]:
    a = agents.c
    asked = a.overrides.is_(None) if overrides == NO_OVERRIDE else a.overrides == overrides
    return and_(a.controller == controller, a.policy == policy, asked)
