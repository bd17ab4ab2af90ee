"""How often a pool that always fails is called while a thousand builds wait, in virtual time."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import structlog

from broker.domain.definitions import Definitions
from broker.domain.ids import InstanceRef
from broker.domain.lifecycle import Phase
from broker.domain.pool import PoolLimits
from broker.domain.reason import Reason
from broker.errors import BackendError, BackendRejected, InsufficientCapacity
from broker.ports import LaunchSpec
from broker.reconcile.loop import Pace
from broker.reconcile.watch import poll
from broker.testing.backend import FakeBackend
from broker.testing.clock import ManualClock, settle
from broker.testing.factories import BACKEND, make_definitions, make_pool
from tests.benchmarks.figures import Figure
from tests.core import Core, open_core

BUILDS: Final = 1000
PENDING: Final = 50
_WORKERS: Final = Pace().workers
_ANSWER_S: Final = 0.1
_STEP_S: Final = 0.05
_LONGEST_S: Final = 60.0
_HOUR_S: Final = 3600.0
_REFUSALS: Final[Mapping[str, BackendError]] = {
    "AccessDenied": BackendRejected("AccessDenied", "not allowed", Reason.ACCESS_DENIED),
    "InsufficientCapacity": InsufficientCapacity("NoStock", "none left"),
}


class _Slow(FakeBackend):
    """Answers each launch after a tenth of a second, as a cloud does; with an error if it has one."""

    def __init__(self, clock: ManualClock, error: BackendError | None) -> None:
        super().__init__(clock=clock)
        self.called = 0
        self._error = error

    async def launch(self, spec: LaunchSpec) -> InstanceRef:
        """Counts the call as it comes."""
        self.called += 1
        await self._clock.sleep_until(self._clock.monotonic() + _ANSWER_S)
        if self._error is not None:
            raise self._error
        return await super().launch(spec)

    def kill_all(self) -> None:
        """Every instance that runs ends, as one does whose command is wrong."""
        for ref in list(self.ledger.instances):
            self.stop(ref, exit_code=1)


@asynccontextmanager
async def _at_work(backend: _Slow, clock: ManualClock, definitions: Definitions) -> AsyncIterator[Core]:
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        opening = open_core(Path(folder) / "broker.db", definitions, clock=clock, backend=backend)
        async with opening as core, asyncio.TaskGroup() as group:
            workers = [group.create_task(_work(core), name=f"worker-{n}") for n in range(_WORKERS)]
            yield core
            for worker in workers:
                worker.cancel()


async def _work(core: Core) -> None:
    while True:
        await core.loop.look_once()


async def _pass(core: Core, seconds: float) -> None:
    await core.clock.advance(seconds)
    await core.ask_for_offers()
    await poll(core.ctx, BACKEND)
    await core.ask_for_offers()
    core.loop.queue.keys.ripen()
    await settle(0.01)


async def _launches(error: BackendError | None) -> tuple[int, int]:
    """How many calls until the pool rests, and how many in the hour after that."""
    clock = ManualClock()
    backend = _Slow(clock, error)
    definitions = make_definitions(pools=[make_pool(limits=PoolLimits(pending=None if error else PENDING))])
    async with _at_work(backend, clock, definitions) as core:
        await core.sync()
        await core.ask(*(f"linux-{n:06d}" for n in range(BUILDS)))
        while not await _rests(core):
            await _pass(core, _STEP_S)
            if error is None:
                backend.kill_all()
            if clock.monotonic() > _LONGEST_S:
                raise RuntimeError("the pool never rests")
        await _let_answers_come(core)
        before = backend.called
        while clock.monotonic() < _HOUR_S and error is not None:
            await _pass(core, 30.0)
        return before, backend.called - before


async def _rests(core: Core) -> bool:
    now = core.clock.now()
    breakers = (await core.ctx.cooldowns.read(now)).values()
    return any(rest.opened for rest in breakers) or bool(await core.ctx.cooldowns.cooled(now))


async def _let_answers_come(core: Core) -> None:
    """Until nothing is launching any more: whoever stands in line has been given back."""
    for _ in range(round(_LONGEST_S / _STEP_S)):
        if not any(agent.phase is Phase.LAUNCHING for agent in await core.ctx.agents.live()):
            return
        await _pass(core, _STEP_S)


async def launches_before_breaker() -> Mapping[str, Figure]:
    """The worst of the refusals, and beside it a pool whose agents end after it has accepted them."""
    structlog.configure(processors=[lambda *_: (_ for _ in ()).throw(structlog.DropEvent)])
    refused = {word: await _launches(error) for word, error in _REFUSALS.items()}
    dying, _ = await _launches(None)
    each = ", ".join(f"{word} {calls} and {after} in the hour after" for word, (calls, after) in refused.items())
    how = (
        f"{BUILDS} builds wait for one pool that refuses every launch after {_ANSWER_S} s, {_WORKERS} workers, virtual "
        f"time; calls until it rests and the last is answered: {each}"
    )
    beside = (
        f"the same where each launch is accepted and its instance ends at once, with limits.pending {PENDING}: calls "
        f"until the pool rests; true 5 there would cost every first burst a whole boot"
    )
    return {
        "launches_before_breaker": Figure(
            value=max(calls for calls, _ in refused.values()), unit="launches", target="<= 5", how=how
        ),
        "launches_before_breaker_dying": Figure(value=dying, unit="launches", target=f"<= {PENDING + 5}", how=beside),
    }
