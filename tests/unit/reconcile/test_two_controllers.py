"""Two controllers on one broker: limits, nodes, deadlines and releases of the one are nothing to the other."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from broker.domain.ids import AgentName, BootId, ControllerName
from broker.domain.lifecycle import Outcome, Phase
from broker.domain.policy import AgentLimits, Timeouts
from broker.domain.reason import Reason
from broker.intake import Release, Told, Truth
from broker.reconcile.presence import NodeReport
from broker.testing.factories import CONTROLLER, make_controller, make_definitions, make_policy
from tests.core import Core, open_core

MOBILE = ControllerName("mobile")
CONNECT = timedelta(seconds=20)
BOOTS = {CONTROLLER: BootId("boot-1"), MOBILE: BootId("boot-m")}


@pytest.fixture
async def core(tmp_path: Path) -> AsyncIterator[Core]:
    definitions = make_definitions(
        controllers=[make_controller(limits=AgentLimits(agents=1)), make_controller(name=MOBILE)],
        policies=[make_policy(timeouts=Timeouts(connect=CONNECT))],
    )
    async with open_core(tmp_path / "broker.db", definitions) as core:
        yield core


async def tell(core: Core, controller: ControllerName, *nodes: str) -> Truth:
    report = NodeReport(online=True, accepting=True, busy=False, uses=0)
    told = Told(boot_id=BOOTS[controller], nodes=dict.fromkeys(map(AgentName, nodes), report), pending=())
    return await core.intake.sync(controller, told)


async def test_the_limit_of_one_is_not_used_by_the_other(core: Core) -> None:
    await tell(core, CONTROLLER)
    await tell(core, MOBILE)
    await core.ask("a-1", "a-2", controller=CONTROLLER)
    await core.ask("m-1", "m-2", "m-3", controller=MOBILE)
    await core.settle()
    waiting = {name for name, phase in (await core.phases()).items() if phase == Phase.REQUESTED}
    assert len(waiting) == 1
    [name] = waiting
    agent = await core.agent(name)
    assert agent.why == Reason.CONTROLLER_AT_LIMIT
    assert agent.message == "controller main is at its limit (1 of 1 agents)"
    assert agent.controller == CONTROLLER
    assert core.backend.ledger.total_created() == 4


async def test_a_sync_sees_and_removes_its_own_agents_only(core: Core) -> None:
    await tell(core, CONTROLLER)
    await tell(core, MOBILE)
    await core.ask("a-1", controller=CONTROLLER)
    await core.ask("m-1", controller=MOBILE)
    await core.settle()
    truth = await tell(core, MOBILE, "a-1")
    assert [kept.agent.name for kept in truth.kept] == ["m-1"]
    assert (list(truth.unknown), truth.removed) == (["a-1"], ())
    given = Release(name="a-1", outcome=Outcome.CANCELLED, why=Reason.CANCELLED, message="", uses=0)
    assert await core.intake.release(MOBILE, BOOTS[MOBILE], [given]) == ["a-1"]
    await core.settle()
    assert set(await core.phases()) == {"a-1", "m-1"}
    assert (await core.agent("a-1")).phase != Phase.ONLINE


async def test_the_deadlines_of_one_stand_still_while_it_is_away_and_the_other_ones_do_not(core: Core) -> None:
    await tell(core, CONTROLLER)
    await tell(core, MOBILE)
    await core.ask("a-1", controller=CONTROLLER)
    await core.ask("m-1", controller=MOBILE)
    await core.settle()
    for _ in range(20):  # the first one is silent from now on
        await core.advance(2)
        await tell(core, MOBILE)
    [ours, theirs] = [await core.ctx.agents.by_name(c, AgentName(n)) for c, n in ((CONTROLLER, "a-1"), (MOBILE, "m-1"))]
    assert ours is not None
    assert theirs is not None
    assert ours.attempt == 1, "nobody ends what waits for a controller that is away"
    assert ours.phase == Phase.CONNECTING
    assert theirs.attempt > 1, "its agent has not connected in time, so it is tried again"
