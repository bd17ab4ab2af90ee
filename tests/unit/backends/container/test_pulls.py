"""One fetch an image, whoever waits for it, and however long."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable

import pytest

from broker.backends.container.engine import Engine
from broker.backends.container.pulls import Pulls
from broker.domain.ids import BackendName, LaunchToken
from broker.domain.reason import Reason
from broker.errors import BackendRejected, Throttled
from broker.testing.clock import ManualClock

A, B = LaunchToken("a"), LaunchToken("b")


class SlowEngine(Engine):
    """Fetches when it is told to, and counts."""

    def __init__(self) -> None:
        super().__init__(BackendName("here"), "unix:///nowhere.sock")
        self.fetched: Counter[str] = Counter()
        self.go = asyncio.Event()
        self.failure: BackendRejected | None = None

    async def pull(self, image: str, progress: Callable[[str], None]) -> None:
        self.fetched[image] += 1
        progress("Downloading 3 of 7 layers")
        await self.go.wait()
        if self.failure is not None:
            raise self.failure


@pytest.fixture
async def engine() -> SlowEngine:
    return SlowEngine()


@pytest.fixture
async def pulls(engine: SlowEngine) -> AsyncIterator[Pulls]:
    pulls = Pulls(engine, ManualClock(), patience_s=0.02)
    yield pulls
    await pulls.close()


async def test_many_launches_of_one_image_fetch_it_once(engine: SlowEngine, pulls: Pulls) -> None:
    engine.go.set()
    async with asyncio.TaskGroup() as group:
        for n in range(5):
            group.create_task(pulls.ensure("acme/agent", LaunchToken(str(n))))
    assert engine.fetched == {"acme/agent": 1}


async def test_who_waits_long_is_told_to_come_back_with_the_engine_s_words(engine: SlowEngine, pulls: Pulls) -> None:
    for token in (A, B, A):
        with pytest.raises(Throttled, match=r"acme/agent is being fetched since 0 s: Downloading 3 of 7 layers"):
            await pulls.ensure("acme/agent", token)
    engine.go.set()
    await pulls.ensure("acme/agent", A)
    await pulls.ensure("acme/agent", B)
    assert engine.fetched == {"acme/agent": 1}


async def test_a_failure_reaches_everybody_who_waited_and_nobody_else(engine: SlowEngine, pulls: Pulls) -> None:
    for token in (A, B):
        with pytest.raises(Throttled):
            await pulls.ensure("acme/agent", token)
    engine.failure = BackendRejected("PullFailed", "manifest unknown", Reason.IMAGE_PULL_FAILED)
    engine.go.set()
    for token in (A, B):
        with pytest.raises(BackendRejected, match="acme/agent: manifest unknown") as caught:
            await pulls.ensure("acme/agent", token)
        assert caught.value.reason is Reason.IMAGE_PULL_FAILED
    engine.failure = None
    await pulls.ensure("acme/agent", A)
    assert engine.fetched == {"acme/agent": 2}


async def test_a_launch_that_gave_up_does_not_end_the_fetch_of_the_others(engine: SlowEngine, pulls: Pulls) -> None:
    async with asyncio.TaskGroup() as group:
        given_up = group.create_task(pulls.ensure("acme/agent", A))
        await asyncio.sleep(0)
        given_up.cancel()
    engine.go.set()
    await pulls.ensure("acme/agent", B)
    assert engine.fetched == {"acme/agent": 1}


async def test_closing_ends_what_is_on_its_way(engine: SlowEngine, pulls: Pulls) -> None:
    with pytest.raises(Throttled):
        await pulls.ensure("acme/agent", A)
    await pulls.close()
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("pull:")]
