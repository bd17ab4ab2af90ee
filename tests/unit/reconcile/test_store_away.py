"""While the store cannot be written no deadline counts; the time is made up for once it can be again."""

from contextlib import suppress
from pathlib import Path

import pytest

from broker.domain.lifecycle import Phase
from broker.domain.policy import OnTimeout, Timeouts
from broker.errors import StoreUnavailable
from broker.store.engine import Database
from broker.testing.factories import make_definitions, make_policy
from tests.core import Core, open_core

NAME = "linux-000001"


async def try_for(core: Core, seconds: int) -> None:
    """Time passes, and somebody tries again and again."""
    for _ in range(seconds // 5):
        await core.clock.advance(5)
        await core.sync()
        with suppress(StoreUnavailable):
            await core.standstill.tick()
        await core.settle()
    assert core.ctx.store_silent_since is not None
    assert core.ctx.database.failing == "the database cannot be written: No space left on device"


@pytest.mark.parametrize("phase", [Phase.REQUESTED, Phase.CONNECTING])
async def test_nobody_fails_for_time_in_which_nothing_could_be_written(tmp_path: Path, phase: Phase) -> None:
    definitions = make_definitions(policies=[make_policy(timeouts=Timeouts(on_timeout=OnTimeout.FAIL))])
    async with open_core(tmp_path / "broker.db", definitions) as core:
        core.backend.room = 0 if phase == Phase.REQUESTED else None
        await core.sync()
        await core.ask(NAME)
        await core.advance(2)
        before = await core.agent(NAME)
        assert before.phase == phase
        assert before.deadline is not None
        left = before.deadline - core.clock.now()
        with pytest.MonkeyPatch.context() as patched:
            _refuse(patched)
            await try_for(core, int(left.total_seconds()) + 100)
        core.ctx.nudge.agent(before.id)
        core.ctx.nudge.placement()
        await core.settle()  # a look that comes before the time is made up for
        await core.standstill.tick()
        await core.sync()
        await core.settle()
        after = await core.agent(NAME)
        assert after.phase == phase
        assert after.deadline is not None
        assert abs(after.deadline - core.clock.now() - left).total_seconds() <= 12
        for _ in range(int(left.total_seconds() / 5) + 12):
            await core.sync()
            await core.advance(5, step_s=5)
        assert (await core.agent(NAME)).deadline != after.deadline, "now it counts"


def _refuse(patched: pytest.MonkeyPatch) -> None:
    async def refuse(*_: object) -> None:
        raise OSError("No space left on device")

    patched.setattr(Database, "_once", refuse)
