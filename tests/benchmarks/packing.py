"""Agents of many sizes on hosts of one: ours, a naive first-fit-decreasing, the lower bound, and the exact optimum."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from broker.domain.agent import Agent
from broker.domain.definitions import Definitions
from broker.domain.ids import PolicyName, PoolName, TemplateName
from broker.domain.limits import Usage
from broker.domain.offer import Offer
from broker.domain.placement import Placed
from broker.domain.policy import PackBy, Policy, Strategy
from broker.domain.resources import Resources
from broker.placement.engine import decide
from broker.testing.clock import EPOCH
from broker.testing.factories import make_agent, make_definitions, make_policy, make_pool, make_template

Size = tuple[int, int]
"""vCPU and GiB."""

HOST: Final[Size] = (16, 64)
MIX: Final[tuple[Size, ...]] = ((1, 2), (1, 4), (2, 4), (2, 8), (2, 16), (4, 8), (4, 16), (8, 16))
"""Templates of a usual kind, some heavy in memory, some in vCPU."""
POOL: Final = PoolName("hosts")


def items(number: int, seed: int, mix: Sequence[Size] = MIX) -> list[Size]:
    """So many agents of the mix, by chance."""
    by_chance = random.Random(seed)
    return [by_chance.choice(mix) for _ in range(number)]


def queue(number: int, mix: Sequence[Size]) -> list[Agent]:
    """Agents of a mix, by chance, one policy a size, that were asked for over a minute and a half."""
    return [
        make_agent(n, policy=PolicyName(name_of(size)), requested_at=EPOCH + timedelta(seconds=n % 97))
        for n, size in enumerate(items(number, 1, mix))
    ]


def lower_bound(sizes: Sequence[Size], host: Size = HOST) -> int:
    """No packing needs fewer hosts: the larger of the two sums over what a host has."""
    return max(-(-sum(size[d] for size in sizes) // host[d]) for d in (0, 1))


def resources(size: Size) -> Resources:
    """The same in the broker's units."""
    return Resources(cpu_milli=1000 * size[0], memory_mib=1024 * size[1])


def name_of(size: Size) -> str:
    """The name of the template and policy of a size."""
    return f"c{size[0]}m{size[1]}"


def definitions(mix: Sequence[Size] = MIX, strategy: Strategy = Strategy.BINPACK) -> Definitions:
    """One policy and template a size, over one pool."""
    policies: list[Policy] = [
        make_policy(
            POOL,
            name=PolicyName(name_of(size)),
            template=TemplateName(name_of(size)),
            strategy=strategy,
            pack_by=PackBy.MEMORY,
        )
        for size in mix
    ]
    templates = [make_template(name=TemplateName(name_of(s)), resources=resources(s)) for s in mix]
    return make_definitions(policies=policies, templates=templates, pools=[make_pool(name=POOL)])


def packed_at_once(sizes: Sequence[Size], host: Size = HOST, mix: Sequence[Size] = MIX) -> int:
    """Hosts that the engine makes for one batch."""
    asked = [make_agent(n, policy=PolicyName(name_of(size))) for n, size in enumerate(sizes)]
    shape = Offer(pool=POOL, shape=resources(host))
    decisions = decide(asked, {POOL: [shape]}, Usage(now=EPOCH + timedelta(minutes=1)), definitions(mix))
    placed = [d for d in decisions if isinstance(d, Placed)]
    assert len(placed) == len(sizes)
    return len({d.placement.offer.host for d in placed})


@dataclass
class Online:
    """Hosts as they fill while agents come one by one; nobody is moved."""

    free: dict[str, Size]

    def offers(self, host: Size) -> list[Offer]:
        """What a backend would offer."""
        existing = [Offer(pool=POOL, host=name, free=resources(free)) for name, free in self.free.items()]
        return [*existing, Offer(pool=POOL, shape=resources(host))]

    def take(self, name: str, size: Size, host: Size) -> None:
        """An agent has come."""
        known = name if name in self.free else f"i-{len(self.free):04}"
        free = self.free.get(known, host)
        self.free[known] = (free[0] - size[0], free[1] - size[1])


def packed_one_by_one(sizes: Sequence[Size], host: Size = HOST, mix: Sequence[Size] = MIX) -> int:
    """Hosts that are made when every agent is a batch of its own."""
    known, hosts = definitions(mix), Online({})
    for number, size in enumerate(sizes):
        asked = [make_agent(number, policy=PolicyName(name_of(size)))]
        [decision] = decide(asked, {POOL: hosts.offers(host)}, Usage(now=EPOCH + timedelta(minutes=1)), known)
        assert isinstance(decision, Placed)
        hosts.take(decision.placement.offer.host, size, host)
    return len(hosts.free)


def first_fit_decreasing(sizes: Sequence[Size], host: Size = HOST, standing: int = 0) -> int:
    """The naive way, over `standing` empty hosts first: the largest first, each on the first host that has room."""
    free = [list(host) for _ in range(standing)]
    for cpu, memory in sorted(sizes, key=lambda s: max(s[0] / host[0], s[1] / host[1]), reverse=True):
        for left in free:
            if left[0] >= cpu and left[1] >= memory:
                left[0] -= cpu
                left[1] -= memory
                break
        else:
            free.append([host[0] - cpu, host[1] - memory])
    return len(free)


def optimum(sizes: Sequence[Size], host: Size = HOST) -> int:
    """The fewest hosts that any packing needs, by branch and bound; for some ten agents."""
    ordered = sorted(sizes, reverse=True)
    best = first_fit_decreasing(sizes, host)

    def search(at: int, free: list[Size]) -> None:
        nonlocal best
        if len(free) >= best:
            return
        if at == len(ordered):
            best = len(free)
            return
        cpu, memory = ordered[at]
        for one in sorted(set(free)):
            if one[0] >= cpu and one[1] >= memory:
                rest = list(free)
                rest.remove(one)
                search(at + 1, [*rest, (one[0] - cpu, one[1] - memory)])
        search(at + 1, [*free, (host[0] - cpu, host[1] - memory)])

    search(0, [])
    return best
