"""Where tasks of Amazon ECS go, and how much room is told, on the strict fake."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from broker.demo.clouds.faults import Fault
from broker.domain.ids import PoolName
from broker.domain.instance import InstanceState
from broker.domain.limits import Usage
from broker.domain.offer import Offering
from broker.domain.placement import Placed
from broker.domain.policy import Spread, SpreadBy, Strategy
from broker.domain.reason import Reason
from broker.domain.resources import Resources
from broker.errors import BackendRejected, InsufficientCapacity, OutcomeUnknown
from broker.placement.engine import decide
from broker.testing.clock import EPOCH
from broker.testing.factories import make_agent, make_definitions, make_policy, make_pool
from tests.contract.ecs_rig import SUBNETS, EcsRig, ecs_rig

ALL_ZONES = {"subnets": SUBNETS}
ON_HOSTS = {"launch_type": "EC2", "capacity_provider": None, "subnets": None, "security_groups": None}
GIB = 1024


@pytest.fixture
async def rig() -> AsyncIterator[EcsRig]:
    async with ecs_rig() as rig:
        yield rig
        assert rig.fake.ledger.problems == []


async def test_a_pool_on_fargate_offers_the_zones_of_its_subnets_the_emptiest_first(rig: EcsRig) -> None:
    pool = rig.spec_of(pool=ALL_ZONES).pool
    zones = [offer.zone for offer in await rig.backend.offers(pool)]
    assert sorted(zones) == ["eu-west-1a", "eu-west-1b", "eu-west-1c"]
    assert {offer.capacity for offer in await rig.backend.offers(pool)} == {"FARGATE"}
    spec = replace(rig.spec_of(1, pool=ALL_ZONES), offering=Offering(pool.name, zone=zones[0], capacity="FARGATE"))
    await rig.backend.launch(spec)
    assert [offer.zone for offer in await rig.backend.offers(pool)][-1] == zones[0]
    assert rig.fake.ledger.count("DescribeSubnets") == 1


async def test_a_chosen_zone_is_where_the_task_runs(rig: EcsRig) -> None:
    for n, zone in enumerate(("eu-west-1c", "eu-west-1a", "eu-west-1b")):
        spec = rig.spec_of(n, pool=ALL_ZONES)
        await rig.backend.launch(replace(spec, offering=Offering(spec.pool.name, zone=zone)))
        assert rig.fake.ledger.of("RunTask")[-1].parameters["networkConfiguration"]["awsvpcConfiguration"][
            "subnets"
        ] == [SUBNETS["abc".index(zone[-1])]]


async def test_without_a_choice_tasks_on_fargate_are_spread_over_the_zones(rig: EcsRig) -> None:
    for n in range(6):
        await rig.backend.launch(rig.spec_of(n, pool=ALL_ZONES))
    assert Counter(task.zone for task in rig.fake.ecs.living) == {f"eu-west-1{letter}": 2 for letter in "abc"}


async def test_subnets_that_may_not_be_read_are_zones_of_their_own(rig: EcsRig) -> None:
    rig.fake.rights.deny("ec2:DescribeSubnets")
    offers = await rig.backend.offers(rig.spec_of(pool=ALL_ZONES).pool)
    assert [offer.zone for offer in offers] == SUBNETS
    spec = rig.spec_of(pool=ALL_ZONES)
    await rig.backend.launch(replace(spec, offering=Offering(spec.pool.name, zone=SUBNETS[1])))
    assert [task.zone for task in rig.fake.ecs.living] == ["eu-west-1b"]
    await rig.backend.offers(spec.pool)
    assert rig.fake.ledger.count("DescribeSubnets") == 1


STRATEGY = [
    {"capacity_provider": "FARGATE", "weight": 0, "base": 2},
    {"capacity_provider": "FARGATE_SPOT", "weight": 1, "base": 0},
]


def on_providers(rig: EcsRig) -> Counter[str]:
    return Counter(task.capacity_provider for task in rig.fake.ecs.living)


async def test_a_base_is_that_of_all_tasks_and_not_of_each_call(rig: EcsRig) -> None:
    """Else each of them would be of the base, as RunTask reckons it for each call, and no weight would count."""
    specs = [rig.spec_of(n, pool={"capacity_provider": None, "capacity_provider_strategy": STRATEGY}) for n in range(9)]
    async with asyncio.TaskGroup() as group:
        launches = [group.create_task(rig.backend.launch(spec)) for spec in specs[:5]]
    refs = [launch.result() for launch in launches]
    assert on_providers(rig) == {"FARGATE": 2, "FARGATE_SPOT": 3}
    await rig.backend.launch(specs[5])
    assert on_providers(rig) == {"FARGATE": 2, "FARGATE_SPOT": 4}
    of_base = next(ref for ref in refs if rig.fake.ecs.tasks[ref].capacity_provider == "FARGATE")
    rig.fake.ecs.stop(of_base)
    await rig.wait_for(of_base, InstanceState.STOPPED)
    for spec in specs[6:]:
        await rig.backend.launch(spec)
    assert on_providers(rig) == {"FARGATE": 2, "FARGATE_SPOT": 6}


async def test_a_launch_whose_answer_was_lost_asks_for_the_same_provider_again(rig: EcsRig) -> None:
    pool = {"capacity_provider": None, "capacity_provider_strategy": STRATEGY}
    rig.fake.faults.add(Fault(action="RunTask", code="ServerException", after_effect=True))
    with pytest.raises(OutcomeUnknown):
        await rig.backend.launch(rig.spec_of(1, pool=pool))
    await rig.backend.launch(rig.spec_of(2, pool=pool))
    await rig.backend.launch(rig.spec_of(1, pool=pool))
    assert on_providers(rig) == {"FARGATE": 2}
    await rig.backend.launch(rig.spec_of(3, pool=pool))
    assert on_providers(rig) == {"FARGATE": 2, "FARGATE_SPOT": 1}


async def test_spot_without_capacity_is_told_as_such(rig: EcsRig) -> None:
    rig.fake.ecs.close_capacity("FARGATE_SPOT")
    with pytest.raises(InsufficientCapacity) as refused:
        await rig.backend.launch(rig.spec_of(pool={"capacity_provider": "FARGATE_SPOT"}))
    assert refused.value.reason is Reason.SPOT_UNAVAILABLE


async def test_the_room_on_every_instance_is_offered_over_all_pages(rig: EcsRig) -> None:
    for _ in range(120):
        rig.fake.ecs.add_instance(cpu=4096, memory=8 * GIB)
    offers = await rig.backend.offers(make_pool(options={"launch_type": "EC2"}))
    assert len({offer.host for offer in offers}) == 120
    assert {offer.free for offer in offers} == {Resources(cpu_milli=4000, memory_mib=8 * GIB)}


async def test_what_is_launched_is_no_room_any_more_before_the_cloud_says_so(rig: EcsRig) -> None:
    rig.fake.ecs.add_instance(cpu=2048, memory=4 * GIB)
    spec = rig.spec_of(pool=ON_HOSTS, resources=Resources(cpu_milli=2000, memory_mib=3 * GIB))
    assert [offer.free for offer in await rig.backend.offers(spec.pool)] == [
        Resources(cpu_milli=2000, memory_mib=4 * GIB)
    ]
    await rig.backend.launch(spec)
    assert [offer.free for offer in await rig.backend.offers(spec.pool)] == [Resources(cpu_milli=0, memory_mib=GIB)]


async def test_tasks_are_spread_over_the_types_of_instances(rig: EcsRig) -> None:
    for kind in ("m5.xlarge", "m5.xlarge", "c5.xlarge"):
        rig.fake.ecs.add_instance(instance_type=kind)
    pool = rig.spec_of(pool=ON_HOSTS).pool
    policy = make_policy(pool.name, strategy=Strategy.SPREAD, spread=Spread(by=SpreadBy.TYPE))
    known = make_definitions(pools=[pool], policies=[policy])
    asked = [make_agent(n) for n in range(4)]
    decisions = decide(asked, {pool.name: await rig.backend.offers(pool)}, Usage(now=EPOCH), known)
    types = Counter(one.placement.offer.type for one in decisions if isinstance(one, Placed))
    assert types == {"m5.xlarge": 2, "c5.xlarge": 2}


async def test_a_full_cluster_refuses_with_the_clouds_words(rig: EcsRig) -> None:
    rig.fake.ecs.add_instance(cpu=1024, memory=GIB)
    await rig.backend.launch(rig.spec_of(1, pool=ON_HOSTS))
    with pytest.raises(InsufficientCapacity, match="RESOURCE:"):
        await rig.backend.launch(rig.spec_of(2, pool=ON_HOSTS))


async def test_a_cluster_without_instances_offers_nothing_and_refuses(rig: EcsRig) -> None:
    spec = rig.spec_of(pool=ON_HOSTS)
    assert list(await rig.backend.offers(spec.pool)) == []
    with pytest.raises(InsufficientCapacity):
        await rig.backend.launch(spec)


async def test_external_instances_are_no_room_of_others(rig: EcsRig) -> None:
    rig.fake.ecs.add_instance(external=True)
    assert list(await rig.backend.offers(make_pool(options={"launch_type": "EC2"}))) == []
    assert len(await rig.backend.offers(make_pool(options={"launch_type": "EXTERNAL"}))) == 1


async def test_all_pools_on_a_cluster_ask_for_its_instances_once(rig: EcsRig) -> None:
    pools = [replace(rig.spec_of(pool=ON_HOSTS).pool, name=PoolName(f"p-{n}")) for n in range(8)]
    async with asyncio.TaskGroup() as group:
        for pool in pools:
            group.create_task(rig.backend.offers(pool), name=pool.name)
    assert len(rig.calls("ListContainerInstances")) == 1


async def test_instances_that_may_not_be_listed_are_not_asked_for_again_at_once(rig: EcsRig) -> None:
    rig.fake.rights.deny("ecs:ListContainerInstances")
    for _ in range(5):
        with pytest.raises(BackendRejected):
            await rig.backend.offers(rig.spec_of(pool=ON_HOSTS).pool)
    assert len(rig.calls("ListContainerInstances")) == 1
