"""Plans are decided with what placement itself knows: its offers, what it doubts, and all who wait."""

from collections import Counter
from pathlib import Path

import pytest

from broker.domain.definitions import Definitions
from broker.domain.ids import PoolName
from broker.domain.limits import Usage
from broker.domain.offer import Offer
from broker.domain.policy import PoolChoice, Spread, SpreadBy, Strategy
from broker.domain.pool import Cooldown, PoolLimits
from broker.errors import BackendRejected
from broker.testing.clock import EPOCH
from broker.testing.factories import make_agent, make_definitions, make_policy, make_pool
from broker.web.api.models_plan import MOST_WAITING, Standing, to_standing, usage_of, waiting_of
from tests.unit.web.api_world import Api, running_api

A, B, C = PoolName("a"), PoolName("b"), PoolName("c")
TWO = make_definitions(
    pools=[make_pool(name=A, cooldown=Cooldown(after_failures=4)), make_pool(name=B)], policies=[make_policy(A, B)]
)


async def where(api: Api, number: int, **more: str) -> dict[str, int]:
    found = await api.get("plan", params={"label": "linux", "n": str(number), **more})
    return {pool["pool"]: pool["count"] for pool in found["pools"] if pool["count"]}


def three_pools(strategy: Strategy) -> Definitions:
    pools = [make_pool(name=A, limits=PoolLimits(agents=4)), make_pool(name=B), make_pool(name=C)]
    uses = (PoolChoice(pool=A, weight=3), PoolChoice(pool=B, weight=2, base=1), PoolChoice(pool=C))
    policy = make_policy(strategy=strategy, pools=uses, spread=Spread(by=SpreadBy.POOL, max_skew=4))
    return make_definitions(pools=pools, policies=[policy])


async def placed(api: Api, names: list[str]) -> dict[str, int]:
    await api.core.ask(*names)
    await api.core.settle()
    return dict(Counter(str(a.pool) for a in await api.core.ctx.agents.live() if a.name in names))


@pytest.mark.parametrize("strategy", Strategy)
async def test_agents_go_where_a_plan_has_said_and_the_plan_itself_launches_none(
    strategy: Strategy, tmp_path: Path
) -> None:
    async with running_api(tmp_path, three_pools(strategy)) as api:
        await api.core.ask_for_offers()
        for look, count in enumerate((3, 7)):
            before = (api.core.backend.ledger.total_created(), await api.core.ctx.history.last_number())
            said = await where(api, count)
            assert (api.core.backend.ledger.total_created(), await api.core.ctx.history.last_number()) == before
            assert await placed(api, [f"linux-{look}{n:05}" for n in range(count)]) == said


async def test_a_pool_that_does_badly_now_is_planned_with_as_few_as_placement_would_give_it(tmp_path: Path) -> None:
    async with running_api(tmp_path, TWO) as api:
        assert await where(api, 10) == {"a": 10}
        api.core.backend.next_launch_raises(BackendRejected("Nope", "no"), times=2)
        await api.core.ask("linux-1")
        await api.core.ask("linux-2")
        await api.core.settle()
        assert await where(api, 10) == {"a": 2, "b": 8}
        assert await where(api, 10, at="2026-06-01T00:00:00Z") == {"a": 10}, "nobody knows how it does by then"


async def test_a_plan_asks_no_backend_of_which_something_is_known(tmp_path: Path) -> None:
    async with running_api(tmp_path, TWO) as api:
        assert await where(api, 2) == {"a": 2}
        api.core.backend.places.offers = [Offer(pool=A, room=1)]
        assert await where(api, 2) == {"a": 2}, "placement does not know yet"
        await api.core.ask_for_offers()
        assert await where(api, 2) == {"a": 1, "b": 1}


def standing(jobs: list[str]) -> Standing:
    waiting = [make_agent(n, job=job) for n, job in enumerate(jobs)]
    definitions = make_definitions(pools=[make_pool(limits=PoolLimits(agents=1))])
    told = to_standing(Usage(now=EPOCH), {name: [Offer(pool=name)] for name in definitions.pools}, waiting, "r")
    return Standing.model_validate_json(told.model_dump_json())


def test_all_who_wait_are_told_of_however_many_are_alike() -> None:
    told = standing(["one"] * 9_000 + ["two"] * 1_000)
    assert [(one.job, one.count) for one in told.waiting] == [("one", 9_000), ("two", 1_000)]
    assert told.left_out == 0
    line = waiting_of(told)
    assert [line[n].job for n in (0, 8_999, 9_000, 9_999)] == ["one", "one", "two", "two"]
    assert len({agent.id for agent in line}) == 10_000


def test_what_is_taken_is_told_whole() -> None:
    taken, key = Usage(now=EPOCH), (make_policy().name, A)
    taken.of_pool[key] = 3
    taken.of_zone[*key, "a"], taken.of_type[*key, "m5"], taken.of_host[*key, "h"] = 1, 2, 3
    told = to_standing(taken, {}, [], "r")
    assert usage_of(Standing.model_validate_json(told.model_dump_json())) == taken


def test_how_many_are_left_out_is_said() -> None:
    told = standing([f"job-{n}" for n in range(MOST_WAITING + 7)])
    assert (len(told.waiting), told.left_out) == (MOST_WAITING, 7)
