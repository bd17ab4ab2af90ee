"""DescribeFleet: what people in Jenkins see of the fleet, and where they read more."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from broker.domain.limits import Lever, LeverKind
from broker.domain.money import Budget, Micros
from broker.domain.policy import AgentLimits, Retry
from broker.domain.pool import Cooldown, PoolLimits
from broker.errors import BackendRejected
from broker.testing.factories import POOL, make_controller, make_definitions, make_policy, make_pool
from broker.views.fleet import MOST_FAILURES
from broker.views.pages import Pages
from broker.wire.v1 import agents_pb2 as wire
from tests.integration.rpc.world import (
    OTHER,
    OTHER_TOKEN,
    TOKEN,
    Api,
    bearer,
    handshake,
    request,
    running_api,
    sha256,
    stub,
)

DEFINITIONS = make_definitions(
    controllers=[
        make_controller(token_sha256=(sha256(TOKEN),)),
        make_controller(name=OTHER, token_sha256=(sha256(OTHER_TOKEN),)),
    ],
    pools=[
        make_pool(limits=PoolLimits(agents=3, pending=2), cooldown=Cooldown(after_failures=2)),
        make_pool(name="theirs-alone"),
    ],
    policies=[
        make_policy("it", limits=AgentLimits(agents=4), retry=Retry(attempts=1)),
        make_policy("theirs-alone", name="theirs", labels=("theirs",), controllers=(OTHER,), retry=Retry(attempts=1)),
    ],
)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with running_api(tmp_path, DEFINITIONS) as running:
        yield running


@pytest.fixture
async def agents(api: Api) -> AsyncIterator[Any]:
    async with api.channel() as channel:
        yield stub(channel)


async def fleet(agents: Any, token: str = TOKEN) -> wire.DescribeFleetReply:
    reply: wire.DescribeFleetReply = await agents.DescribeFleet(
        wire.DescribeFleetRequest(), metadata=bearer(token), timeout=10
    )
    return reply


async def test_it_tells_pools_and_policies_with_their_caps_and_why_agents_wait(api: Api, agents: Any) -> None:
    await api.core.sync()
    await agents.RequestAgents(request("a-1", "a-2", "a-3"), metadata=bearer(TOKEN), timeout=10)
    await api.core.advance(1)
    found = await fleet(agents)
    [pool], [policy] = found.pools, found.policies
    assert (pool.name, pool.backend, pool.state, pool.why) == ("it", "fake", "ready", "")
    assert (pool.agents, pool.agents_cap, pool.starting, pool.starting_cap) == (2, 3, 2, 2)
    assert (policy.name, list(policy.labels), list(policy.pools)) == ("linux", ["linux"], ["it"])
    assert (policy.agents, policy.agents_cap, policy.waiting) == (2, 4, 1)
    assert policy.remark.startswith("waiting for ")
    assert "PoolAtLimit: pool it is at its limit (2 of 2 starting agents)" in policy.remark
    assert list(found.failures) == []


async def test_it_tells_how_much_of_a_budget_is_spent(tmp_path: Path) -> None:
    controllers = [make_controller(token_sha256=(sha256(TOKEN),))]
    policies = [make_policy("it", budget=Budget(amount=Micros(80_000_000)))]
    definitions = make_definitions(controllers=controllers, pools=[make_pool()], policies=policies, currency="USD")
    async with running_api(tmp_path, definitions) as api, api.channel() as channel:
        [policy] = (await fleet(stub(channel))).policies
    assert policy.budget.startswith("0 USD of 80 USD of the day spent or set aside; anew ")


async def test_failures_are_told_with_the_clouds_words_and_a_hint_and_a_pool_that_rests_says_why(
    api: Api, agents: Any
) -> None:
    await api.core.sync()
    api.core.backend.next_launch_raises(BackendRejected("Nope", "the cloud's own words\nand more"), times=2)
    await agents.RequestAgents(request("a-1", "a-2"), metadata=bearer(TOKEN), timeout=10)
    await api.core.advance(1)
    found = await fleet(agents)
    assert {(f.agent, f.policy, f.pool, f.reason) for f in found.failures} == {
        ("a-1", "linux", "it", "BackendError"),
        ("a-2", "linux", "it", "BackendError"),
    }
    assert found.failures[0].message == "Nope: the cloud's own words"
    assert found.failures[0].hint.startswith("Read the backend's own words")
    assert found.failures[0].at.ToDatetime() >= found.failures[1].at.ToDatetime()
    assert (found.pools[0].state, found.pools[0].why) == ("cooldown", "BackendError: Nope: the cloud's own words")
    assert found.pools[0].until.seconds > api.core.clock.now().timestamp()
    assert found.pools[0].by == ""


async def test_a_pool_that_somebody_has_paused_says_who_why_and_until_when(api: Api, agents: Any) -> None:
    now = api.core.clock.now()
    until = now + timedelta(hours=1)
    lever = Lever(pool=POOL, kind=LeverKind.PAUSE, actor="ana", reason="migration", since=now, until=until)
    api.core.ctx.levers = {lever.pool: lever}
    found = await fleet(agents)
    [pool] = found.pools
    assert (pool.state, pool.why, pool.by) == ("paused", "migration", "ana")
    assert pool.until.seconds == int(until.timestamp())


async def test_a_controller_sees_nothing_of_another_ones(api: Api, agents: Any) -> None:
    await api.core.sync(OTHER)
    api.core.backend.next_launch_raises(BackendRejected("Nope", "not yours"))
    await agents.RequestAgents(request("b-1", policy="theirs"), metadata=bearer(OTHER_TOKEN), timeout=10)
    await api.core.advance(1)
    ours, theirs = await fleet(agents), await fleet(agents, OTHER_TOKEN)
    assert ([p.name for p in ours.pools], [p.name for p in ours.policies], len(ours.failures)) == (["it"], ["linux"], 0)
    assert [p.name for p in theirs.pools] == ["it", "theirs-alone"]
    assert [f.agent for f in theirs.failures] == ["b-1"]


async def test_an_ordinary_end_is_no_failure(api: Api, agents: Any) -> None:
    await api.core.start("a-1")
    await api.core.release("a-1")
    await api.core.advance(3)
    assert list((await fleet(agents)).failures) == []


async def test_no_more_than_the_newest_failures_are_told(api: Api, agents: Any) -> None:
    await api.core.sync()
    names = [f"a-{n}" for n in range(MOST_FAILURES + 5)]
    api.core.backend.next_launch_raises(BackendRejected("Nope", "no"), times=len(names))
    for name in names:
        await agents.RequestAgents(request(name), metadata=bearer(TOKEN), timeout=10)
        await api.core.advance(400, step_s=100)
    found = await fleet(agents)
    assert [f.agent for f in found.failures] == names[::-1][:MOST_FAILURES]


async def test_many_who_ask_at_once_share_one_answer_for_a_second(api: Api, agents: Any) -> None:
    await api.core.sync()
    assert (await fleet(agents)).policies[0].agents == 0
    await agents.RequestAgents(request("a-1"), metadata=bearer(TOKEN), timeout=10)
    await api.core.settle()
    found = await asyncio.gather(*(fleet(agents) for _ in range(8)))  # noqa: TID251 - a test
    assert {f.policies[0].agents for f in found} == {0}
    await api.core.clock.advance(1)
    assert (await fleet(agents)).policies[0].agents == 1


async def test_links_lead_to_the_broker_where_its_url_is_known(api: Api, agents: Any) -> None:
    greeted = await agents.Handshake(handshake(), metadata=bearer(TOKEN), timeout=10)
    assert (greeted.agent_page, (await fleet(agents)).page_url) == ("", "")
    pages = Pages("https://broker.example.com/ci")
    api.service._pages = lambda: pages  # what a reload does
    greeted = await agents.Handshake(handshake(), metadata=bearer(TOKEN), timeout=10)
    assert greeted.agent_page + "a-1" == "https://broker.example.com/ci/api/v1/explain?what=a-1"
    assert (await fleet(agents)).page_url == "https://broker.example.com/ci/api/v1/status"
