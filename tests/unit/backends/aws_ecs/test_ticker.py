"""How often the cloud is asked for what is watched, and what is told meanwhile."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from broker.backends.aws_ecs.logs import Logs
from broker.backends.aws_ecs.ownership import Ownership
from broker.backends.aws_ecs.ticker import Ticker, Watching
from broker.domain.ids import BackendName, InstanceRef
from broker.domain.instance import InstanceState
from broker.errors import OutcomeUnknown, Throttled
from broker.testing.clock import ManualClock
from broker.testing.factories import make_spec
from tests.unit.backends.aws_ecs.cloud import Cloud, ref_of

OWNERSHIP = Ownership(BackendName("aws"), "one", lambda text: f"signed {hash(text)}")


@pytest.fixture
def cloud() -> Cloud:
    return Cloud(ManualClock())


@pytest.fixture
def ticker(cloud: Cloud) -> Ticker:
    calls = cloud.calls()
    return Ticker(calls, Logs(calls), OWNERSHIP, cloud.clock, Watching())


def put_ours(cloud: Cloud, n: int, last: str = "RUNNING", cluster: str = "ci", **more: object) -> InstanceRef:
    ref = ref_of(n, cluster)
    tags = OWNERSHIP.tags(make_spec(n), "agentbroker-base")
    cloud.put(ref, last, tags=tags, startedBy=OWNERSHIP.started_by, **more)
    return ref


async def poll(ticker: Ticker, cloud: Cloud, refs: Sequence[InstanceRef], seconds: float) -> None:
    """As the core does: twice a second, a hundred a question."""
    for _ in range(int(seconds * 2)):
        for start in range(0, len(refs), 100):
            await ticker.describe(refs[start : start + 100])
        await cloud.clock.advance(0.5)


async def test_what_moves_is_looked_at_every_three_seconds_a_hundred_a_call(ticker: Ticker, cloud: Cloud) -> None:
    refs = [put_ours(cloud, n, "PENDING") for n in range(250)]
    await poll(ticker, cloud, refs, 3.0)
    cloud.asked.clear()
    await poll(ticker, cloud, refs, 30.0)
    assert len(cloud.asked) == 3 * 10
    assert sorted(len(request["tasks"]) for request in cloud.asked[:3]) == [50, 100, 100]


async def test_what_runs_for_long_is_looked_at_every_fifteen_seconds(ticker: Ticker, cloud: Cloud) -> None:
    refs = [put_ours(cloud, n) for n in range(100)]
    await poll(ticker, cloud, refs, 90.0)
    cloud.asked.clear()
    await poll(ticker, cloud, refs, 60.0)
    assert len(cloud.asked) == 4


async def test_a_call_for_what_moves_is_filled_up_with_what_does_not(ticker: Ticker, cloud: Cloud) -> None:
    steady = [put_ours(cloud, n) for n in range(50)]
    await poll(ticker, cloud, steady, 90.0)
    moving = [put_ours(cloud, n, "PENDING") for n in range(50, 60)]
    await poll(ticker, cloud, [*steady, *moving], 3.0)
    cloud.asked.clear()
    await poll(ticker, cloud, [*steady, *moving], 30.0)
    assert len(cloud.asked) == 10
    assert all(len(request["tasks"]) == 60 for request in cloud.asked)


async def test_tags_are_asked_for_only_until_it_is_known_whose_a_task_is(ticker: Ticker, cloud: Cloud) -> None:
    ref = put_ours(cloud, 1, "PENDING")
    await poll(ticker, cloud, [ref], 9.0)
    assert ["TAGS" in request.get("include", ()) for request in cloud.asked] == [True, False, False]


async def test_each_cluster_and_region_is_asked_for_its_own(ticker: Ticker, cloud: Cloud) -> None:
    here, there = put_ours(cloud, 1), put_ours(cloud, 2, cluster="gpu")
    far = ref_of(3, region="eu-central-1")
    cloud.put(far)
    found = await ticker.describe([here, there, far, InstanceRef("no-arn")])
    assert set(found) == {here, there}
    assert {(r["cluster"], *r["tasks"]) for r in cloud.asked} == {("ci", here), ("gpu", there), ("ci", far)}
    assert set(cloud.regions) == {"eu-west-1", "eu-central-1"}


async def test_what_nobody_asks_for_any_more_is_not_looked_at(ticker: Ticker, cloud: Cloud) -> None:
    left, asked = put_ours(cloud, 1, "PENDING"), put_ours(cloud, 2, "PENDING")
    await ticker.describe([left, asked])
    await poll(ticker, cloud, [asked], 90.0)
    assert cloud.asked[-1]["tasks"] == [asked]


async def test_a_task_that_has_ended_by_itself_is_told_as_stopped_until_its_end_is_asked_for(
    ticker: Ticker, cloud: Cloud
) -> None:
    ref = put_ours(cloud, 1, "STOPPED", stopCode="EssentialContainerExited", stoppedReason="exited")
    assert (await ticker.describe([ref]))[ref].state is InstanceState.STOPPED
    cloud.asked.clear()
    await poll(ticker, cloud, [ref], 60.0)
    assert cloud.asked == []
    ticker.tasks.by_ref[ref].ended_at = cloud.clock.monotonic()
    assert await ticker.describe([ref]) == {}


async def test_a_running_task_that_is_missing_once_is_still_there(ticker: Ticker, cloud: Cloud) -> None:
    ref = put_ours(cloud, 1)
    await poll(ticker, cloud, [ref], 100.0)
    told = cloud.tasks.pop(ref)
    await poll(ticker, cloud, [ref], 20.0)
    assert (await ticker.describe([ref]))[ref].state is InstanceState.RUNNING
    cloud.tasks[ref] = told
    await poll(ticker, cloud, [ref], 20.0)
    del cloud.tasks[ref]
    await poll(ticker, cloud, [ref], 90.0)
    assert await ticker.describe([ref]) == {}


async def test_an_older_answer_never_takes_back_a_newer_one(ticker: Ticker, cloud: Cloud) -> None:
    ref = put_ours(cloud, 1, "PENDING")
    old = cloud.tasks[ref]
    await ticker.describe([ref])
    put_ours(cloud, 1, "STOPPED", stopCode="TaskFailedToStart")
    await poll(ticker, cloud, [ref], 4.0)
    cloud.tasks[ref] = old
    await poll(ticker, cloud, [ref], 20.0)
    assert (await ticker.describe([ref]))[ref].state is InstanceState.STOPPED


async def test_what_is_known_is_told_while_the_cloud_does_not_answer_for_a_minute_at_most(
    ticker: Ticker, cloud: Cloud
) -> None:
    ref = put_ours(cloud, 1, "PENDING")
    await ticker.describe([ref])
    cloud.error = "AccessDeniedException"
    await poll(ticker, cloud, [ref], 55.0)
    assert (await ticker.describe([ref]))[ref].state is InstanceState.PENDING
    await cloud.clock.advance(10.0)
    with pytest.raises(Exception, match="AccessDenied"):
        await ticker.describe([ref])


async def test_what_is_known_is_told_without_waiting_while_reads_are_throttled(ticker: Ticker, cloud: Cloud) -> None:
    ref = put_ours(cloud, 1, "PENDING")
    await ticker.describe([ref])
    cloud.error = "ThrottlingException"
    async with asyncio.timeout(5):  # of real time: whoever waits for a turn waits for a clock that stands still
        await poll(ticker, cloud, [ref], 40.0)
        assert (await ticker.describe([ref]))[ref].state is InstanceState.PENDING
    cloud.error = ""
    put_ours(cloud, 1, "RUNNING")
    await poll(ticker, cloud, [ref], 35.0)
    assert (await ticker.describe([ref]))[ref].state is InstanceState.RUNNING


async def test_a_task_that_was_never_seen_is_not_guessed_at(ticker: Ticker, cloud: Cloud) -> None:
    cloud.error = "ThrottlingException"
    with pytest.raises(Throttled):
        await ticker.describe([put_ours(cloud, 1)])


async def test_a_task_with_other_marks_does_not_exist_for_us(ticker: Ticker, cloud: Cloud) -> None:
    cloud.put(ref_of(1), tags=OWNERSHIP.tags(make_spec(), "agentbroker-base"), startedBy="somebody")
    assert await ticker.describe([ref_of(1)]) == {}


async def test_a_cluster_that_cannot_be_asked_keeps_nobody_from_seeing_the_others(ticker: Ticker, cloud: Cloud) -> None:
    here, there = put_ours(cloud, 1), put_ours(cloud, 2, cluster="gone")
    cloud.broken = "gone"
    found = await ticker.describe([here])
    with pytest.raises(Exception, match="ClusterNotFound"):
        await ticker.describe([there])
    assert found[here].state is InstanceState.RUNNING
    put_ours(cloud, 1, "STOPPED", stopCode="EssentialContainerExited")
    await cloud.clock.advance(20.0)
    assert (await ticker.describe([here]))[here].state is InstanceState.STOPPED


async def test_a_cluster_that_cannot_be_asked_hides_nobody_who_is_asked_for_with_it(
    ticker: Ticker, cloud: Cloud
) -> None:
    here, there = put_ours(cloud, 1), put_ours(cloud, 2, cluster="gone")
    cloud.broken = "gone"
    found = await ticker.describe([here, there])
    assert (found[here].state, found[there].state) == (InstanceState.RUNNING, InstanceState.PENDING)


async def test_an_answer_with_nothing_in_it_says_nothing_of_any_task(ticker: Ticker, cloud: Cloud) -> None:
    ref = put_ours(cloud, 1)
    await ticker.describe([ref])
    cloud.hollow = True
    await poll(ticker, cloud, [ref], 60.0)
    assert (await ticker.describe([ref]))[ref].state is InstanceState.RUNNING
    await cloud.clock.advance(60.0)
    with pytest.raises(OutcomeUnknown):
        await ticker.describe([ref])
    cloud.hollow = False
    await cloud.clock.advance(4.0)
    await poll(ticker, cloud, [ref], 4.0)
    assert (await ticker.describe([ref]))[ref].state is InstanceState.RUNNING


async def test_a_task_of_another_brokers_process_tells_which_container_is_its_agents(
    ticker: Ticker, cloud: Cloud
) -> None:
    prepared = {"name": "prepare", "lastStatus": "STOPPED", "exitCode": 0}
    told = [{"name": "prepare"}, {"name": "agent", "environment": [{"name": "JENKINS_URL", "value": "u"}]}]
    both = [prepared, {"name": "agent", "lastStatus": "RUNNING"}]
    ref = put_ours(cloud, 1, containers=both, overrides={"containerOverrides": told})
    assert (await ticker.describe([ref]))[ref].state is InstanceState.RUNNING


async def test_a_notice_without_a_time_counts_from_when_it_was_first_seen(ticker: Ticker, cloud: Cloud) -> None:
    taken = {"desiredStatus": "STOPPED", "stopCode": "SpotInterruption", "stoppedReason": "Your Spot Task ..."}
    ref, seen = put_ours(cloud, 1, **taken), cloud.clock.now()
    for _ in range(3):
        instance = (await ticker.describe([ref]))[ref]
        assert instance.state is InstanceState.RUNNING
        assert instance.interruption is not None
        assert instance.interruption.at == seen + timedelta(minutes=2)
        await cloud.clock.advance(10.0)
        put_ours(cloud, 1, **taken)


async def test_tasks_of_two_accounts_never_share_a_call(ticker: Ticker, cloud: Cloud) -> None:
    """The backend was given other keys: Amazon refuses a call as a whole that names a task of another account."""
    here = put_ours(cloud, 1)
    before = InstanceRef(here.replace("111122223333", "444455556666"))
    found = await ticker.describe([here, before])
    assert [request["tasks"] for request in cloud.asked] == [[here], [before]]
    assert found[here].state is InstanceState.RUNNING
