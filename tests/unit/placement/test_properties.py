"""What holds of every batch, whatever is asked for and whatever there is: found with random ones."""

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.domain.agent import Agent
from broker.domain.definitions import Definitions
from broker.domain.ids import PolicyName, PoolName
from broker.domain.limits import Cooled, Lever, LeverKind, Rest, Scope, Usage
from broker.domain.offer import Offer, Offering
from broker.domain.placement import Decision, Placed
from broker.domain.policy import AgentLimits, Fallback, Policy, PoolChoice, Spread, SpreadBy, Strategy
from broker.domain.pool import PoolLimits
from broker.domain.reason import Reason
from broker.domain.resources import Resources
from broker.errors import BackendError, Throttled
from broker.placement.engine import decide
from broker.testing.clock import EPOCH
from broker.testing.factories import (
    make_agent,
    make_controller,
    make_definitions,
    make_policy,
    make_pool,
    make_template,
)

POOLS = [PoolName(name) for name in "abc"]
NOW = EPOCH + timedelta(minutes=5)
Given = dict[PoolName, list[Offer] | BackendError]
FEW = st.none() | st.integers(0, 12)


@dataclass(frozen=True)
class World:
    """All that a batch is decided on; `usage()` is new each time, as deciding takes from it."""

    definitions: Definitions
    agents: list[Agent]
    offers: Given
    seed: Usage

    def usage(self) -> Usage:
        return Usage(
            now=NOW,
            used=dict(self.seed.used),
            rests=dict(self.seed.rests),
            cooled=dict(self.seed.cooled),
            levers=self.seed.levers,
            of_pool=Counter(self.seed.of_pool),
            window=dict(self.seed.window),
        )

    def decided(self) -> list[Decision]:
        return decide(self.agents, self.offers, self.usage(), self.definitions)


@st.composite
def offers_of(draw: st.DrawFn, pool: PoolName) -> list[Offer] | BackendError:
    kind = draw(st.sampled_from(["plain", "hosts", "shapes", "mixed", "error", "none"]))
    if kind == "error":
        return Throttled("Rate", "slow down")
    offers: list[Offer] = []
    sizes = st.sampled_from([Resources(), Resources(cpu_milli=2000, memory_mib=4096), Resources(cpu_milli=4000)])
    for n in range(0 if kind == "none" else draw(st.integers(1, 4))):
        zone = draw(st.sampled_from(["", "z1", "z2", "z3"]))
        one = kind if kind != "mixed" else draw(st.sampled_from(["plain", "hosts", "shapes"]))
        room = draw(st.none() | st.integers(0, 3))
        slots = draw(st.none() | st.integers(0, 3))
        if one == "plain":
            offers.append(Offer(pool=pool, zone=zone, room=room))
        elif one == "hosts":
            offers.append(Offer(pool=pool, zone=zone, host=f"h{n}", free=draw(sizes), slots=slots))
        else:
            offers.append(Offer(pool=pool, zone=zone, shape=draw(sizes), slots=slots, room=room))
    return offers


@st.composite
def policies(draw: st.DrawFn) -> list[Policy]:
    made = []
    for n in range(draw(st.integers(1, 3))):
        order = draw(st.permutations(POOLS))
        own = order[: draw(st.integers(1, 3))]
        choices = [PoolChoice(pool=p, weight=draw(st.integers(0, 4)), base=draw(st.integers(0, 2))) for p in own]
        after = st.sampled_from([timedelta(), timedelta(minutes=4), timedelta(hours=1)])
        steps = [
            Fallback(pool=p, after=draw(after), when=draw(st.sampled_from([(), (Reason.POOL_AT_LIMIT,)])))
            for p in order[len(own) :]
        ]
        made.append(
            make_policy(
                name=f"p{n}",
                template=draw(st.sampled_from(["small", "large", "unsaid"])),
                pools=tuple(choices),
                fallback=tuple(steps),
                strategy=draw(st.sampled_from(list(Strategy))),
                spread=Spread(by=draw(st.sampled_from(list(SpreadBy))), max_skew=draw(st.integers(1, 2))),
                priority=draw(st.integers(0, 1)),
                limits=AgentLimits(agents=draw(FEW), pending=draw(FEW)),
                per_job=draw(st.none() | st.integers(1, 3)),
            )
        )
    return made


@st.composite
def worlds(draw: st.DrawFn) -> World:
    known = draw(policies())
    pools = [
        make_pool(
            name=p, limits=PoolLimits(agents=draw(FEW), pending=draw(FEW), cpu_milli=draw(st.none() | st.just(5000)))
        )
        for p in POOLS
    ]
    templates = [
        make_template(name="small", resources=Resources(cpu_milli=1000, memory_mib=1024)),
        make_template(name="large", resources=Resources(cpu_milli=3000, memory_mib=2048)),
        make_template(name="unsaid", resources=Resources()),
    ]
    definitions = make_definitions(
        policies=known,
        pools=pools,
        templates=templates,
        controllers=[make_controller(name=name, limits=AgentLimits(agents=draw(FEW))) for name in ("one", "two")],
        limits=AgentLimits(agents=draw(FEW)),
    )
    agents = [
        make_agent(
            n,
            controller=draw(st.sampled_from(["one", "two"])),
            policy=draw(st.sampled_from([p.name for p in known])),
            job=draw(st.sampled_from(["x", "y"])),
            requested_at=EPOCH + timedelta(minutes=draw(st.integers(0, 4))),
        )
        for n in range(draw(st.integers(0, 25)))
    ]
    offers: Given = {p: draw(offers_of(p)) for p in POOLS}
    return World(definitions, agents, offers, draw(usages(offers)))


@st.composite
def usages(draw: st.DrawFn, offers: Given) -> Usage:
    usage = Usage(now=NOW)
    pool = draw(st.sampled_from(POOLS))
    answer = offers[pool]
    match draw(st.sampled_from(["nothing", "lever", "rest", "probe", "cooled", "window"])):
        case "lever":
            usage.levers = {pool: Lever(pool=pool, kind=LeverKind.PAUSE, actor="ana", reason="", since=NOW, until=None)}
        case "rest" | "probe" as kind:
            until = NOW + timedelta(minutes=1 if kind == "rest" else 0)
            usage.rests[pool] = Rest(opened=1, until=until, probe=None, why=Reason.THROTTLED, message="")
        case "cooled" if not isinstance(answer, BackendError) and answer:
            cooled = Cooled(until=NOW + timedelta(minutes=1), why=Reason.INSUFFICIENT_CAPACITY, message="none left")
            usage.cooled[answer[0].offering] = cooled
        case "window":
            usage.window[pool] = draw(st.integers(0, 3))
    for policy in ("p0", "p1"):
        usage.of_pool[PolicyName(policy), pool] = draw(st.integers(0, 3))
    usage.used[Scope.POOL_AGENTS, pool] = draw(st.integers(0, 3))
    return usage


def placed_of(decisions: Iterable[Decision]) -> list[Placed]:
    return [d for d in decisions if isinstance(d, Placed)]


@given(world=worlds())
@settings(max_examples=150, deadline=None)
def test_no_limit_is_exceeded_and_the_usage_tells_what_was_taken(world: World) -> None:
    usage = world.usage()
    taken: Counter[tuple[Scope, str]] = Counter(usage.used)
    for placed in placed_of(decide(world.agents, world.offers, usage, world.definitions)):
        for claim in placed.claims:
            taken[claim.scope, claim.key] += claim.amount
            assert claim.cap is None or taken[claim.scope, claim.key] <= claim.cap
    assert +taken == +Counter(usage.used)


@given(world=worlds())
@settings(max_examples=150, deadline=None)
def test_no_room_is_given_twice(world: World) -> None:
    hosts: dict[tuple[str, str], list[Placed]] = {}
    openings: Counter[Offering] = Counter()
    for placed in placed_of(world.decided()):
        offer = placed.placement.offer
        if offer.host:
            hosts.setdefault((offer.pool, offer.host), []).append(placed)
        else:
            openings[offer.offering] += 1
    for (pool, host), agents in hosts.items():
        offer = agents[0].placement.offer
        sizes = [world.definitions.templates[a.policy.template].resources for a in agents]
        assert offer.free is not None
        assert sum(size.cpu_milli for size in sizes) <= offer.free.cpu_milli, (pool, host)
        assert sum(size.memory_mib for size in sizes) <= offer.free.memory_mib
        assert offer.slots is None or len(agents) <= offer.slots
    for offering, number in openings.items():
        answer = world.offers[offering.pool]
        assert not isinstance(answer, BackendError)
        rooms = [o.room for o in answer if o.offering == offering and not o.host and o.shape is None]
        assert None in rooms or number <= sum(room or 0 for room in rooms)


@given(world=worlds())
@settings(max_examples=150, deadline=None)
def test_nobody_is_placed_where_an_operator_or_a_lack_keeps_them_out(world: World) -> None:
    decisions = placed_of(world.decided())
    at = Counter(d.placement.offer.pool for d in decisions)
    assert not [pool for pool in world.seed.levers if at[pool]]
    assert not [d for d in decisions if d.placement.offer.offering in world.seed.cooled]
    for pool, rest in world.seed.rests.items():
        assert rest.until is not None
        assert at[pool] <= (0 if rest.until > NOW else 1)
    for pool, window in world.seed.window.items():
        assert window is None or at[pool] <= window


@given(world=worlds())
@settings(max_examples=150, deadline=None)
def test_every_offer_is_chosen_or_in_exactly_one_rejection(world: World) -> None:
    for decision in world.decided():
        if isinstance(decision, Placed):
            _every_offer_is_told_of(world, decision)
        elif decision.rejections:
            assert decision.policy is not None
            told = {r.pool for r in decision.rejections}
            assert told == set(decision.policy.chain)


def _every_offer_is_told_of(world: World, decision: Placed) -> None:
    chosen = decision.placement.offer
    for pool in decision.policy.chain:
        told = [r for r in decision.placement.rejections if r.pool == pool]
        answer = world.offers[pool]
        offers = 0 if isinstance(answer, BackendError) else len(answer)
        counted = sum(r.offers for r in told) + (chosen.pool == pool)
        assert counted == offers or (chosen.pool != pool and len(told) == 1), (pool, told, offers)


@given(world=worlds(), seed=st.integers())
@settings(max_examples=100, deadline=None)
def test_the_order_of_equal_inputs_does_not_matter(world: World, seed: int) -> None:
    shuffled = random.Random(seed)
    agents = list(world.agents)
    shuffled.shuffle(agents)
    pools = list(world.offers)
    shuffled.shuffle(pools)
    offers = {pool: _hosts_shuffled(world.offers[pool], shuffled) for pool in pools}
    again = World(world.definitions, agents, offers, world.seed)
    assert world.decided() == again.decided()


def _hosts_shuffled(answer: list[Offer] | BackendError, shuffled: random.Random) -> list[Offer] | BackendError:
    if isinstance(answer, BackendError):
        return answer
    hosts = [offer for offer in answer if offer.host]
    shuffled.shuffle(hosts)
    return [hosts.pop() if offer.host else offer for offer in answer]


@given(weights=st.lists(st.integers(1, 9), min_size=1, max_size=6), number=st.integers(1, 60))
@settings(max_examples=200, deadline=None)
def test_shares_are_exact_within_one_agent_at_every_step(weights: list[int], number: int) -> None:
    names = [PoolName(f"pool{n}") for n in range(len(weights))]
    choices = tuple(PoolChoice(pool=name, weight=weight) for name, weight in zip(names, weights, strict=True))
    definitions = make_definitions(
        policies=[make_policy(pools=choices, strategy=Strategy.WEIGHTED)], pools=[make_pool(name=n) for n in names]
    )
    offers = {name: [Offer(pool=name)] for name in names}
    counts: Counter[PoolName] = Counter()
    decisions = decide([make_agent(n) for n in range(number)], offers, Usage(now=NOW), definitions)
    for step, placed in enumerate(placed_of(decisions), start=1):
        counts[placed.placement.offer.pool] += 1
        assert all(abs(counts[c.pool] - step * c.weight / sum(weights)) < 1 for c in choices)
    assert counts.total() == number


@given(rooms=st.lists(st.integers(0, 9), min_size=1, max_size=4), skew=st.integers(1, 3), number=st.integers(1, 40))
@settings(max_examples=200, deadline=None)
@pytest.mark.parametrize("by", [SpreadBy.ZONE, SpreadBy.TYPE])
def test_the_skew_is_kept_at_every_step(by: SpreadBy, rooms: list[int], skew: int, number: int) -> None:
    policy = make_policy(strategy=Strategy.SPREAD, spread=Spread(by=by, max_skew=skew))
    definitions = make_definitions(policies=[policy])
    pool = policy.pools[0].pool
    of = partial(replace, Offer(pool=pool))
    offers = {pool: [of(**{by.value: f"z{n}"}, room=room) for n, room in enumerate(rooms)]}
    counts = {f"z{n}": 0 for n in range(len(rooms))}
    decisions = decide([make_agent(n) for n in range(number)], offers, Usage(now=NOW), definitions)
    for placed in placed_of(decisions):
        counts[getattr(placed.placement.offer, by)] += 1
        assert max(counts.values()) - min(counts.values()) <= skew
    assert sum(counts.values()) == min(number, sum(min(room, min(rooms) + skew) for room in rooms))
