"""What the suite of backends with hosts needs: the hands of the world around one, and the steps of its tests."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Protocol

from broker.domain.host import HostState, SeenHost
from broker.domain.host_order import HostOrder, HostPlace, Prepared
from broker.domain.ids import HostId, HostRef
from broker.ports import HostBackend, LaunchSpec, Made


class HostRig(Protocol):
    """A backend with hosts under test, with the hands of the world around it."""

    @property
    def backend(self) -> HostBackend:
        """The backend that stands now."""
        ...

    def order(self, n: int = 1, hosts: int = 1) -> HostOrder:
        """The n-th order, for so many hosts; same numbers, same token and hosts. At most three hosts are asked for."""
        ...

    def spec(self, place: HostPlace, n: int = 1) -> LaunchSpec:
        """The launch of the n-th agent on a host that is prepared."""
        ...

    def set_place(self, host: HostId, place: HostPlace | None) -> None:
        """What `BackendContext.place_of` answers from now on, for every backend object that the rig opens."""
        ...

    async def reopen(self) -> HostBackend:
        """Closes the backend and opens another over the same world, as a restarted broker does; answers it."""
        ...

    async def count_hosts(self) -> int:
        """How many hosts of ours exist in the world, counted without the backend."""
        ...

    async def let_time_pass(self) -> None:
        """A moment of the world, at most a second of real time."""
        ...


class MakingRig(HostRig, Protocol):
    """The world around a backend that makes its hosts, in a cloud."""

    def lose_answer(self) -> None:
        """The next order is carried out, and its answer is lost."""
        ...

    def set_stock(self, hosts: int) -> None:
        """So many more hosts can be had."""
        ...

    async def vanish(self, ref: HostRef) -> None:
        """Somebody else deletes a host."""
        ...

    async def add_stranger(self) -> HostRef:
        """A host that looks like ours, and has not our signature."""
        ...


class InterruptibleHostRig(MakingRig, Protocol):
    """The world around a backend whose cloud takes hosts back."""

    async def interrupt(self, ref: HostRef, message: str) -> datetime:
        """Makes the cloud say so of a running host; answers when it goes."""
        ...


class HostSteps:
    """What all the promises need."""

    async def made(self, rig: HostRig, n: int = 1, hosts: int = 1) -> Made:
        """An order that is carried out."""
        return await rig.backend.create_hosts(rig.order(n, hosts))

    async def running(self, rig: HostRig, ref: HostRef) -> SeenHost:
        """Waits until a host can be reached."""

        async def is_up() -> bool:
            found = (await rig.backend.describe_hosts([ref])).get(ref)
            return found is not None and found.state is HostState.RUNNING and bool(found.address)

        await self.wait(rig, is_up)
        return (await rig.backend.describe_hosts([ref]))[ref]

    async def placed(self, rig: HostRig, n: int = 1) -> HostPlace:
        """The place of the only host of an order, that runs and is known."""
        [(host, ref)] = (await self.made(rig, n)).refs.items()
        found = await self.running(rig, ref)
        place = HostPlace(id=host, pool=rig.order(n).pool, ref=ref, address=found.address)
        rig.set_place(host, place)
        return place

    async def prepared(self, rig: HostRig, n: int = 1) -> HostPlace:
        """The same, once it is ready for agents."""
        place = await self.placed(rig, n)
        answers: list[Prepared] = []

        async def is_ready() -> bool:
            answer = await rig.backend.prepare_host(place)
            if isinstance(answer, Prepared):
                answers.append(answer)
            return bool(answers)

        await self.wait(rig, is_ready)
        ready = HostPlace(
            id=place.id,
            pool=place.pool,
            ref=place.ref,
            address=place.address,
            host_key=answers[0].host_key,
            facts=answers[0].facts,
        )
        rig.set_place(place.id, ready)
        return ready

    async def deleted(self, rig: HostRig, refs: Sequence[HostRef]) -> None:
        """Asks again and again, as the reconciler does, until the hosts do not exist."""

        async def are_gone() -> bool:
            await rig.backend.delete_hosts(refs)
            return not await rig.backend.describe_hosts(refs)

        await self.wait(rig, are_gone)

    async def count_stays(self, rig: HostRig, count: int) -> None:
        """So many hosts exist, and so it stays."""

        async def is_so() -> bool:
            return await rig.count_hosts() == count

        await self.wait(rig, is_so)
        for _ in range(3):
            await rig.let_time_pass()
            assert await rig.count_hosts() == count

    async def wait(self, rig: HostRig, reached: Callable[[], Awaitable[bool]]) -> None:
        """Lets time pass until it is so."""
        for _ in range(400):
            if await reached():
                return
            await rig.let_time_pass()
        raise AssertionError("not reached in 400 moments of the world")
