"""On which machine a task goes, and why it goes on none."""

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.demo.clouds.ecs.instances import AGENT_PORTS, ContainerInstance, Need
from broker.demo.clouds.ecs.knobs import Timing
from broker.demo.clouds.ecs.placement import choose, rules
from broker.demo.clouds.ecs.service import FakeEcs
from broker.testing.clock import ManualClock
from tests.unit.demo.clouds.ecs.conftest import Api
from tests.unit.demo.clouds.ecs.requests import machine_definition, network

SUBNET = "subnet-" + "a" * 17


def _reasons(reply: dict[str, Any]) -> list[str]:
    return [one["reason"] for one in reply["failures"]]


async def test_each_machine_without_room_is_a_failure_with_its_reason(ecs: FakeEcs, api: Api) -> None:
    small = ecs.add_instance(cpu=512, memory=16_000)
    tight = ecs.add_instance(cpu=4096, memory=512)
    silent = ecs.add_instance()
    silent.agent_connected = False
    await api("RegisterTaskDefinition", **machine_definition())
    reply = await api("RunTask", taskDefinition="machines")
    assert reply["tasks"] == []
    assert {one["arn"]: one["reason"] for one in reply["failures"]} == {
        small.arn: "RESOURCE:CPU",
        tight.arn: "RESOURCE:MEMORY",
        silent.arn: "AGENT",
    }


LACKING: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({}, {"resourceRequirements": [{"type": "GPU", "value": "1"}]}, "RESOURCE:GPU"),
    ({}, {"portMappings": [{"containerPort": 22, "hostPort": 22}]}, "RESOURCE:PORTS"),
    ({"architecture": "arm64"}, {}, "ATTRIBUTE"),
    ({"os_family": "WINDOWS_SERVER_2022_CORE"}, {}, "ATTRIBUTE"),
]


@pytest.mark.parametrize(("machine", "container", "reason"), LACKING)
async def test_what_a_machine_lacks_is_named(
    ecs: FakeEcs, api: Api, machine: dict[str, Any], container: dict[str, Any], reason: str
) -> None:
    ecs.add_instance(**machine)
    definition = machine_definition(**container)
    await api("RegisterTaskDefinition", **definition, runtimePlatform={"cpuArchitecture": "X86_64"})
    assert _reasons(await api("RunTask", taskDefinition="machines")) == [reason]


async def test_a_machine_without_a_capability_fails_by_attribute(ecs: FakeEcs, api: Api) -> None:
    del ecs.add_instance().attributes["com.amazonaws.ecs.capability.privileged-container"]
    await api("RegisterTaskDefinition", **machine_definition(privileged=True))
    assert _reasons(await api("RunTask", taskDefinition="machines")) == ["ATTRIBUTE"]


async def test_a_host_port_is_taken_once(ecs: FakeEcs, api: Api) -> None:
    ecs.add_instance()
    ports = [{"containerPort": 8080, "hostPort": 8080}, {"containerPort": 9090}]
    await api("RegisterTaskDefinition", **machine_definition(cpu=128, portMappings=ports))
    reply = await api("RunTask", taskDefinition="machines", count=2)
    assert (len(reply["tasks"]), _reasons(reply)) == (1, ["RESOURCE:PORTS"])


async def test_interfaces_run_out_on_a_machine(ecs: FakeEcs, api: Api) -> None:
    ecs.add_instance(enis=2)
    await api("RegisterTaskDefinition", **machine_definition(cpu=128, memory=128), networkMode="awsvpc")
    asked = {"taskDefinition": "machines", "count": 3, "networkConfiguration": network(ecs, SUBNET)}
    reply = await api("RunTask", **asked)
    assert (len(reply["tasks"]), _reasons(reply)) == (2, ["RESOURCE:ENI"])


async def test_a_machine_in_another_zone_than_the_subnets_fails_by_location(ecs: FakeEcs, api: Api) -> None:
    ecs.add_instance(zone="eu-west-1b")
    await api("RegisterTaskDefinition", **machine_definition(), networkMode="awsvpc")
    reply = await api("RunTask", taskDefinition="machines", networkConfiguration=network(ecs, SUBNET))
    assert _reasons(reply) == ["LOCATION"]


async def test_constraints_are_told_as_unsatisfied(ecs: FakeEcs, api: Api) -> None:
    ecs.add_instance(attributes={"stack": "web"})
    await api("RegisterTaskDefinition", **machine_definition())
    wanted = [{"type": "memberOf", "expression": "attribute:stack == build"}]
    member = await api("RunTask", taskDefinition="machines", placementConstraints=wanted)
    distinct = [{"type": "distinctInstance"}]
    one = await api("RunTask", taskDefinition="machines", placementConstraints=distinct, count=2)
    assert _reasons(member) == ["MemberOf placement constraint unsatisfied."]
    assert (len(one["tasks"]), _reasons(one)) == (1, ["DistinctInstance placement constraint unsatisfied."])


async def test_constraints_of_the_definition_count_too(ecs: FakeEcs, api: Api) -> None:
    ecs.add_instance()
    wanted = [{"type": "memberOf", "expression": "attribute:ecs.instance-type =~ t3.*"}]
    await api("RegisterTaskDefinition", **machine_definition(), placementConstraints=wanted)
    assert _reasons(await api("RunTask", taskDefinition="machines")) == ["MemberOf placement constraint unsatisfied."]


async def test_without_any_machine_the_request_is_wrong(ecs: FakeEcs, api: Api, refusal: Any) -> None:
    await api("RegisterTaskDefinition", **machine_definition())
    error = await refusal("RunTask", taskDefinition="machines")
    words = "No Container Instances were found in your cluster."
    assert (error.code, error.message) == ("InvalidParameterException", words)


async def test_room_comes_back_when_a_task_is_over(ecs: FakeEcs, api: Api, clock: ManualClock) -> None:
    ecs.timing = Timing.at_once()
    machine = ecs.add_instance(cpu=1024)
    await api("RegisterTaskDefinition", **machine_definition(cpu=1024))
    task = (await api("RunTask", taskDefinition="machines"))["tasks"][0]
    assert _reasons(await api("RunTask", taskDefinition="machines")) == ["RESOURCE:CPU"]
    assert machine.remaining().cpu == 0
    ecs.stop(task["taskArn"])
    assert len((await api("RunTask", taskDefinition="machines"))["tasks"]) == 1


async def test_gpus_are_given_by_id_and_never_twice(ecs: FakeEcs, api: Api, clock: ManualClock) -> None:
    machine = ecs.add_instance(cpu=65_536, memory=200_000, gpus=4)
    wanted = [{"type": "GPU", "value": "2"}]
    await api("RegisterTaskDefinition", **machine_definition(resourceRequirements=wanted))
    first, second = (await api("RunTask", taskDefinition="machines", count=2))["tasks"]
    await clock.advance(60)
    ecs.stop(first["taskArn"])
    third = (await api("RunTask", taskDefinition="machines"))["tasks"][0]
    given = [ecs.told(one["taskArn"])["containers"][0]["gpuIds"] for one in (second, third)]
    assert sorted(given[0] + given[1]) == sorted(machine.gpus)


async def test_a_task_that_wants_all_gpus_gets_them_or_fails(ecs: FakeEcs, api: Api) -> None:
    wanted = [{"type": "GPU", "value": "ALL"}]
    await api("RegisterTaskDefinition", **machine_definition(resourceRequirements=wanted))
    ecs.add_instance()
    assert _reasons(await api("RunTask", taskDefinition="machines")) == ["RESOURCE:GPU"]
    machine = ecs.add_instance(gpus=3)
    reply = await api("RunTask", taskDefinition="machines", count=2)
    assert reply["tasks"][0]["containers"][0]["gpuIds"] == list(machine.gpus)
    assert _reasons(reply) == ["RESOURCE:GPU", "RESOURCE:GPU"]


def _machine(number: int, *, zone: str = "eu-west-1a", cpu: int = 4096, memory: int = 8192) -> ContainerInstance:
    return ContainerInstance(
        arn=f"arn:{number}",
        cluster="default",
        ec2_instance_id=f"i-{number}",
        cpu=cpu,
        memory=memory,
        attributes={"ecs.availability-zone": zone},
    )


def _place(machines: list[ContainerInstance], count: int, *strategies: dict[str, str], seed: int = 0) -> list[int]:
    """Where tasks of one size went, by the machines' places."""
    chance, asked, went = random.Random(seed), rules([], strategies), []
    for number in range(count):
        found = choose(machines, Need(cpu=256, memory=512), asked, "family:a", chance)
        assert isinstance(found, ContainerInstance)
        found.take(f"task-{number}", Need(cpu=256, memory=512), "family:a")
        went.append(machines.index(found))
    return went


@pytest.mark.parametrize("field", ["cpu", "memory"])
def test_binpack_fills_one_machine_before_the_next(field: str) -> None:
    went = _place([_machine(0), _machine(1), _machine(2)], 20, {"type": "binpack", "field": field})
    assert sorted(Counter(went).values()) == [4, 16]


def test_spread_over_zones_keeps_them_even() -> None:
    machines = [_machine(n, zone=zone) for n, zone in enumerate(["a", "a", "a", "b", "c"])]
    went = _place(machines, 9, {"type": "spread", "field": "attribute:ecs.availability-zone"})
    assert Counter(machines[one].attributes["ecs.availability-zone"] for one in went) == {"a": 3, "b": 3, "c": 3}


@pytest.mark.parametrize("field", ["instanceId", "host"])
def test_spread_over_machines_keeps_them_even(field: str) -> None:
    went = _place([_machine(n) for n in range(4)], 8, {"type": "spread", "field": field})
    assert set(Counter(went).values()) == {2}


def test_a_chain_spreads_over_zones_and_packs_within() -> None:
    machines = [_machine(n, zone=zone) for n, zone in enumerate("aabb")]
    chain = ({"type": "spread", "field": "attribute:ecs.availability-zone"}, {"type": "binpack", "field": "memory"})
    assert sorted(Counter(_place(machines, 12, *chain)).values()) == [6, 6]


def test_random_uses_all_machines() -> None:
    went = _place([_machine(n) for n in range(4)], 40, {"type": "random"}, seed=3)
    assert set(went) == {0, 1, 2, 3}


_NEEDS = st.builds(
    Need,
    cpu=st.integers(0, 2048),
    memory=st.integers(6, 4096),
    tcp_ports=st.frozensets(st.integers(8000, 8004), max_size=2),
    gpus=st.integers(0, 2),
    enis=st.integers(0, 1),
)
_CHAINS = st.lists(
    st.sampled_from(
        [
            {"type": "random"},
            {"type": "binpack", "field": "cpu"},
            {"type": "binpack", "field": "memory"},
            {"type": "spread", "field": "instanceId"},
            {"type": "spread", "field": "attribute:ecs.availability-zone"},
        ]
    ),
    max_size=5,
)


@given(needs=st.lists(_NEEDS, max_size=40), chain=_CHAINS, ends=st.sets(st.integers(0, 39)), seed=st.integers())
def test_no_machine_is_ever_given_more_than_it_has(
    needs: list[Need], chain: list[dict[str, str]], ends: set[int], seed: int
) -> None:
    machines = [_machine(n, zone=zone) for n, zone in enumerate("aab")]
    for machine in machines:
        machine.gpus, machine.enis = ("gpu-1", "gpu-2", "gpu-3"), 3
    asked, chance = rules([], chain), random.Random(seed)
    for number, need in enumerate(needs):
        found = choose(machines, need, asked, "family:a", chance)
        if isinstance(found, ContainerInstance):
            assert len(found.take(f"task-{number}", need, "family:a")) == need.gpus
        else:
            assert len(found) == len(machines)
            assert all(machine.lacks(need) for machine in machines)
        if number in ends:
            for machine in machines:
                machine.release(f"task-{number - 1}")
        for machine in machines:
            left, held = machine.remaining(), machine.held.values()
            assert min(left.cpu, left.memory, left.gpus, left.enis) >= 0
            ports = [port for one in held for port in one.tcp_ports]
            assert len(ports) == len(set(ports))
            assert left.tcp_ports == AGENT_PORTS | set(ports)
            assert len(machine.free_gpus()) == left.gpus
