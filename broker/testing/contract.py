"""The suite that every backend must pass. Subclass `BackendContract` and give it a fixture named `rig`."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

from broker.domain.ids import InstanceRef
from broker.domain.instance import InstanceState
from broker.ports import Backend, LaunchSpec


class BackendRig(Protocol):
    """A backend under test, with the hands of the world around it."""

    @property
    def backend(self) -> Backend:
        """The backend that stands now."""
        ...

    def spec(self, n: int = 1, attempt: int = 1) -> LaunchSpec:
        """A launch that this backend can carry out; same numbers, same key."""
        ...

    async def reopen(self) -> Backend:
        """Closes the backend and opens another over the same world, as a restarted broker does; answers it."""
        ...

    async def stop_instance(self, ref: InstanceRef, *, exit_code: int, lines: Sequence[str]) -> None:
        """Makes an instance print `lines` and end by itself."""
        ...

    async def count_running(self) -> int:
        """How many instances run in the world, counted without the backend."""
        ...

    async def let_time_pass(self) -> None:
        """A moment of the world, at most a second of real time."""
        ...


class InterruptibleRig(BackendRig, Protocol):
    """The world around a backend whose cloud takes instances back."""

    async def interrupt(self, ref: InstanceRef, at: datetime, message: str) -> None:
        """Makes the cloud say so of a running instance, which goes at that time."""
        ...


class InterruptionContract:
    """Promises of a backend whose cloud takes instances back after a notice."""

    async def test_a_notice_is_told_with_its_time_and_the_clouds_words_of_that_instance_alone(
        self, rig: InterruptibleRig
    ) -> None:
        ref, other = await rig.backend.launch(rig.spec(n=1)), await rig.backend.launch(rig.spec(n=2))
        at = (datetime.now(tz=UTC) + timedelta(minutes=2)).replace(microsecond=0)
        await rig.interrupt(ref, at, "the cloud's own words")
        for backend in (rig.backend, await rig.reopen()):
            await self._noticed(rig, backend, ref)
            found = await backend.describe([ref, other])
            notice = found[ref].interruption
            assert notice is not None
            assert abs(notice.at - at) < timedelta(seconds=1)
            assert "the cloud's own words" in notice.message
            assert found[other].interruption is None

    async def _noticed(self, rig: InterruptibleRig, backend: Backend, ref: InstanceRef) -> None:
        for _ in range(200):
            if (await backend.describe([ref]))[ref].interruption is not None:
                return
            await rig.let_time_pass()
        raise AssertionError("no notice in 200 moments of the world")


class BackendContract:
    """Promises of `ports.Backend`, each a test."""

    async def test_launching_twice_with_one_key_makes_one_instance(self, rig: BackendRig) -> None:
        first = await rig.backend.launch(rig.spec())
        assert await rig.backend.launch(rig.spec()) == first
        await self._count_stays(rig, 1)

    async def test_launching_at_the_same_time_with_one_key_makes_one_instance(self, rig: BackendRig) -> None:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(rig.backend.launch(rig.spec()), name=f"launch-{i}") for i in range(4)]
        refs = {task.result() for task in tasks}
        assert len(refs) == 1
        await self._count_stays(rig, 1)

    async def test_a_launch_whose_caller_gave_up_is_still_one_instance(self, rig: BackendRig) -> None:
        async with asyncio.TaskGroup() as group:
            given_up = group.create_task(rig.backend.launch(rig.spec()), name="given-up")
            await rig.let_time_pass()
            given_up.cancel()
        ref = await rig.backend.launch(rig.spec())
        assert await rig.backend.locate(rig.spec().key) == ref
        await self._count_stays(rig, 1)

    async def test_another_attempt_is_another_instance(self, rig: BackendRig) -> None:
        first = await rig.backend.launch(rig.spec(attempt=1))
        second = await rig.backend.launch(rig.spec(attempt=2))
        assert first != second
        assert set(await rig.backend.describe([first, second])) == {first, second}

    async def test_locate_is_sure_before_and_after_a_launch(self, rig: BackendRig) -> None:
        assert await rig.backend.locate(rig.spec().key) is None
        ref = await rig.backend.launch(rig.spec())
        assert await rig.backend.locate(rig.spec().key) == ref
        assert await rig.backend.locate(rig.spec(attempt=2).key) is None

    async def test_an_instance_tells_whose_it_is(self, rig: BackendRig) -> None:
        ref = await rig.backend.launch(rig.spec(n=7, attempt=3))
        instance = (await rig.backend.describe([ref]))[ref]
        assert (instance.ref, instance.agent_id, instance.attempt) == (ref, rig.spec(n=7).key.agent_id, 3)
        assert instance.interruption is None

    async def test_describe_leaves_out_what_does_not_exist(self, rig: BackendRig) -> None:
        ref = await rig.backend.launch(rig.spec(n=1))
        gone = await rig.backend.launch(rig.spec(n=2))
        await self._end(rig, gone)
        assert set(await rig.backend.describe([ref, gone])) == {ref}
        assert await rig.backend.describe([]) == {}

    async def test_terminate_may_be_repeated_and_leaves_the_others(self, rig: BackendRig) -> None:
        ref, other = await rig.backend.launch(rig.spec(n=1)), await rig.backend.launch(rig.spec(n=2))
        await rig.backend.terminate(ref)
        await rig.backend.terminate(ref)
        await self._end(rig, ref)
        await rig.backend.terminate(ref)
        assert (await rig.backend.describe([ref, other]))[other].state is not InstanceState.STOPPED
        await self._count_stays(rig, 1)

    async def test_terminating_an_unknown_instance_is_a_success(self, rig: BackendRig) -> None:
        ref = await rig.backend.launch(rig.spec())
        await self._end(rig, ref)
        await (await rig.reopen()).terminate(ref)
        assert await rig.backend.describe([ref]) == {}

    async def test_a_listing_is_complete_and_names_everything(self, rig: BackendRig) -> None:
        assert (await rig.backend.list_owned()).instances == ()
        refs = {await rig.backend.launch(rig.spec(n=n)) for n in (1, 2, 3)}
        listing = await rig.backend.list_owned()
        assert listing.complete
        assert {instance.ref for instance in listing.instances} == refs

    async def test_an_instance_that_ended_by_itself_tells_its_code_and_last_lines(self, rig: BackendRig) -> None:
        ref = await rig.backend.launch(rig.spec())
        await self._wait(rig, self._state_is(rig, ref, InstanceState.RUNNING))
        await rig.stop_instance(ref, exit_code=3, lines=["one", "two"])
        await self._wait(rig, self._state_is(rig, ref, InstanceState.STOPPED))
        instance = (await rig.backend.describe([ref]))[ref]
        assert instance.exit_code == 3
        assert instance.last_lines[-2:] == ("one", "two")
        assert instance.reason is not None
        assert instance.message
        await self._end(rig, ref)

    async def test_an_instance_that_ended_by_itself_is_not_made_again_by_its_key(self, rig: BackendRig) -> None:
        ref = await rig.backend.launch(rig.spec())
        await self._wait(rig, self._state_is(rig, ref, InstanceState.RUNNING))
        await rig.stop_instance(ref, exit_code=0, lines=[])
        await self._wait(rig, self._state_is(rig, ref, InstanceState.STOPPED))
        assert await rig.backend.launch(rig.spec()) == ref
        await self._count_stays(rig, 0)

    async def test_a_restarted_backend_finds_its_instances_again(self, rig: BackendRig) -> None:
        ref = await rig.backend.launch(rig.spec())
        await self._wait(rig, self._state_is(rig, ref, InstanceState.RUNNING))
        backend = await rig.reopen()
        assert await backend.locate(rig.spec().key) == ref
        assert (await backend.describe([ref]))[ref].state is InstanceState.RUNNING
        assert await backend.launch(rig.spec()) == ref
        assert [i.ref for i in (await backend.list_owned()).instances] == [ref]
        await self._count_stays(rig, 1)
        await self._end(rig, ref)

    async def test_a_pool_with_nothing_in_it_offers_itself(self, rig: BackendRig) -> None:
        spec = rig.spec()
        offers = await rig.backend.offers(spec.pool)
        assert [offer.pool for offer in offers] == [spec.pool.name]
        assert all(offer.room is None or offer.room > 0 for offer in offers)

    async def _end(self, rig: BackendRig, ref: InstanceRef) -> None:
        """Asks again and again, as the reconciler does, until the instance does not exist."""

        async def is_gone() -> bool:
            await rig.backend.terminate(ref)
            return ref not in await rig.backend.describe([ref])

        await self._wait(rig, is_gone)

    def _state_is(self, rig: BackendRig, ref: InstanceRef, state: InstanceState) -> Callable[[], Awaitable[bool]]:
        async def check() -> bool:
            instance = (await rig.backend.describe([ref])).get(ref)
            return instance is not None and instance.state is state

        return check

    async def _count_stays(self, rig: BackendRig, count: int) -> None:
        async def is_so() -> bool:
            return await rig.count_running() == count

        await self._wait(rig, is_so)
        for _ in range(3):
            await rig.let_time_pass()
            assert await rig.count_running() == count

    async def _wait(self, rig: BackendRig, reached: Callable[[], Awaitable[bool]]) -> None:
        for _ in range(200):
            if await reached():
                return
            await rig.let_time_pass()
        raise AssertionError("not reached in 200 moments of the world")
