"""Alibaba Cloud goes wrong in every way that is known: never two hosts for one, never one that nobody deletes.

Each test names its fault of the list that all backends are held to.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from broker.demo.clouds.alibaba.knobs import Fate, Timing
from broker.demo.clouds.faults import Fault
from broker.domain.host import HostState
from broker.domain.ids import HostRef
from broker.domain.offer import Offering
from broker.domain.reason import Reason
from broker.errors import BackendError, BackendRejected, InsufficientCapacity, OutcomeUnknown, Throttled
from broker.testing.clock import ManualClock, settle
from broker.testing.factories import POOL
from tests.contract.alibaba_rig import TYPE, ZONE, AlibabaRig, alibaba_rig

ON_DEMAND = Offering(POOL, ZONE, TYPE, "on-demand")


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[AlibabaRig]:
    """In virtual time, in which calls take none: hosts boot in half a minute, and looks are seconds apart."""
    clock = ManualClock(settle=partial(settle, 0.002))
    async with alibaba_rig(tmp_path, clock, poll_interval=3.0) as rig:
        rig.fake.ecs.timing = Timing(pending_s=2, starting_s=28, listed_after_end_s=5, visible_after_s=0)
        yield rig
        assert rig.fake.ledger.problems == []


def clock_of(rig: AlibabaRig) -> ManualClock:
    assert isinstance(rig.clock, ManualClock)
    return rig.clock


async def refused(call: Awaitable[object]) -> BackendError:
    try:
        await call
    except BackendError as error:
        return error
    raise AssertionError("nothing was refused")


async def made(rig: AlibabaRig, n: int = 1, hosts: int = 1) -> list[HostRef]:
    return list((await rig.backend.create_hosts(rig.order(n, hosts))).refs.values())


async def running(rig: AlibabaRig, n: int = 1, hosts: int = 1) -> list[HostRef]:
    refs = await made(rig, n, hosts)
    for _ in range(20):
        seen = await rig.backend.describe_hosts(refs)
        if all(one.state is HostState.RUNNING for one in seen.values()):
            return refs
        await clock_of(rig).advance(3.0)
    raise AssertionError("not all run")


async def test_f1_a_broken_service_makes_one_host_in_the_end(rig: AlibabaRig) -> None:
    rig.fake.faults.add(Fault(action="RunInstances", code="ServiceUnavailable", status=503, times=3))
    for _ in range(3):
        assert isinstance(await refused(rig.backend.create_hosts(rig.order())), OutcomeUnknown)
    await made(rig)
    assert await rig.count_hosts() == 1
    tokens = {call.parameters["ClientToken"] for call in rig.fake.ledger.of("RunInstances")}
    assert tokens == {"order-1"}


async def test_f2_a_throttled_call_closes_its_family_until_the_next_minute_and_no_other(rig: AlibabaRig) -> None:
    refs = await running(rig)
    rig.fake.throttles.close("RunInstances")
    error = await refused(rig.backend.create_hosts(rig.order(2)))
    assert isinstance(error, Throttled)
    assert error.reason is Reason.THROTTLED
    sent = rig.fake.ledger.count("RunInstances")
    again = await refused_after(rig, 25.0)
    assert again.code == "NoTurn"
    assert rig.fake.ledger.count("RunInstances") == sent
    await clock_of(rig).advance(3.0)
    assert set(await rig.backend.describe_hosts(refs)) == set(refs)
    await clock_of(rig).advance(60.0)
    await made(rig, 2)
    assert await rig.count_hosts() == 2


async def refused_after(rig: AlibabaRig, seconds: float) -> BackendError:
    """An order that waits for its turn, as virtual time goes on."""
    async with asyncio.TaskGroup() as group:
        order = group.create_task(refused(rig.backend.create_hosts(rig.order(2))), name="order")
        await clock_of(rig).advance(seconds)
    return order.result()


async def test_f2_how_long_the_cloud_says_that_it_is_closed_is_heeded(rig: AlibabaRig) -> None:
    rig.fake.faults.add(
        Fault(action="RunInstances", code="Throttling.User", status=400, retry_after_ms=4000),
    )
    assert isinstance(await refused(rig.backend.create_hosts(rig.order(2))), Throttled)
    await clock_of(rig).advance(4.5)
    await made(rig, 2)
    assert await rig.count_hosts() == 1


async def test_f3_a_line_that_breaks_after_the_order_gives_the_same_hosts(rig: AlibabaRig) -> None:
    rig.lose_answer()
    assert isinstance(await refused(rig.backend.create_hosts(rig.order(hosts=2))), OutcomeUnknown)
    refs = await made(rig, hosts=2)
    assert sorted(refs) == sorted(one.id for one in rig.fake.ecs.living)
    assert len(refs) == 2


async def test_f3_a_broker_that_dies_before_the_answer_finds_its_hosts_by_their_tags(rig: AlibabaRig) -> None:
    rig.lose_answer()
    assert isinstance(await refused(rig.backend.create_hosts(rig.order(hosts=2))), OutcomeUnknown)
    await clock_of(rig).advance(120.0)  # so that its request has another release time
    backend = await rig.reopen()
    found = (await backend.create_hosts(rig.order(hosts=2))).refs
    assert found == (await backend.locate_hosts(rig.order(hosts=2))).refs
    assert sorted(found.values()) == sorted(one.id for one in rig.fake.ecs.living)


async def test_f4_a_line_that_breaks_before_the_order_gives_exactly_one(rig: AlibabaRig) -> None:
    rig.fake.faults.add(Fault(action="RunInstances", drop=True))
    assert isinstance(await refused(rig.backend.create_hosts(rig.order())), OutcomeUnknown)
    assert isinstance(await refused(rig.backend.locate_hosts(rig.order())), OutcomeUnknown)
    assert len(await made(rig)) == 1
    assert await rig.count_hosts() == 1


async def test_f4_nothing_is_sure_to_be_there_none_a_minute_after_an_order_that_was_not_answered(
    rig: AlibabaRig,
) -> None:
    rig.fake.faults.add(Fault(action="RunInstances", drop=True))
    assert isinstance(await refused(rig.backend.create_hosts(rig.order())), OutcomeUnknown)
    await clock_of(rig).advance(61.0)
    assert (await rig.backend.locate_hosts(rig.order())).refs == {}


async def test_f7_a_host_that_the_cloud_takes_away_before_it_ran_is_told_within_ten_seconds(rig: AlibabaRig) -> None:
    rig.fake.ecs.fate_next(Fate(end="gone", after_s=10.0))
    [ref] = await made(rig)
    other = await running(rig, 2)
    seen = None
    for _ in range(4):
        seen = (await rig.backend.describe_hosts([ref, *other])).get(ref)
        if seen is not None and seen.state is HostState.STOPPED:
            break
        await clock_of(rig).advance(3.0)
    assert seen is not None
    assert (seen.state, seen.reason) == (HostState.STOPPED, Reason.INSUFFICIENT_CAPACITY)
    assert "SystemFailure.Delete" in seen.message
    await rig.backend.delete_hosts([ref])
    assert set(await rig.backend.describe_hosts([ref, *other])) == set(other)


async def test_f8_no_spot_stock_is_told_as_such_and_on_demand_still_works(rig: AlibabaRig) -> None:
    rig.fake.stock.put(ZONE, TYPE, spot=True, count=0)
    error = await refused(rig.backend.create_hosts(rig.order(1)))
    assert isinstance(error, InsufficientCapacity)
    assert error.reason is Reason.SPOT_UNAVAILABLE
    assert TYPE in error.message
    assert ZONE in error.message
    assert len((await rig.backend.create_hosts(rig.order(2, offering=ON_DEMAND))).refs) == 1


async def test_f8_what_has_no_stock_is_offered_last(rig: AlibabaRig) -> None:
    rig.pool_options = {"instance_types": [TYPE, "ecs.g7.xlarge"]}
    rig.fake.stock.sell_out(ZONE, TYPE)
    offers = [(one.type, one.capacity) for one in await rig.backend.offers(rig.pool)]
    assert offers == [
        ("ecs.g7.xlarge", "spot"),
        ("ecs.g7.xlarge", "on-demand"),
        (TYPE, "spot"),
        (TYPE, "on-demand"),
    ]


async def test_f8_a_full_quota_is_a_lack(rig: AlibabaRig) -> None:
    rig.fake.ecs.quotas.spot_vcpus = 0
    error = await refused(rig.backend.create_hosts(rig.order()))
    assert isinstance(error, InsufficientCapacity)
    assert error.reason is Reason.QUOTA_EXCEEDED


async def test_f8_a_full_vswitch_is_a_lack_that_names_the_key_and_its_zone_is_offered_last(rig: AlibabaRig) -> None:
    rig.pool_options = {"vswitches": ["vsw-bp1agentsh", "vsw-bp1agentsi"]}
    assert next(one.zone for one in await rig.backend.offers(rig.pool)) == ZONE
    code = "InvalidVSwitchId.IpNotEnough"
    rig.fake.faults.add(Fault(action="RunInstances", code=code, message="not enough addresses", status=403))
    error = await refused(rig.backend.create_hosts(rig.order()))
    assert isinstance(error, InsufficientCapacity)
    assert "vswitches" in error.message
    assert next(one.zone for one in await rig.backend.offers(rig.pool)) == "cn-hangzhou-i"


async def test_f9_a_new_host_that_is_in_no_answer_for_a_minute_is_not_gone_and_not_made_again(rig: AlibabaRig) -> None:
    rig.fake.ecs.timing.visible_after_s = 50
    [ref] = await made(rig)
    for _ in range(16):
        assert (await rig.backend.describe_hosts([ref]))[ref].state is HostState.PENDING
        await clock_of(rig).advance(3.0)
    await rig.backend.create_hosts(rig.order())
    await clock_of(rig).advance(6.0)
    assert (await rig.backend.describe_hosts([ref]))[ref].state is HostState.RUNNING
    assert await rig.count_hosts() == 1


async def test_f9_a_host_that_is_deleted_and_still_listed_is_told_until_it_is_gone(rig: AlibabaRig) -> None:
    refs = await running(rig)
    await rig.backend.delete_hosts(refs)
    await clock_of(rig).advance(3.0)
    assert (await rig.backend.describe_hosts(refs))[refs[0]].state is HostState.STOPPING
    for _ in range(6):
        await clock_of(rig).advance(3.0)
        await rig.backend.describe_hosts(refs)
    assert await rig.backend.describe_hosts(refs) == {}


async def test_f10_an_empty_answer_ends_no_host(rig: AlibabaRig) -> None:
    refs = await running(rig, hosts=3)
    region = rig.fake.ecs.region()
    await clock_of(rig).advance(30.0)
    kept, region.instances = region.instances, {}
    assert set(await rig.backend.describe_hosts(refs)) == set(refs)
    await clock_of(rig).advance(3.0)
    region.instances = kept
    for _ in range(3):
        assert set(await rig.backend.describe_hosts(refs)) == set(refs)
        await clock_of(rig).advance(3.0)


async def test_f10_hosts_that_are_all_gone_are_believed_gone_one_by_one(rig: AlibabaRig) -> None:
    refs = await running(rig, hosts=2)
    for ref in refs:
        rig.fake.ecs.vanish(ref)
    for _ in range(20):
        await clock_of(rig).advance(3.0)
        if not await rig.backend.describe_hosts(refs):
            break
    assert await rig.backend.describe_hosts(refs) == {}


async def test_f10_a_listing_whose_page_fails_or_that_is_empty_is_not_complete(rig: AlibabaRig) -> None:
    await running(rig, hosts=2)
    rig.fake.faults.add(Fault(action="DescribeInstances", code="InternalError", status=500))
    assert not (await rig.backend.list_hosts()).complete
    region = rig.fake.ecs.region()
    kept, region.instances = region.instances, {}
    assert not (await rig.backend.list_hosts()).complete
    region.instances = kept
    listing = await rig.backend.list_hosts()
    assert listing.complete
    assert len(listing.hosts) == 2


async def test_f11_a_deletion_that_fails_is_tried_again_and_nothing_is_left(rig: AlibabaRig) -> None:
    refs = await running(rig, hosts=2)
    rig.fake.faults.add(Fault(action="DeleteInstances", code="InternalError", status=500))
    assert isinstance(await refused(rig.backend.delete_hosts(refs)), OutcomeUnknown)
    await rig.backend.delete_hosts(refs)
    await clock_of(rig).advance(10.0)
    assert await rig.count_hosts() == 0


async def test_f11_one_host_that_is_gone_spoils_no_deletion_of_others(rig: AlibabaRig) -> None:
    refs = await running(rig, hosts=5)
    rig.fake.ecs.vanish(refs[2])
    await rig.backend.delete_hosts(refs)
    assert rig.fake.ecs.living == []
    assert rig.fake.ledger.count("DeleteInstances") <= 7


async def test_f11_an_outage_during_the_end_leaks_nothing(rig: AlibabaRig) -> None:
    refs = await running(rig, hosts=2)
    rig.fake.faults.add(Fault(code="ServiceUnavailable", status=503, times=None))
    for _ in range(40):
        await refused(rig.backend.delete_hosts(refs))
        await clock_of(rig).advance(3.0)
    error = await refused(rig.backend.describe_hosts(refs))
    assert isinstance(error, OutcomeUnknown)
    rig.fake.faults.clear()
    await rig.backend.delete_hosts(refs)
    await clock_of(rig).advance(10.0)
    assert await rig.count_hosts() == 0


async def test_f21_a_notice_says_when_it_ends_and_says_the_same_after_a_restart(rig: AlibabaRig) -> None:
    refs = await running(rig, hosts=2)
    at = await rig.interrupt(refs[0], "")
    await clock_of(rig).advance(28.0)
    seen = await rig.backend.describe_hosts(refs)
    notice = seen[refs[0]].interruption
    assert notice is not None
    assert abs((notice.at - at).total_seconds()) <= 30
    assert "Recycling" in notice.message
    assert seen[refs[1]].interruption is None
    await clock_of(rig).advance(9.0)
    again = (await (await rig.reopen()).describe_hosts(refs))[refs[0]].interruption
    assert again == notice


async def test_f26_revoked_keys_are_told_and_new_ones_are_used_without_a_restart(tmp_path: Path) -> None:
    files = {key: tmp_path / key for key in ("access_key_id", "access_key_secret")}
    options: dict[str, Any] = {f"{key}_file": str(file) for key, file in files.items()} | dict.fromkeys(files)
    async with alibaba_rig(tmp_path / "hosts", **options) as rig:
        files["access_key_id"].write_text(rig.fake.access_key)
        files["access_key_secret"].write_text("wrong")
        error = await refused(rig.backend.create_hosts(rig.order()))
        assert isinstance(error, BackendRejected)
        assert error.reason is Reason.CREDENTIALS_INVALID
        assert "backends.ali" in error.message
        files["access_key_secret"].write_text(rig.fake.secret_key)
        assert len((await rig.backend.create_hosts(rig.order())).refs) == 1


async def test_f26_what_one_action_is_denied_keeps_no_other_from_its_work(rig: AlibabaRig) -> None:
    refs = await running(rig)
    rig.fake.faults.add(Fault(action="RunInstances", code="Forbidden.RAM", status=403, times=None))
    error = await refused(rig.backend.create_hosts(rig.order(2)))
    assert isinstance(error, BackendRejected)
    assert error.reason is Reason.ACCESS_DENIED
    await rig.backend.delete_hosts(refs)
    await clock_of(rig).advance(10.0)
    assert await rig.count_hosts() == 0


async def test_a_release_time_is_put_off_at_half_time_and_no_sooner(rig: AlibabaRig) -> None:
    refs = await running(rig, hosts=3)
    for _ in range(10):
        await clock_of(rig).advance(900.0)
        await rig.backend.describe_hosts(refs)
    assert rig.fake.ledger.count("ModifyInstanceAutoReleaseTime") == 0
    for _ in range(10):
        await clock_of(rig).advance(900.0)
        await rig.backend.describe_hosts(refs)
    assert rig.fake.ledger.count("ModifyInstanceAutoReleaseTime") == 3
    assert await rig.count_hosts() == 3


async def test_a_release_time_that_cannot_be_put_off_keeps_nobody_elses(rig: AlibabaRig) -> None:
    refs = await running(rig, hosts=8)
    rig.fake.faults.add(
        Fault(action="ModifyInstanceAutoReleaseTime", code="IncorrectInstanceStatus", status=403, times=6)
    )
    for _ in range(20):
        await clock_of(rig).advance(900.0)
        await rig.backend.describe_hosts(refs)
    late = [one for one in rig.fake.ecs.living if (one.auto_release_at or 0.0) < clock_of(rig).now().timestamp() + 3600]
    assert late == []
    assert rig.fake.ledger.count("ModifyInstanceAutoReleaseTime") == 14


async def test_a_release_time_is_taken_away_when_the_config_has_none_any_more(rig: AlibabaRig) -> None:
    refs = await running(rig, hosts=2)
    rig.options["auto_release"] = 0.0
    await rig.reopen()
    for _ in range(40):
        await clock_of(rig).advance(900.0)
        await rig.backend.describe_hosts(refs)
    assert [one.auto_release_at for one in rig.fake.ecs.living if one.id in refs] == [None, None]
    assert rig.fake.ledger.count("ModifyInstanceAutoReleaseTime") == 2


async def test_hosts_of_a_broker_that_is_dead_are_deleted_by_the_cloud(rig: AlibabaRig) -> None:
    await running(rig, hosts=2)
    await clock_of(rig).advance(6.1 * 3600)
    assert await rig.count_hosts() == 0


async def test_what_the_cloud_refuses_names_the_key_of_the_pool_itself(rig: AlibabaRig) -> None:
    rig.fake.faults.add(Fault(action="RunInstances", code="InvalidImageId.NotFound", message="no image", status=404))
    error = await refused(rig.backend.create_hosts(rig.order()))
    assert error.message == f"no image; look at pools.{POOL}.image_id"
    assert str(error) == f"InvalidImageId.NotFound: {error.message}"
