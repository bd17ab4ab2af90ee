"""How many idle agents are kept follows the schedule: more from a time on, then fewer, whatever the clock does."""

from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from broker.config.cron import read_cron
from broker.domain.definitions import Definitions
from broker.domain.ids import PolicyName
from broker.domain.schedule import WarmChange
from broker.placement.warm import counts
from broker.testing.factories import make_definitions, make_policy
from tests.core import Core, open_core
from tests.unit.wanted.jenkins import Jenkins, wishes

SHANGHAI = ZoneInfo("Asia/Shanghai")  # the tests' clock starts at 08:00 there
BUSY_AT_0801 = WarmChange(cron=read_cron("1 8 * * *"), zone=SHANGHAI, min_idle=3)
QUIET_AT_0803 = WarmChange(cron=read_cron("3 8 * * *"), zone=SHANGHAI, min_idle=1)
LINUX = PolicyName("linux")


def scheduled(*changes: WarmChange) -> Definitions:
    return make_definitions(policies=[make_policy(min_idle=0, warm_changes=changes)])


async def wait(core: Core, minutes: float) -> None:
    await core.advance(minutes * 60, step_s=5)


async def test_agents_come_from_the_time_of_a_change_on_and_leave_after_the_next(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db", scheduled(BUSY_AT_0801, QUIET_AT_0803)) as core:
        jenkins = Jenkins(core)
        await jenkins.exchange()
        await jenkins.come_online()
        assert len(await jenkins.agents()) == 1, "what yesterday's last change says"
        await wait(core, 1)
        assert wishes(await jenkins.exchange()) == []
        await jenkins.come_online()
        agents = {agent.name for agent in await jenkins.agents()}
        assert len(agents) == 3
        assert jenkins.kept() == agents
        await wait(core, 2)
        assert wishes(await jenkins.sync()) == []
        assert len(jenkins.kept()) == 1


async def test_what_is_shown_is_the_number_of_now(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db", scheduled(BUSY_AT_0801, QUIET_AT_0803)) as core:
        ctx = core.ctx
        shown = []
        for minutes in (0, 1, 2):
            await wait(core, minutes)
            shown.append(counts(await ctx.agents.live(), ctx.definitions, ctx.clock.now())[LINUX][1])
        assert shown == [1, 3, 1]


async def test_more_are_not_taken_on_than_the_time_says(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db", scheduled(BUSY_AT_0801, QUIET_AT_0803)) as core:
        jenkins = Jenkins(core)
        await wait(core, 1)
        assert wishes(await jenkins.sync()) == [("linux", 3)]
        await wait(core, 2)
        await jenkins.ask()
        assert len(await jenkins.agents()) == 1
        assert jenkins.refused == ["Superseded: policy linux has as many idle agents as it keeps"] * 2


async def test_a_clock_that_is_set_wrong_for_a_while_leaves_no_trace(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db", scheduled(BUSY_AT_0801, QUIET_AT_0803)) as core:
        jenkins = Jenkins(core)
        numbers = []
        for jump in (timedelta(minutes=1), timedelta(days=-1), timedelta(days=1), -timedelta(minutes=1)):
            core.clock.jump(jump)
            numbers.append(wishes(await Jenkins(core, jenkins.name).sync()))
        assert numbers == [[("linux", 3)], [("linux", 3)], [("linux", 3)], [("linux", 1)]]
