"""The fake misbehaves just as it was told."""

import asyncio
from dataclasses import replace

import pytest

from broker.domain.ids import PoolName
from broker.domain.instance import InstanceState
from broker.domain.offer import Offer, Offering
from broker.domain.resources import Resources
from broker.errors import BackendRejected, InsufficientCapacity, OutcomeUnknown
from broker.testing.backend import FakeBackend
from broker.testing.clock import ManualClock, settle
from broker.testing.factories import POOL, make_key, make_pool, make_spec
from broker.testing.places import make_hosts


async def test_a_launch_told_to_fail_makes_nothing_and_the_next_one_works() -> None:
    backend = FakeBackend()
    backend.next_launch_raises(InsufficientCapacity("RESOURCE:MEMORY", "none left"))
    with pytest.raises(InsufficientCapacity):
        await backend.launch(make_spec())
    assert backend.ledger.total_created() == 0
    await backend.launch(make_spec())
    assert backend.ledger.total_created() == 1


@pytest.mark.parametrize("created", [True, False])
async def test_after_an_unknown_outcome_the_same_token_is_one_instance(created: bool) -> None:
    backend = FakeBackend()
    backend.next_launch_is_unknown(created=created)
    with pytest.raises(OutcomeUnknown):
        await backend.launch(make_spec())
    assert (await backend.locate(make_key()) is not None) is created
    await backend.launch(make_spec())
    assert backend.ledger.created[make_key().token] == 1


@pytest.mark.parametrize("after_create", [True, False])
async def test_a_hanging_launch_is_answered_later(after_create: bool) -> None:
    backend = FakeBackend()
    backend.hang_launches(after_create=after_create)
    async with asyncio.TaskGroup() as group:
        launch = group.create_task(backend.launch(make_spec()), name="launch")
        await settle()
        assert not launch.done()
        assert backend.ledger.total_created() == int(after_create)
        backend.answer_launches()
    assert launch.result() in backend.ledger.instances


async def test_an_instance_that_stays_is_stopping_until_let_go() -> None:
    backend = FakeBackend()
    ref = await backend.launch(make_spec())
    backend.terminate_stays = True
    await backend.terminate(ref)
    assert (await backend.describe([ref]))[ref].state is InstanceState.STOPPING
    backend.let_go()
    assert await backend.describe([ref]) == {}


async def test_room_is_offered_and_kept() -> None:
    backend = FakeBackend()
    backend.room = 1
    await backend.launch(make_spec(1))
    assert (await backend.offers(make_pool()))[0].room == 0
    with pytest.raises(InsufficientCapacity):
        await backend.launch(make_spec(2))
    assert await backend.launch(make_spec(1)) in backend.ledger.instances


async def test_describe_waits_for_the_clock() -> None:
    clock = ManualClock()
    backend = FakeBackend(clock=clock)
    ref = await backend.launch(make_spec())
    backend.describe_delay_s = 3
    async with asyncio.TaskGroup() as group:
        answer = group.create_task(backend.describe([ref]), name="describe")
        await clock.advance(2)
        assert not answer.done()
        await clock.advance(1)
    assert ref in answer.result()


async def test_a_backend_that_is_down_fails_every_call() -> None:
    backend = FakeBackend()
    backend.down = BackendRejected("AccessDenied", "no")
    with pytest.raises(BackendRejected):
        await backend.list_owned()
    with pytest.raises(BackendRejected):
        await backend.launch(make_spec())


async def test_hosts_are_offered_with_what_is_free_on_them() -> None:
    backend = FakeBackend(hosts=make_hosts(POOL, Resources(cpu_milli=2000, memory_mib=1024), {"a": 1, "b": 1}))
    on_a = make_spec(1, offering=Offering(POOL, "a"), host="a-1")
    ref = await backend.launch(on_a)
    free = {offer.host: offer.free for offer in await backend.offers(make_pool())}
    assert free == {
        "a-1": Resources(cpu_milli=1000, memory_mib=512),
        "b-1": Resources(cpu_milli=2000, memory_mib=1024),
    }
    await backend.launch(replace(on_a, key=make_key(2)))
    with pytest.raises(InsufficientCapacity, match="it/a/a-1"):
        await backend.launch(replace(on_a, key=make_key(3)))
    await backend.terminate(ref)
    assert await backend.launch(replace(on_a, key=make_key(3))) in backend.ledger.instances


async def test_an_offering_that_is_out_of_stock_refuses_and_the_others_do_not() -> None:
    backend = FakeBackend()
    spot, other = Offering(POOL, "a", capacity="SPOT"), Offering(POOL, "b", capacity="SPOT")
    backend.places.offers = [Offer(pool=POOL, zone=zone, capacity="SPOT") for zone in "ab"]
    backend.offering_raises(spot, InsufficientCapacity("NoStock", "none left"))
    with pytest.raises(InsufficientCapacity):
        await backend.launch(make_spec(1, offering=spot))
    await backend.launch(make_spec(2, offering=other))
    backend.offering_recovers(spot)
    await backend.launch(make_spec(1, offering=spot))
    assert backend.ledger.total_created() == 2


async def test_a_shape_becomes_a_host_until_there_are_as_many_as_there_may_be() -> None:
    backend, size = FakeBackend(), Resources(cpu_milli=2000, memory_mib=1024)
    backend.places.offers = [Offer(pool=POOL, type="large", shape=size, room=1)]
    for n in (1, 2):
        await backend.launch(make_spec(n, offering=Offering(POOL, type="large"), host="new-1"))
    assert [(offer.host, offer.room) for offer in await backend.offers(make_pool())] == [("new-1", None), ("", 0)]
    with pytest.raises(InsufficientCapacity):
        await backend.launch(make_spec(3, offering=Offering(POOL, type="large"), host="new-2"))


async def test_a_pool_of_which_nothing_is_said_offers_just_agents() -> None:
    backend = FakeBackend(hosts=make_hosts(POOL, Resources(cpu_milli=1), {"a": 1}))
    assert await backend.offers(make_pool(name=PoolName("other"))) == (Offer(pool=PoolName("other")),)
