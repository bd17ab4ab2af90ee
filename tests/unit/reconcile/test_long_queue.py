"""Ten thousand that wait cost little: the head of the line is decided, the rest is told once."""

from pathlib import Path

import pytest
from sqlalchemy import func, select

from broker.domain.lifecycle import Phase
from broker.domain.policy import AgentLimits
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
