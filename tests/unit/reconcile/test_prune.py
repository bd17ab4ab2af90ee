"""Agents that are long gone are forgotten; what lives, and the limits, are not touched by it."""

from datetime import timedelta
from pathlib import Path

from broker.domain.lifecycle import Phase
from broker.domain.reason import Reason
from broker.reconcile.prune import prune
from tests.core import open_core


async def test_an_agent_is_forgotten_only_when_its_history_is_old_enough(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db") as core:
        core.ctx.keep_history = timedelta(minutes=10)
        old, stays = await core.start("linux-000001"), await core.start("linux-000002")
        await core.release("linux-000001", Reason.COMPLETED)
        await core.advance(60)
        assert (await core.agent("linux-000001")).phase == Phase.GONE
        assert await prune(core.ctx) == 0
        await core.advance(600, step_s=60)
        assert await prune(core.ctx) == 1
        assert await core.ctx.agents.by_name(old.controller, old.name) is None
        assert await core.ctx.history.of_agent(old.id) == []
        assert (await core.agent("linux-000002")).id == stays.id
        assert len(await core.ctx.history.of_agent(stays.id)) > 2
