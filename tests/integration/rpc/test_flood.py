"""Ten thousand calls at once (F32): some are served, the rest is told when to come again, and nothing is lost."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

import grpc
import grpc.aio
import pytest

from broker.domain.lifecycle import Phase
from broker.rpc.fairness import CALLS_AT_ONCE
from broker.rpc.interceptors import RETRY_AFTER
from broker.wire.v1 import agents_pb2 as wire
from tests.integration.rpc.world import OTHER_TOKEN, TOKEN, Api, bearer, request, running_api, stub

CALLS, CHANNELS = 10_000, 8
BY_GRPC = {"CANCELLED never", "RESOURCE_EXHAUSTED never"}
"""What gRPC itself ends before anything of ours has seen it."""


class Flood:
    """What became of the calls."""

    def __init__(self, api: Api) -> None:
        self.accepted: set[str] = set()
        self.refused = Counter[str]()
        self.most_running = 0
        self._running = 0
        accept = api.core.intake._accept

        async def watched(*arguments: object) -> object:
            self._running += 1
            self.most_running = max(self.most_running, self._running)
            try:
                return await accept(*arguments)  # type: ignore[arg-type]  # as they come
            finally:
                self._running -= 1

        api.core.intake._accept = watched  # type: ignore[method-assign,assignment]

    async def ask(self, channel: grpc.aio.Channel, number: int) -> None:
        try:
            reply = await stub(channel).RequestAgents(request(f"a-{number}"), metadata=bearer(TOKEN), timeout=100)
        except grpc.aio.AioRpcError as error:
            after = str(dict(error.trailing_metadata() or ()).get(RETRY_AFTER, "never"))
            self.refused[f"{error.code().name} {after}"] += 1
            return
        assert reply.answers[0].accepted
        self.accepted.add(f"a-{number}")


@pytest.mark.timeout(300)
async def test_ten_thousand_calls_at_once_are_served_or_told_when_to_come_again(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api, AsyncExitStack() as stack:
        flood = Flood(api)
        channels = [
            await stack.enter_async_context(
                grpc.aio.insecure_channel(f"127.0.0.1:{api.port}", options=[("grpc.use_local_subchannel_pool", 1)])
            )
            for _ in range(CHANNELS)
        ]
        async with asyncio.TaskGroup() as group:
            calls = [group.create_task(flood.ask(channels[n % CHANNELS], n), name=f"ask:{n}") for n in range(CALLS)]
            async with api.channel() as other:
                sync = wire.SyncNodesRequest(boot_id="boot-other")
                served = 0
                while not all(call.done() for call in calls):
                    await stub(other).SyncNodes(sync, metadata=bearer(OTHER_TOKEN), timeout=30)
                    served += 1
                    await asyncio.sleep(0.2)
        assert served > 0
        assert len(flood.accepted) + flood.refused.total() == CALLS
        assert flood.refused["RESOURCE_EXHAUSTED 1000"] > 0, "what the broker refuses is told when to come again"
        assert set(flood.refused) <= {"RESOURCE_EXHAUSTED 1000", *BY_GRPC}
        assert flood.most_running <= CALLS_AT_ONCE
        live = {agent.name for agent in await api.core.ctx.agents.live() if agent.phase is Phase.REQUESTED}
        assert live == flood.accepted, "what was accepted is there, and nothing else is"
        await flood.ask(channels[0], CALLS)
        assert f"a-{CALLS}" in flood.accepted
