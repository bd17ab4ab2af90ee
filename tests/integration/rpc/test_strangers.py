"""Callers without a token cannot keep controllers out, however many calls they hold open."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2  # type: ignore[import-untyped] # ships no types

from broker.rpc import strangers
from broker.wire.v1 import agents_pb2 as wire
from tests.integration.rpc.world import TOKEN, bearer, running_api, stub

MANY = 300
"""More calls than the listener takes at once."""
METHODS = ("/agentbroker.v1.Agents/SyncNodes", "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch")


async def never() -> AsyncIterator[bytes]:
    await asyncio.Event().wait()
    yield b""


async def opened(channel: Any, method: str, *, says: bool) -> list[Any]:
    """So many calls of strangers; those that do not say anything have only begun."""
    message = health_pb2.HealthCheckRequest().SerializeToString()
    if says:
        calls: list[Any] = [channel.unary_stream(method)(message) for _ in range(MANY)]
    else:
        calls = [channel.stream_unary(method)(never()) for _ in range(MANY)]
    await asyncio.sleep(1)
    return calls


@pytest.mark.parametrize(("method", "says"), [*((method, False) for method in METHODS), (METHODS[2], True)])
async def test_a_controller_is_served_beside_many_strangers(tmp_path: Path, method: str, says: bool) -> None:
    async with running_api(tmp_path) as api, api.channel() as channel:
        alone = [("grpc.use_local_subchannel_pool", 1)]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{api.port}", options=alone) as other:
            calls = await opened(other, method, says=says)
            sync = wire.SyncNodesRequest(boot_id="boot-1")
            await stub(channel).SyncNodes(sync, metadata=bearer(TOKEN), timeout=20)
            for call in calls:
                call.cancel()


async def test_a_place_is_free_again_when_its_stranger_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strangers, "FIRST_MESSAGE_S", 0.1)
    async with running_api(tmp_path) as api, api.channel() as channel:
        calls = await opened(channel, METHODS[1], says=False)
        codes = {await call.code() for call in calls}
        check: Any = channel.unary_unary(METHODS[1])
        answer = await check(health_pb2.HealthCheckRequest().SerializeToString(), timeout=20)
    assert codes <= {grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert health_pb2.HealthCheckResponse.FromString(answer).status == health_pb2.HealthCheckResponse.SERVING
