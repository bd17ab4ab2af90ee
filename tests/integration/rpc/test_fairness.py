"""One controller that floods the broker keeps no other one waiting; a rate is kept to, and says when to come again."""

import asyncio
from datetime import timedelta
from pathlib import Path

import grpc
import grpc.aio

from broker.domain.definitions import Definitions, Rate
from broker.rpc.fairness import CALLS_AT_ONCE
from broker.rpc.interceptors import RETRY_AFTER
from broker.testing.factories import make_controller, make_definitions
from broker.wire.v1 import agents_pb2 as wire
from tests.integration.rpc.world import OTHER, OTHER_TOKEN, TOKEN, Api, bearer, request, running_api, sha256, stub

BUSY = grpc.StatusCode.RESOURCE_EXHAUSTED
FLOOD = 400


def limited(rate: Rate | None) -> Definitions:
    return make_definitions(
        controllers=[
            make_controller(token_sha256=(sha256(TOKEN),), rate=rate),
            make_controller(name=OTHER, token_sha256=(sha256(OTHER_TOKEN),)),
        ]
    )


async def ask(api: Api, count: int, token: str = TOKEN, first: int = 0) -> grpc.aio.AioRpcError | None:
    """Asks for so many agents in one call; what it got instead, if it was refused."""
    names = [f"{'a' if token == TOKEN else 'b'}-{n}" for n in range(first, first + count)]
    async with api.channel() as channel:
        try:
            reply = await stub(channel).RequestAgents(request(*names), metadata=bearer(token), timeout=40)
        except grpc.aio.AioRpcError as error:
            return error
        assert all(answer.accepted for answer in reply.answers)
        return None


def milliseconds(error: grpc.aio.AioRpcError | None) -> int:
    assert error is not None
    assert error.code() == BUSY
    return int(dict(error.trailing_metadata())[RETRY_AFTER])


async def test_a_flooding_controller_holds_its_own_places_and_no_other_ones(tmp_path: Path) -> None:
    async with running_api(tmp_path, limited(None)) as api, api.channel() as channel:
        ended: list[grpc.aio.AioRpcError | None] = []
        refused = asyncio.Event()

        async def one(number: int) -> None:
            ended.append(await ask(api, 1, first=number))
            if len(ended) == FLOOD - CALLS_AT_ONCE:
                refused.set()

        held = api.core.intake._accepting  # while it is, every request waits: the worst that a flood can do
        async with asyncio.TaskGroup() as group, held:
            for number in range(FLOOD):
                group.create_task(one(number), name=f"ask:{number}")
            async with asyncio.timeout(30):
                await refused.wait()
            sync = wire.SyncNodesRequest(boot_id="boot-other")
            reply = await stub(channel).SyncNodes(sync, metadata=bearer(OTHER_TOKEN), timeout=10)
            assert not reply.agents
            assert len(ended) == FLOOD - CALLS_AT_ONCE
        assert {milliseconds(error) for error in ended[: FLOOD - CALLS_AT_ONCE]} == {1000}
        assert ended[0] is not None
        assert "controller main has 16 calls open, the most at once" in (ended[0].details() or "")
        assert ended[FLOOD - CALLS_AT_ONCE :] == [None] * CALLS_AT_ONCE


async def test_agents_above_the_rate_are_refused_until_it_allows_them_again(tmp_path: Path) -> None:
    async with running_api(tmp_path, limited(Rate(count=10, per=timedelta(minutes=1)))) as api:
        assert await ask(api, 10) is None
        refused = await ask(api, 1, first=10)
        assert milliseconds(refused) == 6000
        assert refused is not None
        assert refused.details() == (
            "controller main asks for more agents than controllers.main.rate allows (10 in 60 s); try again in 6.0 s"
        )
        await api.core.clock.advance(5.9)
        assert await ask(api, 1, first=10) is not None
        await api.core.clock.advance(0.1)
        assert await ask(api, 1, first=10) is None
        assert await ask(api, 1, first=11) is not None
        assert len(await api.core.ctx.agents.live()) == 11


async def test_a_large_call_gets_through_and_is_paid_back(tmp_path: Path) -> None:
    async with running_api(tmp_path, limited(Rate(count=10, per=timedelta(seconds=1)))) as api:
        assert await ask(api, 100) is None
        assert milliseconds(await ask(api, 1, first=100)) == 9100
        await api.core.clock.advance(9.1)
        assert await ask(api, 1, first=100) is None


async def test_the_rate_of_one_controller_is_not_the_other_ones(tmp_path: Path) -> None:
    async with running_api(tmp_path, limited(Rate(count=1, per=timedelta(hours=1)))) as api:
        assert await ask(api, 5) is None
        assert await ask(api, 5, first=5) is not None
        for turn in range(10):
            assert await ask(api, 50, OTHER_TOKEN, first=turn * 50) is None


async def test_a_controller_above_its_rate_still_syncs_and_releases(tmp_path: Path) -> None:
    async with running_api(tmp_path, limited(Rate(count=1, per=timedelta(hours=1)))) as api, api.channel() as channel:
        assert await ask(api, 5) is None
        assert await ask(api, 1, first=5) is not None
        sync = wire.SyncNodesRequest(boot_id="boot-1")
        reply = await stub(channel).SyncNodes(sync, metadata=bearer(TOKEN), timeout=10)
        assert len(reply.agents) == 5
        given = wire.AgentRelease(name="a-0", cause=wire.RELEASE_CAUSE_CANCELLED)
        release = wire.ReleaseAgentsRequest(boot_id="boot-1", agents=[given])
        await stub(channel).ReleaseAgents(release, metadata=bearer(TOKEN), timeout=10)
