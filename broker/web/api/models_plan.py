"""What the API says of plans, and of what placement would decide against now."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Literal

from pydantic import Field

from broker.domain.agent import Agent
from broker.domain.ids import ControllerName, PolicyName, PoolName
from broker.domain.limits import Cooled, Lever, Rest, Scope, Usage
from broker.domain.offer import Offer, Offering
from broker.domain.overrides import Override
from broker.domain.reason import Reason
from broker.domain.resources import Resources
from broker.errors import BackendError, BackendRejected
from broker.placement.ground import Offers
from broker.placement.imagined import imagined
from broker.views.plan import Planned
from broker.views.words import Words
from broker.web.api.models import Model, Moment, Resource

MOST_WAITING = 2_000


class PlannedPool(Model):
    """A pool of the policy in a plan."""

    pool: str
    state: str = Field(description="chosen, standby, or the reason why it gets none.")
    count: int
    reason: Reason | None
    text: str


class Plan(Resource):
    """Where agents would go; nothing was launched."""

    kind: Literal["Plan"] = "Plan"
    policy: str
    strategy: str
    at: Moment
    count: int
    placed: int
    waiting: int = Field(description="How many of them would wait.")
    reason: Reason | None
    message: str
    summary: str
    pools: tuple[PlannedPool, ...]


def to_plan(planned: Planned, at: datetime, words: Words) -> Plan:
    """A plan in the words that the reader may read."""
    return Plan(
        policy=planned.policy.name,
        strategy=planned.policy.strategy,
        at=at,
        count=planned.count,
        placed=planned.placed,
        waiting=planned.count - planned.placed,
        reason=planned.reason,
        message=words.message(planned.reason, planned.message),
        summary=planned.summary(words),
        pools=tuple(
            PlannedPool(
                pool=one.pool,
                state=one.state,
                count=one.count,
                reason=one.reason,
                text=words.message(one.reason, one.text) if one.reason else one.text,
            )
            for one in planned.pools
        ),
    )


class Waiting(Model):
    """Agents in line, one behind the other, that wait for the same."""

    count: int
    controller: str
    policy: str
    job: str
    requested_at: Moment = Field(description="When the first of them was asked for.")
    overrides: Override


class PoolOffers(Model):
    """What a backend says that a pool could hold, or why it says nothing."""

    offers: tuple[Offer, ...] = ()
    reason: Reason | None = None
    message: str = ""


class Standing(Resource):
    """What placement would decide against now: a plan for another config is made of it. Pairs stand for maps."""

    kind: Literal["Standing"] = "Standing"
    now: Moment
    revision: str
    used: tuple[tuple[Scope, str, int], ...]
    rests: dict[PoolName, Rest]
    cooled: tuple[tuple[Offering, Cooled], ...]
    levers: tuple[Lever, ...]
    held: tuple[tuple[str, str, int], ...]
    of_pool: tuple[tuple[str, str, int], ...]
    of_zone: tuple[tuple[str, str, str, int], ...]
    of_type: tuple[tuple[str, str, str, int], ...] = ()
    of_host: tuple[tuple[str, str, str, int], ...]
    unseen: tuple[tuple[Offering, str, Resources, int], ...]
    living_hosts: dict[PoolName, int] = Field(default={}, description="How many hosts of ours each pool has.")
    medians_s: dict[str, float]
    lives_s: dict[str, float]
    window: dict[PoolName, int | None]
    offers: dict[str, PoolOffers]
    waiting: tuple[Waiting, ...] = Field(description=f"The head of the line, in at most {MOST_WAITING} parts.")
    left_out: int = Field(default=0, description="Agents behind them.")


def to_standing(usage: Usage, offers: Offers, waiting: Iterable[Agent], revision: str) -> Standing:
    """Writes down what placement would decide against."""
    line = [list(like) for _, like in groupby(waiting, key=_alike)]
    return Standing(
        now=usage.now,
        revision=revision,
        used=tuple((scope, key, number) for (scope, key), number in usage.used.items()),
        rests=dict(usage.rests),
        cooled=tuple(usage.cooled.items()),
        levers=tuple(usage.levers.values()),
        held=tuple((*key, number) for key, number in usage.held.items()),
        of_pool=tuple((*key, number) for key, number in usage.of_pool.items()),
        of_zone=tuple((*key, number) for key, number in usage.of_zone.items()),
        of_type=tuple((*key, number) for key, number in usage.of_type.items()),
        of_host=tuple((*key, number) for key, number in usage.of_host.items()),
        unseen=tuple((*key, number) for key, number in usage.unseen.items()),
        living_hosts=dict(usage.living_hosts),
        medians_s={name: length.total_seconds() for name, length in usage.medians.items()},
        lives_s={name: length.total_seconds() for name, length in usage.lives.items()},
        window=dict(usage.window),
        offers={name: _to_offers(answer) for name, answer in offers.items()},
        waiting=tuple(_to_waiting(like) for like in line[:MOST_WAITING]),
        left_out=sum(len(like) for like in line[MOST_WAITING:]),
    )


def usage_of(standing: Standing) -> Usage:
    """Back to what placement decides against."""
    usage = Usage(
        now=standing.now,
        used={(scope, key): number for scope, key, number in standing.used},
        rests=dict(standing.rests),
        cooled=dict(standing.cooled),
        levers={lever.pool: lever for lever in standing.levers},
        medians={PoolName(name): timedelta(seconds=length) for name, length in standing.medians_s.items()},
        lives={PolicyName(name): timedelta(seconds=length) for name, length in standing.lives_s.items()},
        window=dict(standing.window),
        living_hosts=Counter(standing.living_hosts),
    )
    for controller, policy, number in standing.held:
        usage.held[ControllerName(controller), PolicyName(policy)] = number
    for policy, pool, number in standing.of_pool:
        usage.of_pool[PolicyName(policy), PoolName(pool)] = number
    for policy, pool, zone, number in standing.of_zone:
        usage.of_zone[PolicyName(policy), PoolName(pool), zone] = number
    for policy, pool, kind, number in standing.of_type:
        usage.of_type[PolicyName(policy), PoolName(pool), kind] = number
    for policy, pool, host, number in standing.of_host:
        usage.of_host[PolicyName(policy), PoolName(pool), host] = number
    for offering, host, size, number in standing.unseen:
        usage.unseen[offering, host, size] = number
    return usage


def offers_of(standing: Standing, pools: Mapping[PoolName, object]) -> Offers:
    """What those pools could hold; one that the broker does not have takes whatever its limits allow."""
    return {name: _offers(standing.offers[name]) if name in standing.offers else [Offer(pool=name)] for name in pools}


def waiting_of(standing: Standing) -> list[Agent]:
    """The agents that wait."""
    return [
        imagined(
            f"waiting-{place}-{number}",
            PolicyName(one.policy),
            ControllerName(one.controller),
            one.requested_at,
            job=one.job,
            overrides=one.overrides,
        )
        for place, one in enumerate(standing.waiting)
        for number in range(one.count)
    ]


def _alike(agent: Agent) -> tuple[object, ...]:
    return agent.controller, agent.policy, agent.job, agent.overrides


def _to_waiting(like: Sequence[Agent]) -> Waiting:
    agent = like[0]
    return Waiting(
        count=len(like),
        controller=agent.controller,
        policy=agent.policy,
        job=agent.job,
        requested_at=agent.requested_at,
        overrides=replace(agent.overrides),
    )


def _to_offers(answer: object) -> PoolOffers:
    if isinstance(answer, BackendError):
        return PoolOffers(reason=answer.reason, message=str(answer))
    return PoolOffers(offers=tuple(answer))  # type: ignore[arg-type] # else they are offers


def _offers(told: PoolOffers) -> list[Offer] | BackendError:
    return BackendRejected("", told.message, told.reason) if told.reason is not None else list(told.offers)
