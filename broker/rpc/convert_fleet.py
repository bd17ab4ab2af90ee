"""The fleet as its people in Jenkins see it, in messages."""

from broker.domain.reason import hint
from broker.rpc.convert import one_line, timestamp
from broker.store.history import Event
from broker.views.fleet import Fleet, PolicyRow, PoolRow
from broker.wire.v1 import agents_pb2 as wire


def fleet(found: Fleet, page_url: str) -> wire.DescribeFleetReply:
    """The whole answer; every text in it is one line."""
    return wire.DescribeFleetReply(
        pools=[_pool(row) for row in found.pools],
        policies=[_policy(row) for row in found.policies],
        failures=[_failure(event) for event in found.failures],
        page_url=page_url,
    )


def _pool(row: PoolRow) -> wire.PoolState:
    return wire.PoolState(
        name=row.name,
        backend=row.backend,
        agents=row.agents,
        agents_cap=row.agents_cap or 0,
        starting=row.starting,
        starting_cap=row.starting_cap or 0,
        state=row.state,
        why=one_line(row.why),
        until=timestamp(row.until) if row.until else None,
        by=row.by,
    )


def _policy(row: PolicyRow) -> wire.PolicyState:
    return wire.PolicyState(
        name=row.policy.name,
        labels=row.policy.labels,
        pools=row.policy.chain,
        agents=row.agents,
        agents_cap=row.policy.limits.agents or 0,
        waiting=row.waiting,
        warm=row.warm,
        warm_wanted=row.warm_wanted,
        remark=one_line(row.remark),
        budget=one_line(row.budget),
    )


def _failure(event: Event) -> wire.Failure:
    return wire.Failure(
        at=timestamp(event.at),
        agent=event.agent,
        policy=event.policy,
        pool=event.pool or "",
        reason=event.why or "",
        message=one_line(event.message),
        hint=hint(event.why) if event.why else "",
    )
