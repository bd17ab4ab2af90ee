"""The suite that every backend with hosts must pass. Subclass `HostBackendContract`, give it a fixture named `rig`.

One that makes its hosts subclasses `MadeHostContract` too, one whose cloud takes them back `HostInterruptionContract`.
"""

import asyncio
from contextlib import suppress

from broker.domain.host_order import Prepared
from broker.errors import BackendError, OutcomeUnknown
from broker.ports import HostBackend
from broker.testing.host_rig import HostRig, HostSteps, InterruptibleHostRig, MakingRig


class HostBackendContract(HostSteps):
    """Promises of `ports.HostBackend`, each a test; also those of a backend that only knows its hosts."""

    async def test_one_token_is_the_same_hosts_whoever_asks(self, rig: HostRig) -> None:
        first = await self.made(rig, hosts=2)
        assert set(first.refs) == set(rig.order(1, 2).hosts)
        assert (await self.made(rig, hosts=2)).refs == first.refs
        await rig.reopen()
        assert (await self.made(rig, hosts=2)).refs == first.refs
        await self.count_stays(rig, 2)

    async def test_one_token_at_the_same_time_is_the_same_hosts(self, rig: HostRig) -> None:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self.made(rig, hosts=2), name=f"order-{i}") for i in range(3)]
        assert len({tuple(sorted(task.result().refs.items())) for task in tasks}) == 1
        await self.count_stays(rig, 2)

    async def test_another_token_is_other_hosts(self, rig: HostRig) -> None:
        first, second = await self.made(rig, 1), await self.made(rig, 2)
        assert not set(first.refs.values()) & set(second.refs.values())
        await self.count_stays(rig, 2)

    async def test_what_has_come_of_an_order_is_found_before_and_after_it(self, rig: HostRig) -> None:
        assert (await rig.backend.locate_hosts(rig.order())).refs == {}
        made = await self.made(rig)
        assert (await rig.backend.locate_hosts(rig.order())).refs == made.refs
        assert (await (await rig.reopen()).locate_hosts(rig.order())).refs == made.refs

    async def test_a_host_tells_whose_it_is_and_where(self, rig: HostRig) -> None:
        [(host, ref)] = (await self.made(rig)).refs.items()
        found = await self.running(rig, ref)
        assert (found.ref, found.host) == (ref, host)
        assert found.interruption is None

    async def test_describing_nothing_asks_nothing(self, rig: HostRig) -> None:
        assert await rig.backend.describe_hosts([]) == {}

    async def test_a_preparation_is_repeated_until_it_is_done_and_then_stays_done(self, rig: HostRig) -> None:
        place = await self.prepared(rig)
        for backend in (rig.backend, await rig.reopen()):

            async def is_ready(backend: HostBackend = backend) -> bool:
                return isinstance(await backend.prepare_host(place), Prepared)

            await self.wait(rig, is_ready)

    async def test_an_agent_starts_on_its_host_once_and_is_found_there(self, rig: HostRig) -> None:
        place = await self.prepared(rig)
        ref = await rig.backend.launch(rig.spec(place))
        assert ref.startswith(f"{place.id}/")
        assert await rig.backend.launch(rig.spec(place)) == ref
        backend = await rig.reopen()
        assert await backend.locate(rig.spec(place).key) == ref
        assert set(await backend.describe([ref])) == {ref}

    async def test_agents_on_a_host_that_is_gone_do_not_exist_and_their_end_is_a_success(self, rig: HostRig) -> None:
        place = await self.prepared(rig)
        ref = await rig.backend.launch(rig.spec(place))
        await rig.backend.delete_hosts([place.ref])
        rig.set_place(place.id, None)
        assert await rig.backend.describe([ref]) == {}
        await rig.backend.terminate(ref)
        assert await rig.backend.locate(rig.spec(place).key) is None


class MadeHostContract(HostSteps):
    """Promises of a backend that makes its hosts, and so can unmake them."""

    async def test_a_host_is_there_until_it_is_deleted_and_the_others_stay(self, rig: MakingRig) -> None:
        made = await self.made(rig, hosts=2)
        first, second = made.refs.values()
        await self.running(rig, second)
        await self.deleted(rig, [first])
        await rig.backend.delete_hosts([first])
        assert set(await rig.backend.describe_hosts([first, second])) == {second}
        await self.count_stays(rig, 1)

    async def test_deleting_what_is_gone_is_a_success_for_another_backend_too(self, rig: MakingRig) -> None:
        [ref] = (await self.made(rig)).refs.values()
        await self.running(rig, ref)
        await self.deleted(rig, [ref])
        await (await rig.reopen()).delete_hosts([ref])
        assert await rig.backend.describe_hosts([ref]) == {}

    async def test_an_order_whose_answer_was_lost_is_located_and_made_once(self, rig: MakingRig) -> None:
        rig.lose_answer()
        with suppress(OutcomeUnknown):  # a backend may find out by itself
            await self.made(rig, hosts=2)
        again = await self.made(rig, hosts=2)
        assert set(again.refs) == set(rig.order(1, 2).hosts)
        assert (await rig.backend.locate_hosts(rig.order(1, 2))).refs == again.refs
        await self.count_stays(rig, 2)

    async def test_fewer_than_asked_are_made_and_the_lack_is_told(self, rig: MakingRig) -> None:
        rig.set_stock(1)
        made = await self.made(rig, hosts=3)
        assert len(made.refs) == 1
        assert made.lack is not None
        assert made.lack.message
        await self.count_stays(rig, 1)

    async def test_an_order_for_which_there_is_nothing_makes_nothing(self, rig: MakingRig) -> None:
        rig.set_stock(0)
        refused: list[BackendError] = []
        try:
            await self.made(rig, hosts=2)
        except BackendError as error:
            refused.append(error)
        assert refused, "hosts were made of nothing"
        assert not isinstance(refused[0], OutcomeUnknown)
        assert refused[0].message
        assert (await rig.backend.locate_hosts(rig.order(1, 2))).refs == {}
        await self.count_stays(rig, 0)

    async def test_describe_leaves_out_what_does_not_exist(self, rig: MakingRig) -> None:
        first, second = (await self.made(rig, hosts=2)).refs.values()
        await self.running(rig, first)
        await self.running(rig, second)
        await rig.vanish(first)

        async def is_left_out() -> bool:
            return set(await rig.backend.describe_hosts([first, second])) == {second}

        await self.wait(rig, is_left_out)

    async def test_a_listing_is_complete_and_tells_whose_each_is(self, rig: MakingRig) -> None:
        stranger = await rig.add_stranger()
        made = (await self.made(rig, hosts=3)).refs
        for ref in made.values():
            await self.running(rig, ref)
        listing = await rig.backend.list_hosts()
        assert listing.complete
        assert {one.host: one.ref for one in listing.hosts if one.host is not None} == made
        assert all(one.host is None for one in listing.hosts if one.ref == stranger)


class HostInterruptionContract(HostSteps):
    """Promises of a backend whose cloud takes hosts back after a notice."""

    async def test_a_notice_is_told_of_that_host_alone_with_its_time(self, rig: InterruptibleHostRig) -> None:
        first, second = (await self.made(rig, hosts=2)).refs.values()
        await self.running(rig, first)
        await self.running(rig, second)
        at = await rig.interrupt(first, "the cloud's own words")

        async def is_told() -> bool:
            found = await rig.backend.describe_hosts([first, second])
            assert found[second].interruption is None
            return found[first].interruption is not None

        await self.wait(rig, is_told)
        notice = (await rig.backend.describe_hosts([first]))[first].interruption
        assert notice is not None
        assert abs((notice.at - at).total_seconds()) < 1
