"""A proxy that others wrote between a backend and its cloud: throttles, resets, answers that are lost.

microburst signs anew what it passes on, so the fake behind it also hears the signatures of a second signer.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from broker.demo.clouds.aws import FakeAws
from broker.demo.clouds.ecs.knobs import Timing
from broker.demo.clouds.serving import serving
from broker.domain.ids import InstanceRef
from broker.domain.instance import InstanceState
from broker.errors import OutcomeUnknown, Throttled
from broker.ports import LaunchSpec
from tests.contract.ecs_rig import EcsRig
from tests.emulators import Microburst, microburst_proxy, version_of

pytestmark = [pytest.mark.component("microburst"), pytest.mark.timeout(120)]

THROTTLED = {"error": {"code": "ThrottlingException", "message": "Rate exceeded"}}


@pytest.fixture
def fake() -> FakeAws:
    fake = FakeAws()
    fake.ecs.timing = Timing.at_once()
    return fake


@pytest.fixture
async def proxy(
    fake: FakeAws, tmp_path: Path, record_component: Callable[[str, str], None]
) -> AsyncIterator[Microburst]:
    record_component("microburst", version_of("microburst"))
    keys = {"AWS_ACCESS_KEY_ID": fake.access_key, "AWS_SECRET_ACCESS_KEY": fake.secret_key}
    async with serving(fake) as url:
        running = microburst_proxy(tmp_path, url, **keys, AWS_DEFAULT_REGION=fake.region)
        opened = await asyncio.to_thread(running.__enter__)
        try:
            yield opened
        finally:
            await asyncio.to_thread(running.__exit__, None, None, None)


@pytest.fixture
async def rig(fake: FakeAws, proxy: Microburst) -> AsyncIterator[EcsRig]:
    rig = EcsRig(fake, proxy.url, fake.clock, access_key_id="of-ours", secret_access_key="which nobody checks")
    yield rig
    await rig.backend.close()


async def launched(rig: EcsRig, spec: LaunchSpec) -> InstanceRef:
    """As the broker does it: the same launch again while it is throttled or unanswered."""
    for _ in range(50):
        try:
            return await rig.backend.launch(spec)
        except (Throttled, OutcomeUnknown):
            await asyncio.sleep(0.1)
    raise AssertionError("fifty calls, and no task")


def tasks_by_agent(fake: FakeAws) -> Counter[str]:
    """How many living tasks each agent has."""
    told = (fake.ecs.told(task.arn) for task in fake.ecs.living)
    return Counter(tag["value"] for one in told for tag in one["tags"] if tag["key"] == "agentbroker:agent-id")


async def ended(rig: EcsRig, refs: list[InstanceRef]) -> None:
    """As the broker does it: asked again until the cloud tells that nothing is there."""
    for _ in range(200):
        for ref in refs:
            try:
                await rig.backend.terminate(ref)
            except (Throttled, OutcomeUnknown):
                continue
        if not await rig.backend.describe(refs):
            assert rig.fake.ecs.living == []
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{len(rig.fake.ecs.living)} tasks are left")


async def test_throttles_and_lost_answers_double_nothing_and_leave_nothing(
    rig: EcsRig, fake: FakeAws, proxy: Microburst
) -> None:
    proxy.rules(
        {"service": "ecs", "operation": "RunTask", "times": 3, "response": {"abort_bytes": 20}},
        {"service": "ecs", "operation": "RunTask", "times": 2, "reset": True},
        {"service": "ecs", "operation": "RunTask", "times": 3, **THROTTLED},
        {"service": "ecs", "operation": "DescribeTasks", "times": 2, **THROTTLED},
        {"service": "ecs", "operation": "StopTask", "times": 2, **THROTTLED},
        {"service": "ecs", "operation": "StopTask", "times": 2, "response": {"abort_bytes": 20}},
    )
    async with asyncio.TaskGroup() as group:
        launches = [group.create_task(launched(rig, rig.spec(n)), name=f"launch-{n}") for n in range(1, 13)]
    refs = [launch.result() for launch in launches]
    assert len(set(refs)) == 12
    assert {InstanceRef(task.arn) for task in fake.ecs.living} == set(refs)
    assert set(tasks_by_agent(fake).values()) == {1}
    for ref in refs:
        await rig.wait_for(ref, InstanceState.RUNNING)
    await ended(rig, refs)
    fired = Counter(operation for operation, _ in proxy.fired())
    assert fired == {"RunTask": 8, "DescribeTasks": 2, "StopTask": 4}


async def test_while_ecs_only_throttles_nothing_is_believed_gone(rig: EcsRig, proxy: Microburst) -> None:
    ref = await rig.backend.launch(rig.spec())
    await rig.wait_for(ref, InstanceState.RUNNING)
    proxy.rules({"service": "ecs", "operation": "ListTasks", "times": 1, **THROTTLED})
    assert not (await rig.backend.list_owned()).complete
    proxy.rules({"service": "ecs", **THROTTLED})
    for _ in range(4):
        seen = await rig.instance(ref)
        assert seen is not None
        assert seen.state is InstanceState.RUNNING
    assert len(proxy.fired()) <= 6, "a family that is throttled pauses, and asks little"
    proxy.rules()
    await ended(rig, [ref])
