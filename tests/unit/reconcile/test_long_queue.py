"""Ten thousand that wait cost little: the head of the line is decided, the rest is told once."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from broker.domain.lifecycle import Phase
from broker.domain.policy import AgentLimits, OnTimeout, Timeouts
from broker.domain.reason import Reason
from broker.store import lines, schema
from broker.testing.factories import make_agent, make_definitions, make_policy
from tests.core import Core, open_core

WAITING = 300
HEAD = 20


async def events(core: Core) -> int:
    async with core.ctx.database.reading() as connection:
        return int((await connection.execute(select(func.count()).select_from(schema.history))).scalar_one())


async def told(core: Core) -> set[tuple[Reason | None, bool]]:
    return {(a.why, a.stalled) for a in await core.ctx.agents.live() if a.phase is Phase.REQUESTED}


async def test_all_of_a_long_line_are_told_the_reason_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines.read_lines, "__defaults__", (HEAD,))
    definitions = make_definitions(policies=[make_policy(limits=AgentLimits(agents=2))])
    async with open_core(tmp_path / "broker.db", definitions) as core:
        await core.ctx.agents.accept([make_agent(n, name=f"linux-{n:06}") for n in range(WAITING)])
        assert await told(core) == {(None, False)}
        core.ctx.nudge.placement()
        await core.settle()
        assert await told(core) == {(Reason.POLICY_AT_LIMIT, True)}
        before = await events(core)
        for _ in range(5):
            core.ctx.nudge.placement()
            await core.settle()
        assert await events(core) == before, "nothing is written where nothing is new"


async def test_a_line_longer_than_its_head_is_placed_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines.read_lines, "__defaults__", (HEAD,))
    async with open_core(tmp_path / "broker.db") as core:
        await core.ctx.agents.accept([make_agent(n, name=f"linux-{n:06}") for n in range(3 * HEAD + 1)])
        core.ctx.nudge.placement()
        await core.settle()
        assert {a.phase for a in await core.ctx.agents.live()} != {Phase.REQUESTED}
        assert not [a for a in await core.ctx.agents.live() if a.placed_at is None]


async def test_those_that_wait_are_looked_at_together_and_the_others_one_by_one(tmp_path: Path) -> None:
    definitions = make_definitions(policies=[make_policy(limits=AgentLimits(agents=2))])
    async with open_core(tmp_path / "broker.db", definitions) as core:
        await core.ctx.agents.accept([make_agent(n, name=f"linux-{n:06}") for n in range(WAITING)])
        core.ctx.nudge.placement()
        await core.settle()
        queue = core.loop.queue.keys
        await core.loop._look_at_all()
        assert len(queue._waiting) == 3, "after a start: the placement, and both that have a place"
        await core.settle()
        await core.loop._look_at_all()
        assert len(queue._waiting) == 2
        await core.clock.advance(core.loop.pace.resync_s / 2)
        queue.ripen()
        assert len(queue._waiting) == 3, "the other one's turn comes half of the time later"


async def test_a_time_in_the_queue_that_is_over_is_seen_when_it_is_over(tmp_path: Path) -> None:
    times = Timeouts(queue=timedelta(seconds=7), on_timeout=OnTimeout.FAIL)
    definitions = make_definitions(policies=[make_policy(limits=AgentLimits(agents=1), timeouts=times)])
    async with open_core(tmp_path / "broker.db", definitions) as core:
        await core.sync()
        await core.ask("linux-000001", "linux-000002")
        await core.advance(6)
        assert (await core.agent("linux-000002")).phase is Phase.REQUESTED
        await core.advance(3)
        assert (await core.agent("linux-000002")).why is Reason.QUEUE_TIMEOUT
