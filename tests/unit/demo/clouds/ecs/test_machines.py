"""Container instances by the API, and capacity providers that bring them."""

from typing import Any

import pytest

from broker.demo.clouds.ecs.service import FakeEcs
from broker.testing.clock import ManualClock
from tests.unit.demo.clouds.ecs.conftest import Api
from tests.unit.demo.clouds.ecs.requests import machine_definition

STRATEGY = [{"capacityProvider": "builders", "weight": 1}]


def _amounts(resources: list[dict[str, Any]]) -> dict[str, object]:
    return {one["name"]: one.get("stringSetValue", one["integerValue"]) for one in resources}


async def test_an_instance_tells_what_it_has_and_what_is_left(ecs: FakeEcs, api: Api, clock: ManualClock) -> None:
    machine = ecs.add_instance(gpus=1, zone="eu-west-1b", tags={"team": "ci"})
    ports = [{"containerPort": 8080, "hostPort": 8080}]
    await api("RegisterTaskDefinition", **machine_definition(portMappings=ports))
    await api("RunTask", taskDefinition="machines")
    found = await api("DescribeContainerInstances", containerInstances=[machine.arn], include=["TAGS"])
    told = found["containerInstances"][0]
    assert _amounts(told["registeredResources"]) == {
        "CPU": 4096,
        "MEMORY": 15_700,
        "PORTS": ["22", "2375", "2376", "51678", "51679"],
        "PORTS_UDP": [],
        "GPU": list(machine.gpus),
    }
    left = _amounts(told["remainingResources"])
    assert (left["CPU"], left["MEMORY"]) == (3072, 13_652)
    assert "8080" in str(left["PORTS"])
    assert (told["runningTasksCount"], told["pendingTasksCount"], told["status"]) == (0, 1, "ACTIVE")
    assert {"name": "ecs.availability-zone", "value": "eu-west-1b"} in told["attributes"]
    assert told["tags"] == [{"key": "team", "value": "ci"}]
    await clock.advance(60)
    told = (await api("DescribeContainerInstances", containerInstances=[machine.arn]))["containerInstances"][0]
    assert (told["runningTasksCount"], told["pendingTasksCount"]) == (1, 0)


async def test_instances_are_listed_in_pages_by_query_and_status(ecs: FakeEcs, api: Api) -> None:
    machines = [ecs.add_instance(instance_type="t3.large" if n % 2 else "m6i.large") for n in range(25)]
    machines[0].status = "DRAINING"
    machines[1].status = "INACTIVE"
    found: list[str] = []
    token: dict[str, str] = {}
    while True:
        page = await api("ListContainerInstances", maxResults=10, **token)
        found += page["containerInstanceArns"]
        if "nextToken" not in page:
            break
        token = {"nextToken": page["nextToken"]}
    assert sorted(found) == sorted(one.arn for one in machines if one.status != "INACTIVE")
    assert len(found) == 24
    draining = await api("ListContainerInstances", status="DRAINING")
    assert draining["containerInstanceArns"] == [machines[0].arn]
    small = await api("ListContainerInstances", filter="attribute:ecs.instance-type =~ t3.*")
    assert len(small["containerInstanceArns"]) == 11


async def test_an_instance_that_is_not_there_is_missing(ecs: FakeEcs, api: Api) -> None:
    arn = f"arn:aws:ecs:eu-west-1:111122223333:container-instance/default/{'0' * 32}"
    reply = await api("DescribeContainerInstances", containerInstances=[arn])
    assert reply == {"containerInstances": [], "failures": [{"arn": arn, "reason": "MISSING"}]}


async def test_a_draining_instance_keeps_its_tasks_and_takes_no_new_one(
    ecs: FakeEcs, api: Api, clock: ManualClock, refusal: Any
) -> None:
    machine = ecs.add_instance()
    await api("RegisterTaskDefinition", **machine_definition())
    arn = (await api("RunTask", taskDefinition="machines"))["tasks"][0]["taskArn"]
    await api("UpdateContainerInstancesState", containerInstances=[machine.arn], status="DRAINING")
    await clock.advance(60)
    assert ecs.told(arn)["lastStatus"] == "RUNNING"
    assert "No Container Instances" in (await refusal("RunTask", taskDefinition="machines")).message
    await api("UpdateContainerInstancesState", containerInstances=[machine.arn], status="ACTIVE")
    assert len((await api("RunTask", taskDefinition="machines"))["tasks"]) == 1


async def test_an_agent_registers_its_machine(ecs: FakeEcs, api: Api) -> None:
    resources = [
        {"name": "CPU", "type": "INTEGER", "integerValue": 2048},
        {"name": "MEMORY", "type": "INTEGER", "integerValue": 4096},
    ]
    reply = await api("RegisterContainerInstance", cluster="default", totalResources=resources)
    machine = ecs.container_instances[reply["containerInstance"]["containerInstanceArn"]]
    assert (machine.cpu, machine.memory) == (2048, 4096)


async def test_tasks_of_a_machine_that_goes_end_with_it(ecs: FakeEcs, api: Api, clock: ManualClock) -> None:
    machine = ecs.add_instance()
    await api("RegisterTaskDefinition", **machine_definition())
    arn = (await api("RunTask", taskDefinition="machines"))["tasks"][0]["taskArn"]
    await clock.advance(60)
    ecs.terminate_instance(machine.arn)
    told = ecs.told(arn)
    assert (told["lastStatus"], told["stopCode"]) == ("STOPPED", "TerminationNotice")
    assert told["stoppedReason"] == f"Host EC2 (instance {machine.ec2_instance_id}) terminated."
    assert ecs.container_instances == {}


async def test_with_managed_scaling_a_task_waits_for_a_machine(ecs: FakeEcs, api: Api, clock: ManualClock) -> None:
    ecs.add_provider("builders")
    await api("RegisterTaskDefinition", **machine_definition())
    reply = await api("RunTask", taskDefinition="machines", capacityProviderStrategy=STRATEGY)
    arn = reply["tasks"][0]["taskArn"]
    assert (reply["failures"], reply["tasks"][0]["capacityProviderName"]) == ([], "builders")
    await clock.advance(300)
    assert ecs.told(arn)["lastStatus"] == "PROVISIONING"
    machine = ecs.add_instance(capacity_provider="builders")
    assert ecs.told(arn)["lastStatus"] == "PENDING"
    await clock.advance(60)
    told = ecs.told(arn)
    assert (told["lastStatus"], told["containerInstanceArn"]) == ("RUNNING", machine.arn)
    assert (told["launchType"], told["availabilityZone"]) == ("EC2", "eu-west-1a")


async def test_without_managed_scaling_it_fails_at_once(ecs: FakeEcs, api: Api, refusal: Any) -> None:
    ecs.add_provider("builders", scales=False)
    ecs.add_instance()
    await api("RegisterTaskDefinition", **machine_definition())
    error = await refusal("RunTask", taskDefinition="machines", capacityProviderStrategy=STRATEGY)
    assert error.message == "No Container Instances were found in your capacity provider."
    ecs.add_instance(cpu=512, capacity_provider="builders")
    reply = await api("RunTask", taskDefinition="machines", capacityProviderStrategy=STRATEGY)
    assert [one["reason"] for one in reply["failures"]] == ["RESOURCE:CPU"]


async def test_a_full_queue_of_waiting_tasks_refuses_more(
    ecs: FakeEcs, api: Api, clock: ManualClock, refusal: Any
) -> None:
    ecs.quotas.provisioning_tasks = 12
    ecs.add_provider("builders")
    await api("RegisterTaskDefinition", **machine_definition())
    asked = {"taskDefinition": "machines", "capacityProviderStrategy": STRATEGY}
    await api("RunTask", **asked, count=10)
    error = await refusal("RunTask", **asked, count=3)
    assert (error.code, error.message) == ("ClientException", "Tasks provisioning capacity limit exceeded.")
    assert len((await api("RunTask", **asked, count=2))["tasks"]) == 2


async def test_a_task_that_waited_too_long_ends(ecs: FakeEcs, api: Api, clock: ManualClock) -> None:
    ecs.quotas.provisioning_timeout_s = 600
    ecs.add_provider("builders")
    await api("RegisterTaskDefinition", **machine_definition())
    asked = {"taskDefinition": "machines", "capacityProviderStrategy": STRATEGY}
    arn = (await api("RunTask", **asked))["tasks"][0]["taskArn"]
    await clock.advance(599)
    assert ecs.told(arn)["lastStatus"] == "PROVISIONING"
    await clock.advance(1)
    told = ecs.told(arn)
    assert (told["lastStatus"], told["stopCode"]) == ("STOPPED", "TaskFailedToStart")


async def test_a_waiting_task_can_be_stopped(ecs: FakeEcs, api: Api, clock: ManualClock) -> None:
    ecs.add_provider("builders")
    await api("RegisterTaskDefinition", **machine_definition())
    asked = {"taskDefinition": "machines", "capacityProviderStrategy": STRATEGY}
    arn = (await api("RunTask", **asked))["tasks"][0]["taskArn"]
    await api("StopTask", task=arn)
    machine = ecs.add_instance(capacity_provider="builders")
    assert (ecs.told(arn)["lastStatus"], machine.held) == ("STOPPED", {})


@pytest.mark.parametrize(("external", "launch_type"), [(True, "EXTERNAL"), (False, "EC2")])
async def test_external_machines_take_external_tasks_alone(
    ecs: FakeEcs, api: Api, external: bool, launch_type: str
) -> None:
    machines = {one: ecs.add_instance(external=one) for one in (True, False)}
    await api("RegisterTaskDefinition", **machine_definition())
    reply = await api("RunTask", taskDefinition="machines", launchType=launch_type)
    assert reply["tasks"][0]["containerInstanceArn"] == machines[external].arn
    assert reply["tasks"][0]["launchType"] == launch_type


async def test_managed_scaling_brings_as_many_machines_as_tasks_need(
    ecs: FakeEcs, api: Api, clock: ManualClock
) -> None:
    ecs.add_provider("builders", machine={"cpu": 2048, "memory": 8192}, comes_after_s=90)
    await api("RegisterTaskDefinition", **machine_definition())
    asked = {"taskDefinition": "machines", "capacityProviderStrategy": STRATEGY}
    for count in (3, 2):
        await api("RunTask", **asked, count=count)
    await clock.advance(89)
    assert ecs.container_instances == {}
    await clock.advance(61)
    assert len(ecs.container_instances) == 3
    assert {ecs.told(task.arn)["lastStatus"] for task in ecs.living} == {"RUNNING"}
    pending = {task.timeline[1] for task in ecs.living}
    assert [(at - ecs.living[0].created_at, status) for at, status in pending] == [(90, "PENDING")]


async def test_managed_scaling_ends_at_the_groups_size(ecs: FakeEcs, api: Api, clock: ManualClock) -> None:
    ecs.add_provider("builders", machine={"cpu": 1024, "memory": 8192}, comes_after_s=90, most=2)
    await api("RegisterTaskDefinition", **machine_definition())
    await api("RunTask", taskDefinition="machines", capacityProviderStrategy=STRATEGY, count=4)
    await clock.advance(300)
    assert len(ecs.container_instances) == 2
    states = sorted(ecs.told(task.arn)["lastStatus"] for task in ecs.living)
    assert states == ["PROVISIONING", "PROVISIONING", "RUNNING", "RUNNING"]
    ecs.stop(next(task.arn for task in ecs.living if ecs.told(task.arn)["lastStatus"] == "RUNNING"))
    assert sorted(ecs.told(task.arn)["lastStatus"] for task in ecs.living) == ["PENDING", "PROVISIONING", "RUNNING"]
