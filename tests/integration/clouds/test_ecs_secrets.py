"""Agents' secrets by reference on Amazon ECS: what is written, who reads it, and that nothing of it stays."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from broker.demo.clouds.faults import Fault
from broker.domain.ids import InstanceRef
from broker.domain.instance import InstanceState
from broker.domain.reason import Reason
from broker.domain.template import Inject
from broker.errors import BackendError, BackendRejected, InsufficientCapacity
from broker.ports import LaunchSpec
from tests.contract.ecs_rig import EcsRig, ecs_rig

KINDS = ["ssm", "secrets-manager"]


@pytest.fixture
async def rig() -> AsyncIterator[EcsRig]:
    async with ecs_rig() as rig:
        yield rig
        assert rig.fake.ledger.problems == []


def spec_of(rig: EcsRig, kind: str, n: int = 1, **template: Any) -> LaunchSpec:
    return rig.spec_of(n, pool={"secret_delivery": kind}, **template)


def kept(rig: EcsRig) -> list[str]:
    """The secrets that there are in the cloud."""
    parameters = [one.name for one in rig.fake.ssm.parameters]
    return parameters + [one.name for one in rig.fake.secretsmanager.secrets]


def active(rig: EcsRig) -> list[str]:
    return [arn for arn, one in rig.fake.ecs.task_definitions.items() if one.status == "ACTIVE"]


async def until_tidy(rig: EcsRig, ref: InstanceRef) -> None:
    for _ in range(100):
        await rig.backend.describe([ref])
        if not kept(rig):
            return
        await rig.let_time_pass()
    raise AssertionError(f"left behind: {kept(rig)}")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_secret_is_there_before_the_task_and_gone_once_it_was_read(kind: str, rig: EcsRig) -> None:
    spec = spec_of(rig, kind)
    ref = await rig.backend.launch(spec)
    made = rig.fake.ecs.tasks[ref].definition
    told = [one for one in made.content["containerDefinitions"][0]["secrets"] if one["name"] == "JENKINS_SECRET"]
    assert len(told) == len(kept(rig)) == 1
    assert kept(rig)[0].strip("/") in told[0]["valueFrom"]
    requests = [call.parameters for call in rig.fake.ledger if call.service == "ecs"]
    assert spec.secret not in repr(requests)
    assert active(rig) == []
    await rig.wait_for(ref, InstanceState.RUNNING)
    await until_tidy(rig, ref)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_launch_that_is_refused_leaves_neither_secret_nor_definition(kind: str, rig: EcsRig) -> None:
    rig.fake.ecs.failures_next("RESOURCE:MEMORY")
    with pytest.raises(InsufficientCapacity):
        await rig.backend.launch(spec_of(rig, kind))
    assert active(rig) == []
    await until_tidy(rig, InstanceRef("none"))


@pytest.mark.parametrize("kind", KINDS)
async def test_a_definition_that_is_refused_leaves_no_secret(kind: str, rig: EcsRig) -> None:
    rig.fake.rights.deny("ecs:RegisterTaskDefinition")
    with pytest.raises(BackendRejected):
        await rig.backend.launch(spec_of(rig, kind))
    await until_tidy(rig, InstanceRef("none"))


@pytest.mark.parametrize("kind", KINDS)
async def test_a_launch_whose_answer_was_lost_is_one_task_with_one_secret(kind: str, rig: EcsRig) -> None:
    rig.fake.faults.add(Fault(action="RunTask", drop=True, after_effect=True))
    with pytest.raises(BackendError):
        await rig.backend.launch(spec_of(rig, kind))
    await rig.reopen()
    ref = await rig.backend.launch(spec_of(rig, kind))
    assert [task.arn for task in rig.fake.ecs.living] == [ref]
    assert len(kept(rig)) == 1
    await rig.wait_for(ref, InstanceState.RUNNING)
    await until_tidy(rig, ref)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_broker_that_died_after_the_launch_leaves_a_secret_that_the_next_one_deletes(
    kind: str, rig: EcsRig
) -> None:
    ref = await rig.backend.launch(spec_of(rig, kind))
    await rig.reopen()
    await rig.backend.offers(spec_of(rig, kind).pool)
    await rig.wait_for(ref, InstanceState.RUNNING)
    await until_tidy(rig, ref)


@pytest.mark.parametrize("kind", KINDS)
async def test_so_does_one_that_died_after_it_had_stopped_the_task_and_with_it_its_tags(kind: str, rig: EcsRig) -> None:
    ref = await rig.backend.launch(spec_of(rig, kind))
    await rig.backend.terminate(ref)
    assert rig.fake.ecs.tasks[ref].tags == {}
    await rig.reopen()
    await rig.backend.offers(spec_of(rig, kind).pool)
    await until_tidy(rig, ref)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_launch_that_never_happened_leaves_no_secret(kind: str, rig: EcsRig) -> None:
    rig.fake.faults.add(Fault(action="RunTask", drop=True))
    with pytest.raises(BackendError):
        await rig.backend.launch(spec_of(rig, kind))
    await rig.reopen()
    await rig.backend.offers(spec_of(rig, kind).pool)
    assert await rig.backend.locate(spec_of(rig, kind).key) is None
    await until_tidy(rig, InstanceRef("none"))


async def test_agents_by_the_environment_cost_no_call_for_secrets(rig: EcsRig) -> None:
    ref = await rig.backend.launch(rig.spec())
    await rig.reopen()
    await rig.backend.offers(spec_of(rig, "ssm").pool)
    await rig.wait_for(ref, InstanceState.RUNNING)
    assert {call.service for call in rig.fake.ledger} <= {"ecs", "ec2"}


@pytest.mark.parametrize(
    "template", [{"inject": Inject.ARGS}, {"inject": Inject.LEGACY}, {"options": {"task_definition": "theirs"}}]
)
async def test_what_cannot_hide_the_secret_is_refused(template: dict[str, Any], rig: EcsRig) -> None:
    with pytest.raises(BackendRejected, match="secret_delivery") as refused:
        await rig.backend.launch(spec_of(rig, "ssm", **template))
    assert refused.value.reason is Reason.INVALID_TEMPLATE
    assert kept(rig) == []
