"""What hosts on Alibaba Cloud cost in calls, over their whole life, by the real SDK in virtual time."""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from broker.demo.clouds.alibaba.knobs import Timing
from broker.domain.host import HostState
from broker.domain.ids import HostRef
from broker.domain.offer import Offering
from broker.testing.clock import ManualClock, settle
from broker.testing.factories import POOL
from tests.contract.alibaba_rig import TYPE, AlibabaRig, alibaba_rig

IDLE_S = 1800.0
BOOT_S = 40.0


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[AlibabaRig]:
    clock = ManualClock(settle=partial(settle, 0.001))
    async with alibaba_rig(tmp_path, clock, poll_interval=3.0) as rig:
        rig.fake.ecs.timing = Timing(pending_s=2, starting_s=BOOT_S - 2, listed_after_end_s=5)
        yield rig


async def pass_time(rig: AlibabaRig, seconds: float, refs: list[HostRef], step_s: float = 2.0) -> None:
    """As the core asks: again and again for all of them, more often than the backend looks."""
    assert isinstance(rig.clock, ManualClock)
    for _ in range(round(seconds / step_s)):
        await rig.clock.advance(step_s)
        await rig.backend.describe_hosts(refs)


async def test_a_thousand_agents_on_five_hundred_hosts_cost_six_tenths_of_a_call_each(rig: AlibabaRig) -> None:
    refs: list[HostRef] = []
    rig.pool_options = {"vswitches": [f"vsw-bp1agents{letter}" for letter in "hij"]}
    await rig.backend.offers(rig.pool)
    for n in range(5):
        offering = Offering(POOL, f"cn-hangzhou-{'hij'[n % 3]}", TYPE, "spot")
        refs += (await rig.backend.create_hosts(rig.order(n, hosts=100, offering=offering))).refs.values()
    await pass_time(rig, BOOT_S + 6, refs)
    assert {one.state for one in (await rig.backend.describe_hosts(refs)).values()} == {HostState.RUNNING}
    await pass_time(rig, IDLE_S, refs, step_s=7.0)
    await rig.backend.delete_hosts(refs)
    for _ in range(30):
        await pass_time(rig, 2, refs)
        if not await rig.backend.describe_hosts(refs):
            break
    assert await rig.backend.describe_hosts(refs) == {}
    assert rig.fake.ecs.living == []
    calls = len(rig.fake.ledger)
    assert rig.fake.ledger.count("RunInstances") == 5
    assert rig.fake.ledger.count("DeleteInstances") == 5
    assert calls <= 0.6 * 1000, rig.fake.ledger.by_action()


async def test_a_hundred_idle_hosts_cost_two_calls_an_hour_each_at_most(rig: AlibabaRig) -> None:
    refs = list((await rig.backend.create_hosts(rig.order(1, hosts=100))).refs.values())
    await pass_time(rig, BOOT_S + 30, refs)
    rig.fake.ledger.clear()
    hours = 4
    await pass_time(rig, hours * 3600, refs, step_s=14.0)
    calls = len(rig.fake.ledger)
    assert rig.fake.ledger.count("ModifyInstanceAutoReleaseTime") == 100
    assert calls / 100 / hours <= 2.0, rig.fake.ledger.by_action()
    assert await rig.count_hosts() == 100
