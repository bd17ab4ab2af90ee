"""What an account and region has is read seldom, kept, and never believed more than it says."""

import asyncio
import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from broker.backends.alibaba_ecs.console import Consoles, decoded
from broker.backends.alibaba_ecs.market import Market
from broker.backends.alibaba_ecs.options import Charge, PoolOptions
from broker.domain.host_order import HostPlace
from broker.domain.ids import HostId, HostRef
from broker.domain.reason import Reason
from broker.domain.resources import Resources
from broker.errors import BackendError, BackendRejected, OutcomeUnknown
from broker.testing.clock import ManualClock, settle
from broker.testing.factories import make_pool
from broker.testing.memory import FakeMemory

SPOT = Charge(spot_strategy="SpotAsPriceGo")


class Cloud:
    """Answers as the API does, and counts."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.failure: BackendError | None = None
        self.hangs = False
        self.addresses = 10
        self.state = "WithStock"
        self.console = ""

    async def __call__(self, action: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
        name = action.partition(":")[2]
        self.asked.append(name)
        if self.hangs:
            await asyncio.Event().wait()
        if self.failure is not None:
            raise self.failure
        answer: Callable[[Mapping[str, Any]], Mapping[str, Any]] = getattr(self, f"_{name}")
        return answer(request)

    def _DescribeInstanceTypes(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        known = [name for name in request["InstanceTypes"] if name != "ecs.none.large"]
        found = [{"InstanceTypeId": name, "CpuCoreCount": 4, "MemorySize": 7.5} for name in known]
        return {"InstanceTypes": {"InstanceType": found}}

    def _DescribeVSwitches(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        one = {"VSwitchId": request["VSwitchId"], "ZoneId": "cn-x-h", "AvailableIpAddressCount": self.addresses}
        return {"VSwitches": {"VSwitch": [] if request["VSwitchId"] == "vsw-none" else [one]}}

    def _DescribeAvailableResource(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        kinds = [{"Value": "ecs.a.large", "Status": "Available", "StatusCategory": self.state}]
        told = {"AvailableResource": [{"Type": "InstanceType", "SupportedResources": {"SupportedResource": kinds}}]}
        zone = {"ZoneId": "cn-x-h", "Status": "Available", "StatusCategory": "WithStock", "AvailableResources": told}
        return {"AvailableZones": {"AvailableZone": [zone]}}

    def _DescribeSpotPriceHistory(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        prices = [("2026-11-22T02:00:00Z", 0.3), ("2026-11-22T01:00:00Z", 0.9)]
        told = [{"ZoneId": "cn-x-h", "Timestamp": at, "SpotPrice": price} for at, price in prices]
        return {"SpotPrices": {"SpotPriceType": [*told, {"ZoneId": "cn-x-h", "Timestamp": "2026-11-22T03:00:00Z"}]}}

    def _GetInstanceConsoleOutput(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"ConsoleOutput": self.console}


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(settle=settle)


def market(cloud: Cloud, clock: ManualClock, memory: FakeMemory | None = None) -> Market:
    return Market(cloud, memory or FakeMemory(), clock, "cn-x")


OPTIONS = PoolOptions(instance_types=("ecs.a.large",), vswitches=("vsw-1",), charge=SPOT)


async def test_sizes_and_zones_are_read_once_and_by_the_next_process_not_at_all(
    cloud: Cloud, clock: ManualClock
) -> None:
    memory = FakeMemory()
    for _ in range(2):
        one = market(cloud, clock, memory)
        for _ in range(2):
            assert await one.sizes(["ecs.a.large"]) == {"ecs.a.large": Resources(cpu_milli=4000, memory_mib=7680)}
            assert await one.zones(["vsw-1"]) == {"vsw-1": "cn-x-h"}
    assert cloud.asked == ["DescribeInstanceTypes", "DescribeVSwitches"]


async def test_what_the_memory_has_of_another_region_or_garbled_is_read_anew(cloud: Cloud, clock: ManualClock) -> None:
    for text in ('{"region": "cn-y", "types": {"ecs.a.large": [1, 1]}, "zones": {}}', "[1]", "{", '{"region": "cn-x"}'):
        memory = FakeMemory()
        memory.text = text
        sizes = await market(cloud, clock, memory).sizes(["ecs.a.large"])
        assert sizes["ecs.a.large"].cpu_milli == 4000
        assert json.loads(memory.text)["region"] == "cn-x"


@pytest.mark.parametrize("what", ["type", "vswitch"])
async def test_what_the_region_does_not_have_is_named(cloud: Cloud, clock: ManualClock, what: str) -> None:
    one = market(cloud, clock)
    with pytest.raises(BackendRejected, match=r"cn-x has no .*none"):
        await (one.zones(["vsw-none"]) if what == "vswitch" else one.sizes(["ecs.a.large", "ecs.none.large"]))


async def test_many_types_are_asked_for_ten_at_a_time(cloud: Cloud, clock: ManualClock) -> None:
    names = [f"ecs.a{n}.large" for n in range(25)]
    assert list(await market(cloud, clock).sizes(names)) == names
    assert cloud.asked == ["DescribeInstanceTypes"] * 3


async def test_stock_and_prices_are_read_now_and_then_and_the_last_price_counts(
    cloud: Cloud, clock: ManualClock
) -> None:
    one = market(cloud, clock)
    for _ in range(3):
        await one.look(OPTIONS)
    assert sorted(cloud.asked) == ["DescribeAvailableResource", "DescribeSpotPriceHistory", "DescribeVSwitches"]
    assert one.price("cn-x-h", "ecs.a.large") == 0.3
    assert one.has("cn-x-h", "ecs.a.large", "spot", SPOT)
    assert not one.has("cn-x-h", "ecs.b.large", "spot", SPOT)
    await clock.advance(301.0)
    await one.look(OPTIONS)
    assert cloud.asked.count("DescribeAvailableResource") == 2
    assert cloud.asked.count("DescribeSpotPriceHistory") == 1


async def test_a_price_above_the_limit_is_no_chance_and_what_is_unknown_is_one(
    cloud: Cloud, clock: ManualClock
) -> None:
    one = market(cloud, clock)
    cheap = Charge(spot_strategy="SpotAsPriceGo", price_limit=0.2)
    assert one.has("cn-x-h", "ecs.a.large", "spot", cheap)
    await one.look(OPTIONS)
    assert not one.has("cn-x-h", "ecs.a.large", "spot", cheap)
    assert one.has("cn-x-h", "ecs.a.large", "on-demand", cheap)


async def test_without_stock_there_is_no_chance_until_it_is_read_anew_which_a_doubt_brings_on(
    cloud: Cloud, clock: ManualClock
) -> None:
    one = market(cloud, clock)
    cloud.state = "WithoutStock"
    await one.look(OPTIONS)
    assert not one.has("cn-x-h", "ecs.a.large", "spot", SPOT)
    cloud.state = "WithStock"
    one.doubt()
    await clock.advance(61.0)
    await one.look(OPTIONS)
    assert one.has("cn-x-h", "ecs.a.large", "spot", SPOT)


@pytest.mark.parametrize(("state", "reads"), [("WithStock", 2), ("WithoutStock", 12)])
async def test_stock_is_read_often_only_while_something_cannot_be_had(
    cloud: Cloud, clock: ManualClock, state: str, reads: int
) -> None:
    one = market(cloud, clock)
    cloud.state = state
    await one.zones(OPTIONS.vswitches)
    for _ in range(60):
        await one.look(OPTIONS)
        await clock.advance(60.0)
    assert cloud.asked.count("DescribeAvailableResource") == reads * len(OPTIONS.charge.capacities)


async def test_a_full_vswitch_is_taken_last(cloud: Cloud, clock: ManualClock) -> None:
    one = market(cloud, clock)
    one.doubt("vsw-1")
    assert one.roomiest(["vsw-1", "vsw-2"]) == "vsw-2"
    assert one.is_full("vsw-1")
    assert one.roomiest(["vsw-1"]) == "vsw-1"
    await one.look(OPTIONS)
    assert not one.is_full("vsw-1")


async def test_a_reading_that_fails_is_no_error_and_is_tried_after_a_minute_one_that_is_not_allowed_as_seldom_as_ever(
    cloud: Cloud, clock: ManualClock
) -> None:
    for reason, again in ((None, 2), (Reason.ACCESS_DENIED, 1)):
        one = market(cloud, clock)
        cloud.asked = []
        cloud.failure = BackendRejected("No", "no", reason)
        await one.look(OPTIONS)
        await clock.advance(61.0)
        await one.look(OPTIONS)
        assert cloud.asked.count("DescribeSpotPriceHistory") == again


async def test_a_reading_whose_asker_has_gone_is_tried_after_a_minute_too(cloud: Cloud, clock: ManualClock) -> None:
    one = market(cloud, clock)
    cloud.hangs = True
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await one.look(OPTIONS)
    cloud.hangs, cloud.asked = False, []
    await one.look(OPTIONS)
    assert "DescribeAvailableResource" not in cloud.asked
    await clock.advance(61.0)
    await one.look(OPTIONS)
    assert "DescribeAvailableResource" in cloud.asked


# consoles


def place(n: int = 1) -> HostPlace:
    return HostPlace(id=HostId(f"h-{n}"), pool=make_pool(options={}), ref=HostRef(f"i-{n}"), address="192.0.2.1")


async def test_a_console_is_read_at_most_once_in_ten_seconds_a_host(cloud: Cloud, clock: ManualClock) -> None:
    consoles = Consoles(cloud, clock)
    cloud.console = base64.b64encode(b"first \xff").decode()
    assert [await consoles.read(place()) for _ in range(3)] == ["first \ufffd"] * 3
    assert await consoles.read(place(2)) == "first \ufffd"
    assert len(cloud.asked) == 2
    cloud.console = base64.b64encode(b"second").decode()
    await clock.advance(10.0)
    assert await consoles.read(place()) == "second"


async def test_a_console_that_cannot_be_read_is_an_error_and_not_asked_for_at_once_again(
    cloud: Cloud, clock: ManualClock
) -> None:
    consoles = Consoles(cloud, clock)
    cloud.failure = OutcomeUnknown("No", "no")
    with pytest.raises(OutcomeUnknown):
        await consoles.read(place())
    assert await consoles.read(place()) == ""
    assert len(cloud.asked) == 1


def test_a_console_that_is_not_in_base64_is_not_taken_for_an_empty_one() -> None:
    assert decoded("") == ""
    with pytest.raises(OutcomeUnknown):
        decoded("ssh-ed25519 AAAA")
