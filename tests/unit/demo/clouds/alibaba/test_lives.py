"""The life of instances: how they come up, are told of, end, and what the cloud does of itself."""

from collections.abc import Callable

import pytest

from broker.demo.clouds.alibaba.cloud import FakeAlibaba
from broker.demo.clouds.alibaba.instances import Instance
from broker.demo.clouds.alibaba.knobs import Fate, Timing
from broker.demo.clouds.alibaba.runner import Ran, Script
from broker.testing.clock import ManualClock
from tests.fake_alibaba import Sdk
from tests.unit.demo.clouds.alibaba.conftest import launched, seen


async def states(api: Sdk) -> list[str]:
    """What DescribeInstanceStatus tells."""
    told = await api("DescribeInstanceStatus")
    return [one["Status"] for one in told["InstanceStatuses"]["InstanceStatus"]]


async def test_an_instance_comes_up_by_and_by(api: Sdk, clock: ManualClock) -> None:
    await launched(api)
    assert await states(api) == ["Pending"]
    await clock.advance(2)
    assert await states(api) == ["Starting"]
    await clock.advance(7.9)
    assert (await seen(api))[0]["StartTime"] == ""
    await clock.advance(0.1)
    (one,) = await seen(api)
    assert (one["Status"], one["CreationTime"], one["StartTime"]) == (
        "Running",
        "2026-01-01T00:00Z",
        "2026-01-01T00:00Z",
    )


async def test_addresses_come_later_than_the_instance(fake: FakeAlibaba, api: Sdk, clock: ManualClock) -> None:
    fake.ecs.timing = Timing(pending_s=2, starting_s=8, address_s=5, public_address_s=20)
    await launched(api, InternetMaxBandwidthOut=5)
    (one,) = await seen(api)
    assert one["VpcAttributes"]["PrivateIpAddress"]["IpAddress"] == one["PublicIpAddress"]["IpAddress"] == []
    await clock.advance(15)
    (one,) = await seen(api)
    assert one["Status"] == "Running"
    assert (one["VpcAttributes"]["PrivateIpAddress"]["IpAddress"], one["PublicIpAddress"]["IpAddress"]) == (
        ["10.0.0.1"],
        [],
    )
    await clock.advance(5)
    assert len((await seen(api))[0]["PublicIpAddress"]["IpAddress"]) == 1


async def test_a_fresh_instance_may_be_unseen_for_a_while(fake: FakeAlibaba, api: Sdk, clock: ManualClock) -> None:
    fake.ecs.timing = Timing(visible_after_s=4)
    (one,) = await launched(api)
    assert await seen(api) == []
    assert await states(api) == []
    await clock.advance(4)
    assert [each["InstanceId"] for each in await seen(api)] == [one]


async def test_a_deleted_instance_is_listed_for_a_while_and_is_not_found(api: Sdk, clock: ManualClock) -> None:
    (one,) = await launched(api)
    await clock.advance(20)
    await api("DeleteInstances", InstanceId=[one], Force=True)
    assert [each["Status"] for each in await seen(api)] == ["Stopping"]
    assert (await api.refused("DeleteInstance", InstanceId=one, Force=True)).code == "InvalidInstanceId.NotFound"
    await clock.advance(5)
    assert await seen(api) == []


async def test_a_running_instance_is_deleted_by_force_alone(api: Sdk, clock: ManualClock) -> None:
    (one,) = await launched(api)
    initializing = await api.refused("DeleteInstance", InstanceId=one, Force=True)
    assert (initializing.code, initializing.status_code) == ("IncorrectInstanceStatus.Initializing", 403)
    await clock.advance(20)
    running = await api.refused("DeleteInstance", InstanceId=one)
    assert (running.code, running.status_code) == ("IncorrectInstanceStatus", 403)
    assert (await api.refused("DeleteInstance", InstanceId=one, Force=True, DryRun=True)).code == "DryRunOperation"
    await api("DeleteInstance", InstanceId=one, Force=True)


async def test_many_are_deleted_all_or_none(fake: FakeAlibaba, api: Sdk, clock: ManualClock) -> None:
    ids = await launched(api, Amount=3)
    await clock.advance(20)
    refused = await api.refused("DeleteInstances", InstanceId=[*ids, "i-gone"], Force=True)
    assert (refused.code, refused.status_code) == ("InvalidInstanceId.NotFound", 404)
    assert len(fake.ecs.living) == 3
    await api("DeleteInstances", InstanceId=ids, Force=True, ClientToken="t")
    await api("DeleteInstances", InstanceId=ids, Force=True, ClientToken="t")
    refused = await api.refused("DeleteInstances", InstanceId=ids[:1], Force=True, ClientToken="t")
    assert refused.code == "IdempotentParameterMismatch"
    assert fake.ecs.living == []
    too_many = await api.refused("DeleteInstances", InstanceId=[f"i-{number}" for number in range(101)])
    assert too_many.code == "InvalidParameter"


async def test_a_protected_instance_stays(api: Sdk, clock: ManualClock) -> None:
    (one,) = await launched(api, DeletionProtection=True)
    await clock.advance(20)
    refused = await api.refused("DeleteInstance", InstanceId=one, Force=True)
    assert refused.code == "InvalidOperation.DeletionProtection"
    await api("ModifyInstanceAttribute", InstanceId=one, DeletionProtection=False)
    await api("DeleteInstance", InstanceId=one, Force=True)


async def test_an_instance_stops_and_starts(api: Sdk, clock: ManualClock) -> None:
    (one,) = await launched(api)
    assert (await api.refused("StopInstance", InstanceId=one)).code == "IncorrectInstanceStatus"
    await clock.advance(20)
    assert (await api.refused("StartInstance", InstanceId=one)).code == "IncorrectInstanceStatus"
    await api("StopInstance", InstanceId=one, StoppedMode="StopCharging")
    assert await states(api) == ["Stopping"]
    await clock.advance(10)
    assert [(each["Status"], each["StoppedMode"]) for each in await seen(api)] == [("Stopped", "StopCharging")]
    await api("StartInstance", InstanceId=one)
    await clock.advance(10)
    assert await states(api) == ["Running"]
    await api("StopInstance", InstanceId=one, ForceStop=True)
    await clock.advance(1)
    await api("DeleteInstance", InstanceId=one)


async def test_it_is_released_at_its_time_which_may_be_moved(api: Sdk, clock: ManualClock) -> None:
    (one,) = await launched(api, AutoReleaseTime="2026-01-01T01:00:00Z")
    await api("ModifyInstanceAutoReleaseTime", InstanceId=one, AutoReleaseTime="2026-01-01T02:00:00Z")
    await clock.advance(3700)
    assert await states(api) == ["Running"]
    early = await api.refused("ModifyInstanceAutoReleaseTime", InstanceId=one, AutoReleaseTime="2026-01-01T01:10:00Z")
    assert early.code == "InvalidAutoReleaseTime.Malformed"
    await clock.advance(3600)
    assert await states(api) == []


async def test_a_release_that_was_taken_back_does_not_happen(api: Sdk, clock: ManualClock) -> None:
    (one,) = await launched(api, AutoReleaseTime="2026-01-01T01:00:00Z")
    await api("ModifyInstanceAutoReleaseTime", InstanceId=one)
    assert (await seen(api))[0]["AutoReleaseTime"] == ""
    await clock.advance(7200)
    assert await states(api) == ["Running"]


async def test_spot_capacity_is_taken_back_five_minutes_after_its_notice(
    fake: FakeAlibaba, api: Sdk, clock: ManualClock
) -> None:
    (one,) = await launched(api, SpotStrategy="SpotAsPriceGo")
    await clock.advance(20)
    fake.ecs.interrupt(one)
    fake.ecs.interrupt(one)
    assert (await seen(api))[0]["OperationLocks"] == {"LockReason": [{"LockReason": "Recycling"}]}
    assert len(await seen(api, LockReason="Recycling")) == 1
    await clock.advance(299)
    assert await states(api) == ["Running"]
    await clock.advance(1)
    assert await seen(api) == []


async def test_spot_capacity_that_is_to_stop_only_stops(fake: FakeAlibaba, api: Sdk, clock: ManualClock) -> None:
    (one,) = await launched(api, SpotStrategy="SpotAsPriceGo", SpotInterruptionBehavior="Stop")
    await clock.advance(20)
    fake.ecs.interrupt(one)
    await clock.advance(300)
    assert await states(api) == ["Stopped"]


async def test_a_price_above_its_limit_interrupts_spot_capacity(
    fake: FakeAlibaba, api: Sdk, clock: ManualClock
) -> None:
    (bounded,) = await launched(api, SpotStrategy="SpotWithPriceLimit", SpotPriceLimit=0.2)
    await launched(api, SpotStrategy="SpotWithPriceLimit", SpotPriceLimit=0.4)
    await launched(api, SpotStrategy="SpotAsPriceGo")
    await launched(api)
    fake.ecs.price_spot("cn-hangzhou-h", "ecs.g7.large", 0.3)
    assert [one["InstanceId"] for one in await seen(api, LockReason="Recycling")] == [bounded]


async def test_what_runs_on_demand_cannot_be_interrupted(fake: FakeAlibaba, api: Sdk) -> None:
    (one,) = await launched(api)
    with pytest.raises(ValueError, match="does not run on spot capacity"):
        fake.ecs.interrupt(one)


async def test_instances_meet_their_fates(fake: FakeAlibaba, api: Sdk, clock: ManualClock) -> None:
    fake.ecs.fate_next(Fate(end="gone", after_s=5))
    fake.ecs.fate_next(Fate(end="stopped", after_s=15))
    fake.ecs.fate_next(Fate(end="stuck", after_s=5))
    await launched(api, Amount=4)
    await clock.advance(5)
    assert await states(api) == ["Starting"] * 3
    await clock.advance(100)
    assert await states(api) == ["Stopped", "Starting", "Running"]


async def test_an_instance_may_vanish_or_stop_of_itself(fake: FakeAlibaba, api: Sdk, clock: ManualClock) -> None:
    first, second = await launched(api, Amount=2)
    await clock.advance(20)
    fake.ecs.vanish(first)
    fake.ecs.shut_down(second)
    await clock.advance(2)
    assert [(one["InstanceId"], one["Status"]) for one in await seen(api)] == [(second, "Stopped")]


class Told:
    """A runner that writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def began(self, instance: Instance) -> None:
        self.told.append(f"began {instance.name}")

    def ended(self, instance: Instance) -> None:
        self.told.append(f"ended {instance.name}")

    def console(self, instance: Instance) -> str:
        return f"console of {instance.name}"

    def is_reachable(self, instance: Instance) -> bool:
        return True

    def run_command(self, instance: Instance, script: Script) -> Callable[[], Ran]:
        return lambda: Ran(exit_code=0, output=script.content.encode())

    def stop_command(self, instance: Instance, invocation: str) -> None:
        self.told.append("killed")


async def test_a_runner_is_told_once_of_what_begins_and_ends(fake: FakeAlibaba, api: Sdk, clock: ManualClock) -> None:
    fake.ecs.runner = runner = Told()
    (one,) = await launched(api, InstanceName="one")
    (two,) = await launched(api, InstanceName="two", SpotStrategy="SpotAsPriceGo")
    await clock.advance(2)
    await api("DeleteInstance", InstanceId=one, Force=True)  # it never ran
    await clock.advance(20)
    fake.ecs.look()
    assert runner.told == ["began two"]
    fake.ecs.interrupt(two)
    await clock.advance(300)
    fake.ecs.look()
    assert runner.told == ["began two", "ended two"]


async def test_things_happen_in_virtual_time_however_late_somebody_asks(
    fake: FakeAlibaba, api: Sdk, clock: ManualClock
) -> None:
    fake.ecs.runner = runner = Told()
    await launched(api, InstanceName="one", AutoReleaseTime="2026-01-01T01:00:00Z")
    await clock.advance(86400)
    fake.ecs.look()
    assert runner.told == ["began one", "ended one"]
    assert fake.ecs.living == []
