"""Policies, pools, jobs and labels come and go for months: nothing of them stays but in the history, for its time."""

from collections import Counter
from datetime import timedelta
from pathlib import Path

from sqlalchemy import func, select

from broker.domain.asked import Asked
from broker.domain.definitions import Definitions
from broker.domain.ids import PolicyName, PoolName
from broker.domain.policy import AgentLimits
from broker.domain.reason import Reason
from broker.errors import BackendRejected, InsufficientCapacity
from broker.reconcile.prune import prune
from broker.store import schema
from broker.testing.factories import CONTROLLER, make_definitions, make_policy, make_pool
from tests.core import Core, open_core, real_secret

ROUNDS = 12
MONTH_S = timedelta(days=30).total_seconds()


def renamed(number: int) -> Definitions:
    """Two pools and a policy, whose names nobody had before."""
    pools = [make_pool(name=PoolName(f"{kind}-{number}")) for kind in ("bad", "good")]
    policy = make_policy(
        *(pool.name for pool in pools), name=PolicyName(f"p-{number}"), limits=AgentLimits(agents=5), per_job=3
    )
    return make_definitions(pools=pools, policies=[policy], revision=str(number))


async def live_through(core: Core, number: int) -> None:
    """An agent that its first pool refuses, and the second one has; and a label that nothing serves."""
    name, label = f"linux-{number:06d}", f"label-{number}"
    refusals = (BackendRejected("no", "not today"), InsufficientCapacity("full", "no room"))
    core.backend.next_launch_raises(refusals[number % 2])
    await core.sync()
    secret = real_secret(name)
    asked = Asked(name=name, policy=f"p-{number}", secret=secret, label_expression=label, job=f"job-{number}")
    await core.intake.accept(CONTROLLER, core.boot, [asked])
    await core.advance(12, step_s=2)
    core.sessions.connect(await core.agent(name))
    core.says(name)
    await core.sync()
    await core.advance(4, step_s=2)
    core.nodes.clear()
    await core.release(name, Reason.COMPLETED)
    await core.advance(8, step_s=2)
    core.sessions.disconnect((await core.agent(name)).id)
    assert await core.phases() == {}


async def kept(core: Core) -> Counter[str]:
    """Everything that could grow with names, in memory and in tables."""
    ctx = core.ctx
    counts = Counter[str](
        starts=len(ctx.starts._of) + len(ctx.starts._medians),
        lives=len(ctx.lives._of) + len(ctx.lives._medians),
        board=len(ctx.board._answers) + len(ctx.board._first_asked),
        trust=len(ctx.bulkhead._trust),
        shut=len(ctx.bulkhead._shut),
        lines=len(ctx.bulkhead._lines) + len(ctx.bulkhead._calls) + len(ctx.standing.worded),
        told=len(core.loop.spend._told),
    )
    async with ctx.database.reading() as connection:
        for table in schema.metadata.tables.values():
            found = await connection.execute(select(func.count()).select_from(table))
            counts[table.name] = found.scalar_one()
    return counts


async def test_names_that_are_used_no_more_leave_nothing(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db", renamed(0)) as core:
        seen = list[Counter[str]]()
        for number in range(ROUNDS):
            core.ctx.definitions = renamed(number)
            await live_through(core, number)
            core.loop.forget_removed()
            await core.clock.advance(MONTH_S)
            await core.advance(20, step_s=10)
            await prune(core.ctx)
            core.ctx.starts.medians(core.clock.now())
            core.ctx.lives.medians(core.clock.now())
            seen.append(await kept(core))
        assert all(now <= early for now, early in zip(seen[4:], seen[2:4] * ROUNDS, strict=False)), (seen[2], seen[-1])
