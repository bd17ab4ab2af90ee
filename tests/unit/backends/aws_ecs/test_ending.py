"""When a task is stopped, and when its agent is left to leave by itself."""

import asyncio

import pytest

from broker.backends.aws_ecs.backend import EcsBackend, Parts
from broker.backends.aws_ecs.marks import Marks
from broker.backends.aws_ecs.options import BackendOptions
from broker.backends.aws_ecs.ownership import Ownership
from broker.backends.aws_ecs.register import Definitions, Naming
from broker.domain.ids import BackendName, InstanceRef
from broker.testing.clock import ManualClock
from broker.testing.factories import make_pool, make_spec
from broker.testing.memory import FakeMemory
from tests.unit.backends.aws_ecs.cloud import Cloud, ref_of

OWNERSHIP = Ownership(BackendName("aws"), "one", lambda text: f"signed {hash(text)}")

BY_SSM = make_pool(options={"launch_type": "FARGATE", "secret_delivery": "ssm"})
REFERENCE = {"containerOverrides": [{"name": "agent", "environment": [{"name": "AGENTBROKER_LAUNCH", "value": "1a"}]}]}


@pytest.fixture
def cloud() -> Cloud:
    return Cloud(ManualClock())


@pytest.fixture
def backend(cloud: Cloud) -> EcsBackend:
    calls = cloud.calls()
    naming = Naming(marks=Marks(installation="one", backend="aws", sign=lambda text: text))

    async def ask(action: str, request: object) -> dict[str, object]:
        raise AssertionError(f"{action} {request}")

    definitions = Definitions(ask, FakeMemory(), cloud.clock, naming)
    options = BackendOptions(cluster="ci")
    parts = Parts(calls=calls, definitions=definitions, ownership=OWNERSHIP, options=options, clock=cloud.clock)
    return EcsBackend(parts)


def put_ours(cloud: Cloud, last: str = "RUNNING", cluster: str = "ci", **more: object) -> InstanceRef:
    ref = ref_of(1, cluster)
    cloud.put(ref, last, tags=OWNERSHIP.tags(make_spec(), "agentbroker-base"), startedBy=OWNERSHIP.started_by, **more)
    return ref


async def end(backend: EcsBackend, cloud: Cloud, ref: InstanceRef, seconds: float) -> None:
    """As the core does: looks twice a second, and asks for the end every two."""
    for half in range(int(seconds * 2)):
        if half % 4 == 0:
            await backend.terminate(ref)
        await backend.describe([ref])
        await cloud.clock.advance(0.5)


async def test_an_agent_that_was_told_to_leave_is_given_ten_seconds(backend: EcsBackend, cloud: Cloud) -> None:
    ref = put_ours(cloud)
    await backend.describe([ref])
    await end(backend, cloud, ref, 9.0)
    assert cloud.stopped == []
    await end(backend, cloud, ref, 3.0)
    assert cloud.stopped == [ref]


async def test_one_that_leaves_by_itself_costs_no_call_and_is_gone_once_it_is_stopped(
    backend: EcsBackend, cloud: Cloud
) -> None:
    ref = put_ours(cloud)
    await backend.describe([ref])
    await end(backend, cloud, ref, 4.0)
    put_ours(cloud, "DEPROVISIONING", desiredStatus="STOPPED", stopCode="EssentialContainerExited")
    await end(backend, cloud, ref, 30.0)
    assert ref in await backend.describe([ref])
    put_ours(cloud, "STOPPED", desiredStatus="STOPPED", stopCode="EssentialContainerExited")
    await end(backend, cloud, ref, 4.0)
    assert await backend.describe([ref]) == {}
    assert cloud.stopped == []


@pytest.mark.parametrize("last", ["PROVISIONING", "PENDING", "ACTIVATING"])
async def test_one_that_does_not_run_yet_is_stopped_at_once(last: str, backend: EcsBackend, cloud: Cloud) -> None:
    ref = put_ours(cloud, last)
    await backend.describe([ref])
    await backend.terminate(ref)
    assert cloud.stopped == [ref]


async def test_an_orphan_that_nobody_watches_is_stopped_at_once(backend: EcsBackend, cloud: Cloud) -> None:
    await backend.terminate(put_ours(cloud))
    assert len(cloud.stopped) == 1


async def test_a_stop_is_not_repeated_within_ten_seconds_and_is_after(backend: EcsBackend, cloud: Cloud) -> None:
    ref = put_ours(cloud, "PENDING")
    await end(backend, cloud, ref, 8.0)
    assert len(cloud.stopped) == 1
    await end(backend, cloud, ref, 4.0)
    assert len(cloud.stopped) == 2


async def test_what_is_not_ours_is_never_stopped(backend: EcsBackend, cloud: Cloud) -> None:
    cloud.put(ref_of(1), tags=OWNERSHIP.tags(make_spec(), "agentbroker-base"), startedBy="somebody")
    await end(backend, cloud, ref_of(1), 30.0)
    await backend.terminate(InstanceRef("no-arn"))
    assert cloud.stopped == []


async def test_a_task_is_ended_in_its_own_cluster(backend: EcsBackend, cloud: Cloud) -> None:
    ref = put_ours(cloud, "PENDING", cluster="before")
    await backend.terminate(ref)
    assert cloud.clusters == ["before"]


async def test_a_look_that_gets_no_answer_keeps_no_task_from_being_ended(backend: EcsBackend, cloud: Cloud) -> None:
    ref = put_ours(cloud, "PENDING")
    await backend.describe([ref])
    await cloud.clock.advance(5.0)
    cloud.answers.clear()
    async with asyncio.timeout(1.0), asyncio.TaskGroup() as group:
        group.create_task(backend.describe([ref]), name="look")
        await asyncio.sleep(0)
        await backend.terminate(ref)
        assert cloud.stopped == [ref]
        cloud.answers.set()


async def test_secrets_that_may_not_be_deleted_are_tried_a_few_times_a_minute(
    backend: EcsBackend, cloud: Cloud
) -> None:
    ref = put_ours(cloud, overrides=REFERENCE)
    await backend.offers(BY_SSM)
    cloud.undeletable = True
    for _ in range(120):
        await backend.describe([ref])
        await cloud.clock.advance(0.5)
    assert 2 <= cloud.deletions <= 5
    cloud.undeletable = False
    await cloud.clock.advance(20.0)
    await backend.describe([ref])
    tried = cloud.deletions
    await end(backend, cloud, ref, 30.0)
    assert cloud.deletions == tried
