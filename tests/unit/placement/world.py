"""Batches over a few pools, of which a test names only what it is about."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from broker.domain.agent import Agent
from broker.domain.ids import PoolName, TemplateName
from broker.domain.limits import Usage
from broker.domain.offer import Offer
from broker.domain.placement import Decision, Placed, Rejection, Waits
from broker.domain.policy import Policy
from broker.domain.pool import PoolLimits
from broker.domain.resources import Resources
from broker.domain.template import Template
from broker.errors import BackendError
from broker.placement.engine import decide
from broker.testing.clock import EPOCH
from broker.testing.factories import make_agent, make_definitions, make_policy, make_pool, make_template

Given = Mapping[str, Sequence[Offer] | BackendError]


def size(cpu: int = 0, memory: int = 0) -> Resources:
    """Whole vCPU and GiB."""
    return Resources(cpu_milli=1000 * cpu, memory_mib=1024 * memory)


def template(name: str, cpu: int, memory: int) -> Template:
    """Of whole vCPU and GiB."""
    return make_template(name=TemplateName(name), resources=size(cpu, memory))


def host(pool: str, name: str, cpu: int, memory: int, **more: Any) -> Offer:
    """A host with so many free vCPU and GiB."""
    return Offer(pool=PoolName(pool), host=name, free=size(cpu, memory), **more)


def plain(pool: str, **more: Any) -> Offer:
    """Room for agents without end."""
    return Offer(pool=PoolName(pool), **more)


def usage(**given: Any) -> Usage:
    """Nothing is taken."""
    return Usage(**{"now": EPOCH, **given})


def agents(number: int, **changes: Any) -> list[Agent]:
    """The first so many, all asked for at once."""
    return [make_agent(n, **changes) for n in range(1, number + 1)]


def decided(
    asked: list[Agent],
    policy: Policy | Sequence[Policy],
    offers: Given,
    taken: Usage | None = None,
    limits: Mapping[str, PoolLimits] | None = None,
    **definitions: Any,
) -> list[Decision]:
    """Decides agents of policies over pools named in `offers`."""
    policies = [policy] if isinstance(policy, Policy) else list(policy)
    pools = [make_pool(name=PoolName(name), limits=(limits or {}).get(name, PoolLimits())) for name in offers]
    known = make_definitions(**{"policies": policies, "pools": pools, **definitions})
    return decide(asked, {PoolName(name): offer for name, offer in offers.items()}, taken or usage(), known)


def policy(*pools: str, **changes: Any) -> Policy:
    """A policy over pools."""
    return make_policy(*pools, **changes)


def pools_of(decisions: Sequence[Decision]) -> list[str | None]:
    """Where each goes; None: it waits."""
    return [d.placement.offer.pool if isinstance(d, Placed) else None for d in decisions]


def counts_of(decisions: Sequence[Decision]) -> Counter[str]:
    """How many go where."""
    return Counter(d.placement.offer.pool for d in decisions if isinstance(d, Placed))


def hosts_of(decisions: Sequence[Decision]) -> list[str]:
    """The hosts of those placed."""
    return [d.placement.offer.host for d in decisions if isinstance(d, Placed)]


def placed(decision: Decision) -> Placed:
    """It has a place."""
    assert isinstance(decision, Placed), decision
    return decision


def waits(decision: Decision) -> Waits:
    """It has none."""
    assert isinstance(decision, Waits), decision
    return decision


def told(decision: Decision) -> list[tuple[str, str, str]]:
    """Pool, code and words of every rejection."""
    rejections: tuple[Rejection, ...] = (
        decision.placement.rejections if isinstance(decision, Placed) else decision.rejections
    )
    return [(r.pool, r.reason, r.message) for r in rejections]
