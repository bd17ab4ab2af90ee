"""How fast a cloud is called that does not say how fast it may be."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from broker.backends.aws_ecs.rates import QUOTAS, Family
from broker.backends.throttle import Bucket, Buckets, Closed, shared
from broker.domain.definitions import Rate
from broker.domain.reason import Reason
from broker.errors import Throttled
from broker.testing.clock import ManualClock


@dataclass
class Cloud:
    """A cloud's own bucket, and what it has seen."""

    clock: ManualClock
    rate: float
    burst: float
    latency_s: float = 0.05
    tokens: float = field(init=False)
    filled_at: float = 0.0
    accepted: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tokens = self.burst

    async def take(self) -> None:
        now = self.clock.monotonic()
        self.tokens = min(self.burst, self.tokens + (now - self.filled_at) * self.rate)
        self.filled_at = now
        refuse = self.tokens < 1
        if refuse:
            self.refused.append(now)
        else:
            self.tokens -= 1
            self.accepted.append(now)
        await self.clock.sleep_until(now + self.latency_s)
        if refuse:
            raise Throttled("ThrottlingException", "Rate exceeded")


async def call_until_taken(bucket: Bucket, cloud: Cloud, patience_s: float = 20.0) -> None:
    while True:
        try:
            async with bucket.call(patience_s):
                await cloud.take()
                return
        except Throttled:
            await cloud.clock.sleep_until(cloud.clock.monotonic() + 2.0)


async def run(clock: ManualClock, bucket: Bucket, cloud: Cloud, calls: int) -> float:
    """All calls at once; the seconds until the last was taken."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(call_until_taken(bucket, cloud), name=f"call-{n}") for n in range(calls)]
        await clock.advance_until(lambda: all(task.done() for task in tasks), step_s=0.5)
    return cloud.accepted[-1]


@pytest.mark.parametrize(("rate", "burst", "share"), [(20.0, 100, 0.97), (10.0, 50, 0.9), (20.0, 50, 0.85)])
async def test_a_quota_is_used_up_with_hardly_a_refusal_also_when_it_is_smaller_than_said(
    rate: float, burst: int, share: float
) -> None:
    clock = ManualClock()
    cloud, bucket = Cloud(clock, rate, burst), Bucket("RunTask", 20.0, 100, clock)
    took = await run(clock, bucket, cloud, 1000)
    ideal = (1000 - burst) / rate
    assert ideal / took >= share
    assert len(cloud.refused) <= 10


async def test_after_a_refusal_nothing_is_called_for_a_second_and_then_one_call_at_a_time_until_one_is_taken() -> None:
    clock = ManualClock()
    cloud, bucket = Cloud(clock, 0.0001, 20.0), Bucket("RunTask", 20.0, 100, clock)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(call_until_taken(bucket, cloud), name=f"call-{n}") for n in range(200)]
        await clock.advance(60.0)
        later = [at for at in cloud.refused if at > cloud.refused[0] + 0.1]
        assert len(later) <= 6
        assert all(b - a >= 1.0 for a, b in zip([cloud.refused[0], *later], later, strict=False))
        for task in tasks:
            task.cancel()


async def test_a_pause_saves_no_calls_that_would_all_go_at_once_afterwards() -> None:
    clock = ManualClock()
    bucket, cloud = Bucket("RunTask", 20.0, 20, clock), Cloud(clock, rate=10.0, burst=10.0, latency_s=0.0)
    await run(clock, bucket, cloud, 60)
    first = cloud.refused[0]
    after = [at for at in cloud.accepted if at > first + 1.0]
    assert sum(at < after[0] + 0.5 for at in after) <= 6
    assert [at for at in cloud.refused if first < at < after[0] + 2.0] == []


async def test_who_comes_first_is_served_first() -> None:
    clock = ManualClock()
    bucket = Bucket("RunTask", 1.0, 1, clock)
    served: list[int] = []

    async def one(n: int) -> None:
        async with bucket.call(60.0):
            served.append(n)

    async with asyncio.TaskGroup() as group:
        for n in range(6):
            group.create_task(one(n), name=f"call-{n}")
        await clock.advance(20.0)
    assert served == [0, 1, 2, 3, 4, 5]


async def test_one_that_gives_up_holds_up_nobody_behind_it() -> None:
    clock = ManualClock()
    bucket = Bucket("RunTask", 1.0, 1, clock)
    async with bucket.call(1.0):
        pass
    served: list[int] = []

    async def one(n: int) -> None:
        async with bucket.call(60.0):
            served.append(n)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(n), name=f"call-{n}") for n in range(3)]
        await clock.advance(0.1)
        tasks[0].cancel()
        await clock.advance(5.0)
    assert served == [1, 2]
    assert bucket.waiting == 0


async def test_who_waits_too_long_is_told_to_come_later() -> None:
    clock = ManualClock()
    bucket = Bucket("RunTask", 0.1, 1, clock)
    async with bucket.call(1.0):
        pass

    async def one() -> Throttled | None:
        try:
            async with bucket.call(5.0):
                return None
        except Throttled as error:
            return error

    async with asyncio.TaskGroup() as group:
        task = group.create_task(one(), name="late")
        await clock.advance(6.0)
        told = task.result()
    assert told is not None
    assert told.reason is Reason.THROTTLED
    assert bucket.waiting == 0


async def test_the_rate_comes_back_when_nothing_is_refused_any_more() -> None:
    clock = ManualClock()
    bucket = Bucket("RunTask", 20.0, 100, clock)
    with pytest.raises(Throttled):
        async with bucket.call(1.0):
            raise Throttled("ThrottlingException", "Rate exceeded")
    assert bucket.rate == pytest.approx(bucket.top / 2)
    await clock.advance(90.0)
    async with bucket.call(1.0):
        pass
    assert bucket.rate == bucket.top


async def test_a_cloud_that_cannot_be_reached_says_nothing_of_its_rate() -> None:
    clock = ManualClock()
    bucket = Bucket("RunTask", 20.0, 100, clock)
    with pytest.raises(Throttled):
        async with bucket.call(1.0):
            raise Throttled("EndpointConnectionError", "no route", Reason.BACKEND_ERROR)
    assert bucket.rate == bucket.top


async def test_backends_of_one_account_and_region_share_their_pauses() -> None:
    clock = ManualClock()
    one, other = shared(QUOTAS, "role", "eu-west-1", clock, None), shared(QUOTAS, "role", "eu-west-1", clock, None)
    elsewhere = shared(QUOTAS, "role", "eu-central-1", clock, None)
    with pytest.raises(Throttled):
        async with one[Family.RUN].call(1.0):
            raise Throttled("ThrottlingException", "Rate exceeded")
    assert other[Family.RUN].rate < other[Family.RUN].top
    assert elsewhere[Family.RUN].rate == elsewhere[Family.RUN].top
    assert other[Family.READ].rate == other[Family.READ].top


async def test_a_rate_that_a_reload_changes_holds_for_buckets_that_are_still_in_use() -> None:
    clock = ManualClock()
    before = shared(QUOTAS, "role", "eu-west-1", clock, Rate(count=20, per=timedelta(seconds=1)))
    after = shared(QUOTAS, "role", "eu-west-1", clock, Rate(count=1, per=timedelta(seconds=1)))
    assert after is before
    assert after[Family.RUN].rate == pytest.approx(0.99)
    async with asyncio.TaskGroup() as group:
        cloud = Cloud(clock, rate=100.0, burst=100.0)
        for n in range(10):
            group.create_task(call_until_taken(after[Family.RUN], cloud), name=f"call-{n}")
        await clock.advance(12.0)
    assert cloud.accepted[-1] - cloud.accepted[1] >= 7.0


def test_the_configs_rate_takes_the_place_of_the_vendors() -> None:
    buckets = Buckets(QUOTAS, ManualClock(), Rate(count=120, per=timedelta(minutes=1)))
    assert buckets[Family.RUN].top == pytest.approx(2 * 0.99)
    assert buckets[Family.DEFINITIONS].top == pytest.approx(0.99)


async def test_a_cloud_that_answers_slowly_is_still_called_at_its_rate() -> None:
    clock = ManualClock()
    bucket, cloud = Bucket("RunTask", 20.0, 20, clock), Cloud(clock, rate=20.0, burst=20.0, latency_s=2.0)
    assert await run(clock, bucket, cloud, 200) < 20.0
    assert len(cloud.refused) <= 5


async def test_whoever_waits_for_calls_that_get_no_answer_gives_up_in_time() -> None:
    clock = ManualClock()
    bucket, given_up = Bucket("DescribeTasks", 20.0, 50, clock), asyncio.Event()

    async def hang() -> None:
        async with bucket.call(5.0):
            await clock.sleep_until(20.0)

    async def last() -> None:
        with pytest.raises(Throttled):
            async with bucket.call(2.0):
                pass
        given_up.set()

    async with asyncio.TaskGroup() as group:
        for n in range(5):
            group.create_task(hang(), name=f"hang-{n}")
        await clock.advance(0.1)
        group.create_task(last(), name="last")
        await clock.advance(3.0)
        assert given_up.is_set()
        await clock.advance(20.0)


async def test_a_cloud_that_says_how_long_it_is_closed_is_not_asked_before() -> None:
    clock = ManualClock()
    bucket, cloud = Bucket("RunInstances", 20.0, 20, clock), Cloud(clock, rate=100.0, burst=100.0)
    with pytest.raises(Closed):
        async with bucket.call(1.0):
            raise Closed("Throttling.User", "closed until the next minute", pause_s=40.0)
    async with asyncio.TaskGroup() as group:
        group.create_task(call_until_taken(bucket, cloud, 60.0), name="waits")
        await clock.advance(39.0)
        assert cloud.accepted == []
        await clock.advance(2.0)
    assert len(cloud.accepted) == 1
