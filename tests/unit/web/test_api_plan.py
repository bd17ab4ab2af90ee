"""A plan over the API is what placement then does, and leaves nothing behind."""

from collections import Counter
from pathlib import Path

import pytest

from broker.domain.definitions import Definitions
from broker.domain.ids import PoolName
from broker.domain.policy import PoolChoice, Spread, SpreadBy, Strategy
from broker.domain.pool import PoolLimits
from broker.testing.factories import make_definitions, make_policy, make_pool
from tests.unit.web.api_world import Api, running_api

A, B, C = PoolName("a"), PoolName("b"), PoolName("c")


def three_pools(strategy: Strategy) -> Definitions:
    pools = [make_pool(name=A, limits=PoolLimits(agents=4)), make_pool(name=B), make_pool(name=C)]
    uses = (PoolChoice(pool=A, weight=3), PoolChoice(pool=B, weight=2, base=1), PoolChoice(pool=C))
    policy = make_policy(strategy=strategy, pools=uses, spread=Spread(by=SpreadBy.POOL, max_skew=4))
    return make_definitions(pools=pools, policies=[policy])


async def planned(api: Api, count: int) -> dict[str, int]:
    found = await api.get("plan", params={"label": "linux", "n": count})
    return {pool["pool"]: pool["count"] for pool in found["pools"] if pool["count"]}


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
            said = await planned(api, count)
            assert (api.core.backend.ledger.total_created(), await api.core.ctx.history.last_number()) == before
            assert await placed(api, [f"linux-{look}{n:05}" for n in range(count)]) == said
