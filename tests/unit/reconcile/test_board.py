"""Offers are asked for beside placement: what does not answer holds up nobody else, and is not believed for ever."""

import asyncio

import pytest

from broker.domain.ids import BackendName, PoolName
from broker.domain.money import Micros
from broker.domain.offer import Offer
from broker.domain.pool import Pool
from broker.domain.resources import Resources
from broker.errors import BackendError, BackendRejected, Throttled
from broker.ports import Backend
from broker.reconcile.board import STALE_S, OfferBoard
from broker.testing.backend import FakeBackend
from broker.testing.clock import ManualClock
from broker.testing.factories import POOL, make_definitions, make_pool

DEAD = make_pool(name=PoolName("dead"), backend=BackendName("dead"))
DEFINITIONS = make_definitions(pools=[make_pool(), DEAD])


class Told(FakeBackend):
    """Answers what it is told, or not at all."""

    answer: list[Offer] | BackendError | None = None

    async def offers(self, pool: Pool) -> list[Offer]:
        if self.answer is None:
            await asyncio.Event().wait()
        if isinstance(self.answer, BackendError):
            raise self.answer
        return [Offer(pool=pool.name)] if self.answer is None else list(self.answer)


def board(clock: ManualClock) -> tuple[OfferBoard, list[str]]:
    news = list[str]()
    return OfferBoard(clock, lambda: news.append("news")), news


async def ask(one: OfferBoard, backend: Backend, pool: Pool) -> None:
    await one.ask(backend, [pool])


async def test_a_backend_that_hangs_holds_up_nobody_else() -> None:
    clock = ManualClock()
    one, _ = board(clock)
    hanging, well = Told(None, clock), FakeBackend(None, clock)
    asking = asyncio.create_task(ask(one, hanging, DEAD))  # noqa: TID251 - cancelled below
    await ask(one, well, make_pool())
    told = one.offers(DEFINITIONS)
    assert told[POOL] == (Offer(pool=POOL),)
    assert isinstance(told[DEAD.name], BackendError)
    asking.cancel()


async def test_an_answer_counts_until_it_is_stale_and_a_refusal_at_once() -> None:
    clock = ManualClock()
    one, news = board(clock)
    backend = Told(None, clock)
    backend.answer = [Offer(pool=POOL, room=1)]
    await ask(one, backend, make_pool())
    backend.answer = Throttled("slow", "down")
    await clock.advance(STALE_S)
    await ask(one, backend, make_pool())
    assert one.offers(DEFINITIONS)[POOL] == (Offer(pool=POOL, room=1),)
    await clock.advance(1)
    assert isinstance(one.offers(DEFINITIONS)[POOL], BackendError), "nobody knows what is there now"
    backend.answer = BackendRejected("no", "such subnet")
    await ask(one, backend, make_pool())
    assert "such subnet" in str(one.offers(DEFINITIONS)[POOL])
    assert len(news) == 2


async def test_the_same_answer_is_no_news() -> None:
    clock = ManualClock()
    one, news = board(clock)
    for _ in range(3):
        await ask(one, FakeBackend(None, clock), make_pool())
    assert news == ["news"]


async def test_the_first_answer_is_given_a_moment_and_no_more() -> None:
    clock = ManualClock()
    one, _ = board(clock)
    assert one.starts(DEFINITIONS)
    await clock.advance(0.6)
    assert not one.starts(DEFINITIONS)


@pytest.mark.parametrize(
    "offer",
    [
        Offer(pool=PoolName("another")),
        Offer(pool=POOL, price=Micros(-1)),
        Offer(pool=POOL, price=float("nan")),  # type: ignore[arg-type]  # what a backend may get from a cloud
        Offer(pool=POOL, price=Micros(1 << 70)),
        Offer(pool=POOL, room=-1),
        Offer(pool=POOL, host="h", slots=1.5),  # type: ignore[arg-type]
        Offer(pool=POOL, host="h", free=Resources(cpu_milli=-1)),
        Offer(pool=POOL, zone="\ud800"),
        Offer(pool=POOL, host="h" * 10_000),
    ],
)
async def test_an_offer_that_cannot_be_counts_against_its_own_pool_alone(offer: Offer) -> None:
    clock = ManualClock()
    one, _ = board(clock)
    backend = Told(None, clock)
    backend.answer = [Offer(pool=POOL), offer]
    await ask(one, backend, make_pool())
    assert "what cannot be" in str(one.offers(DEFINITIONS)[POOL])


async def test_a_bug_in_one_backend_ends_no_asking_and_is_told() -> None:
    class Broken(FakeBackend):
        async def offers(self, pool: Pool) -> list[Offer]:
            raise KeyError("zone")

    clock = ManualClock()
    one, _ = board(clock)
    await ask(one, Broken(None, clock), DEAD)
    await ask(one, FakeBackend(None, clock), make_pool())
    told = one.offers(DEFINITIONS)
    assert "KeyError('zone')" in str(told[DEAD.name])
    assert told[POOL] == (Offer(pool=POOL),)
