"""A batch of placements: read, decided and saved in one transaction, so that no cap can be raced (design D7, D9)."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from broker.domain.agent import Agent
from broker.domain.host import Host, host_in
from broker.domain.ids import AgentId, HostId, LaunchToken, PoolName
from broker.domain.lifecycle import Phase
from broker.domain.limits import Claim, Usage
from broker.domain.offer import is_new_host
from broker.domain.placement import Decision, Placed, Placement, Waits
from broker.store import cooldowns, limits
from broker.store.batches import EVENTS, Columns, Row, changing, event_columns
from broker.store.columns import to_moment
from broker.store.details import Details, in_words, to_text
from broker.store.engine import Database
from broker.store.hosts import insert_hosts, take_places
from broker.store.lines import read_lines, tell_the_rest
from broker.store.standing import Standing, read_usage

Decider = Callable[[list[Agent], Usage], list[Decision]]
"""Pure: given the agents that wait and what is taken, decides each."""

_PLACED: Final = (
    *("phase", "phase_since", "deadline", "attempt", "pool", "token", "instance", "direct", "placed_at"),
    *("zone", "type", "capacity", "host", "stalled", "rate", "expected_life", "costs_since", "held"),
    *("why", "message", "version"),
)
_WAITS: Final = ("why", "message", "stalled", "version")
_SAVE_PLACED, _SAVE_WAITS = changing(_PLACED), changing(_WAITS)
_PLACED_COLUMNS, _WAITS_COLUMNS = Columns(_PLACED), Columns(_WAITS)


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at those who wait has decided."""

    decided: list[tuple[Decision, Agent]]
    """Each decision with its agent as it now stands; of a long line only of those at its head."""
    more: bool
    """Whether others behind them may find a place at once."""
    new_hosts: tuple[HostId, ...] = ()
    """Those that are to be made for them."""


async def place_waiting(
    database: Database,
    decider: Decider,
    now: datetime,
    deadline_of: Callable[[Placed], timedelta],
    standing: Standing | None = None,
) -> Look:
    """Places the agents that wait and are due, the oldest of each line.

    A placed agent is `launching`, its limits reserved, its launch token saved: all before any call. For one that waits,
    the reason is written if it is another than before. All lines are looked at: a full policy must not starve another.
    A host of ours that one is placed on is changed with it, and one that is still to be made becomes a row.
    """
    known = standing or Standing()

    async def work(connection: AsyncConnection) -> Look:
        lines = await read_lines(connection, now, known)
        usage = await read_usage(connection, now, known)
        decisions = decider([agent for line in lines for agent in line.head], usage)
        placed = [d for d in decisions if isinstance(d, Placed)]
        await limits.reserve(connection, [d.claims for d in placed])
        for pool, agent_id in {d.placement.offer.pool: d.agent.id for d in placed}.items():
            if pool in usage.rests:
                await cooldowns.set_probe(connection, pool, agent_id)
        made = _make_hosts(placed, known, now)
        await _save_hosts(connection, placed, made, known, now)
        texts = _Texts()
        changed = {d.agent.id: _launching(d, now, deadline_of(d), texts, made) for d in placed}
        waits = [d for d in decisions if isinstance(d, Waits)]
        for d in waits:
            if (d.agent.why, d.agent.message, d.agent.stalled) != (d.reason, d.message, d.stalled):
                changed[d.agent.id] = _waiting(d)
        await _save(connection, decisions, changed, now, texts)
        more = await tell_the_rest(connection, lines, {d.agent.id: d for d in decisions}, now, known)
        new_hosts = tuple(host.id for host in made.values())
        return Look([(d, changed.get(d.agent.id, d.agent)) for d in decisions], more, new_hosts)

    look = await database.transaction(work)
    known.rows.committed(agent for _, agent in look.decided)
    return look


_Made = Mapping[tuple[PoolName, str], Host]
"""The rows of hosts that placement has made up, by pool and by the names that it gave them."""


def _make_hosts(placed: Sequence[Placed], standing: Standing, now: datetime) -> _Made:
    """Each for the first agent that is placed on it."""
    uses = Counter(_place(d) for d in placed)
    made: dict[tuple[PoolName, str], Host] = {}
    for d in placed:
        place, offer = _place(d), d.placement.offer
        if place in made or offer.pool not in standing.hosted or not is_new_host(offer.host):
            continue
        made[place] = replace(
            host_in(offer, now),
            uses=uses[place],
            controller=d.agent.controller,
            policy=d.policy.name,
            job=d.agent.job,
            build_url=d.agent.build_url,
        )
    return made


async def _save_hosts(
    connection: AsyncConnection, placed: Sequence[Placed], made: _Made, standing: Standing, now: datetime
) -> None:
    await insert_hosts(connection, list(made.values()), now)
    places = (_place(d) for d in placed if d.placement.offer.pool in standing.hosted)
    await take_places(connection, Counter(HostId(host) for pool, host in places if host and (pool, host) not in made))


def _place(placed: Placed) -> tuple[PoolName, str]:
    return placed.placement.offer.pool, placed.placement.offer.host


class _Texts:
    """The texts of decisions, each made once: those of equal requests share what they are made of.

    Known by identity, so it lasts no longer than the decisions.
    """

    def __init__(self) -> None:
        self._words: dict[tuple[int, PoolName], str] = {}
        self._details: dict[tuple[str, str, str | None, int], str | None] = {}
        self._held: dict[int, str] = {}

    def words(self, placement: Placement) -> str:
        key = (id(placement.rejections), placement.offer.pool)
        known = self._words.get(key)
        if known is None:
            known = self._words[key] = in_words(placement.rejections, placement.offer.pool)
        return known

    def held(self, claims: Sequence[Claim]) -> str:
        known = self._held.get(id(claims))
        if known is None:
            known = self._held[id(claims)] = limits.as_held(claims)
        return known

    def details(self, decision: Decision) -> str | None:
        if isinstance(decision, Waits):
            zone, why, instead_of, rejections = "", "", None, decision.rejections
        else:
            chosen = decision.placement
            zone, why, instead_of, rejections = chosen.offer.zone, chosen.why, chosen.fallback_for, chosen.rejections
        key = (zone, why, instead_of, id(rejections))
        if key not in self._details:
            details = Details(zone=zone, why=why, fallback_for=instead_of, rejections=rejections)
            self._details[key] = to_text(details)
        return self._details[key]


def _launching(placed: Placed, now: datetime, deadline: timedelta, texts: _Texts, made: _Made) -> Agent:
    before, attempt, offer = placed.agent, placed.agent.attempt + 1, placed.placement.offer
    new = made.get(_place(placed))
    return replace(
        before,
        phase=Phase.LAUNCHING,
        phase_since=now,
        deadline=now + deadline,
        attempt=attempt,
        pool=offer.pool,
        token=LaunchToken(f"{before.id}-{attempt}"),
        instance=None,
        direct=placed.direct,
        placed_at=now,
        zone=offer.zone,
        type=offer.type,
        capacity=offer.capacity,
        host=offer.host if new is None else new.id,
        stalled=False,
        rate=placed.rate.hourly if placed.rate else None,
        expected_life=placed.rate.expected if placed.rate else None,
        costs_since=None,
        held=texts.held(placed.claims),
        why=None,
        message=texts.words(placed.placement),
        version=before.version + 1,
    )


def _waiting(waits: Waits) -> Agent:
    w, version = waits, waits.agent.version + 1
    return replace(w.agent, why=w.reason, message=w.message, stalled=w.stalled, version=version)


async def _save(
    connection: AsyncConnection,
    decisions: Sequence[Decision],
    changed: dict[AgentId, Agent],
    now: datetime,
    texts: _Texts,
) -> None:
    placed, waiting, events, at = list[Row](), list[Row](), list[Row](), to_moment(now)
    for decision in decisions:
        after = changed.get(decision.agent.id)
        if after is None:
            continue
        key, details = (after.id, decision.agent.version), texts.details(decision)
        if isinstance(decision, Placed):
            placed.append((*_PLACED_COLUMNS.of(after), *key))
            events.append(event_columns(after, "placed", at, details))
        else:
            waiting.append((*_WAITS_COLUMNS.of(after), *key))
            events.append(event_columns(after, "waiting", at, details))
    await _SAVE_PLACED.run(connection, placed)
    await _SAVE_WAITS.run(connection, waiting)
    await EVENTS.run(connection, events)
