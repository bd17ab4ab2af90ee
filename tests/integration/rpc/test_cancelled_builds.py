"""`timeouts.on_timeout: fail`: when Jenkins is told to cancel the build that waits for an agent, and when not."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from broker.domain.policy import OnTimeout, Retry, Timeouts
from broker.domain.pool import PoolLimits
from broker.domain.reason import Reason
from broker.errors import BackendRejected
from broker.testing.factories import make_controller, make_definitions, make_policy, make_pool
from broker.wire.v1 import agents_pb2 as wire
from tests.core import real_secret
from tests.integration.rpc.world import TOKEN, Api, bearer, running_api, sha256, stub

QUEUE_S = 60
NAME = "linux-000001"


@asynccontextmanager
async def asked(
    path: Path,
    *,
    on_timeout: OnTimeout = OnTimeout.FAIL,
    room: int | None = 0,
    waited_s: int = 0,
    cause: wire.Cause = wire.CAUSE_QUEUE,
) -> AsyncIterator[tuple[Api, Any]]:
    """One agent asked for, whose build has waited for so long already by a clock that is a year off."""
    times = Timeouts(queue=timedelta(seconds=QUEUE_S), on_timeout=on_timeout)
    definitions = make_definitions(
        controllers=[make_controller(token_sha256=(sha256(TOKEN),))],
        pools=[make_pool(limits=PoolLimits(agents=room))],
        policies=[make_policy(timeouts=times, retry=Retry(attempts=1))],
    )
    async with running_api(path, definitions) as api, api.channel() as channel:
        agents = stub(channel)
        if room is None:
            api.core.backend.next_launch_raises(BackendRejected("Pull", "manifest unknown", Reason.IMAGE_PULL_FAILED))
        await api.core.sync()
        agent = wire.AgentRequest(
            name=NAME,
            policy="linux",
            secret=real_secret(NAME),
            cause=cause,
            queued_at=Timestamp(seconds=1_000_000_000),
        )
        sent_at = Timestamp(seconds=1_000_000_000 + waited_s)
        request = wire.RequestAgentsRequest(boot_id="boot-1", agents=[agent], sent_at=sent_at)
        await agents.RequestAgents(request, metadata=bearer(TOKEN), timeout=10)
        yield api, agents


async def told(agents: Any, *, node: bool = False, pending: bool = False) -> list[wire.NodeRemoval]:
    request = wire.SyncNodesRequest(
        boot_id="boot-1", nodes=[wire.Node(name=NAME)] if node else [], pending=[NAME] if pending else []
    )
    reply: wire.SyncNodesReply = await agents.SyncNodes(request, metadata=bearer(TOKEN), timeout=10)
    return list(reply.remove)


@pytest.mark.parametrize("named", [{"node": True}, {"pending": True}])
async def test_a_build_that_found_no_place_in_time_is_cancelled_for_as_long_as_jenkins_names_it(
    tmp_path: Path, named: dict[str, bool]
) -> None:
    async with asked(tmp_path) as (api, agents):
        await api.core.advance(QUEUE_S - 5)
        assert await told(agents, **named) == []
        await api.core.advance(10)
        for _ in range(3):
            [removal] = await told(agents, **named)
            assert (removal.name, removal.reason, removal.cancel_build) == (NAME, "QueueTimeout", True)
            assert removal.message == "no place in 1m00s: PoolAtLimit pool it is at its limit (0 of 0 agents)"
            await api.core.advance(1)
        assert await told(agents) == []


async def test_it_is_told_by_a_broker_that_was_restarted_meanwhile(tmp_path: Path) -> None:
    async with asked(tmp_path) as (api, _):
        await api.core.advance(QUEUE_S + 5)
        definitions = api.core.ctx.definitions
    async with running_api(tmp_path, definitions) as api, api.channel() as channel:
        [removal] = await told(stub(channel), pending=True)
        assert (removal.reason, removal.cancel_build) == ("QueueTimeout", True)


async def test_a_policy_that_lets_builds_wait_cancels_none(tmp_path: Path) -> None:
    async with asked(tmp_path, on_timeout=OnTimeout.WAIT, room=None, waited_s=10 * QUEUE_S) as (api, agents):
        await api.core.advance(QUEUE_S)
        [removal] = await told(agents, node=True)
        assert (removal.reason, removal.cancel_build) == ("ImagePullFailed", False)


@pytest.mark.parametrize(
    ("waited_s", "cancelled"), [(0, False), (QUEUE_S - 5, False), (QUEUE_S, True), (100 * QUEUE_S, True)]
)
async def test_a_build_whose_agents_all_fail_is_cancelled_once_it_has_waited_for_the_whole_time(
    tmp_path: Path, waited_s: int, *, cancelled: bool
) -> None:
    async with asked(tmp_path, room=None, waited_s=waited_s) as (api, agents):
        await api.core.advance(1)
        for _ in range(2):
            [removal] = await told(agents, node=True)
            assert (removal.reason, removal.cancel_build) == ("ImagePullFailed", cancelled)
            assert removal.message == "Pull: manifest unknown"
            await api.core.advance(1)


async def test_an_agent_that_no_build_waits_for_cancels_none(tmp_path: Path) -> None:
    async with asked(tmp_path, room=None, waited_s=QUEUE_S, cause=wire.CAUSE_MANUAL) as (api, agents):
        await api.core.advance(1)
        [removal] = await told(agents, node=True)
        assert not removal.cancel_build


@pytest.mark.parametrize("waited_s", [-5, 40 * 86_400])
async def test_a_wait_that_cannot_be_counts_from_the_request(tmp_path: Path, waited_s: int) -> None:
    async with asked(tmp_path, room=None, waited_s=waited_s) as (api, agents):
        await api.core.advance(1)
        [removal] = await told(agents, node=True)
        assert not removal.cancel_build


async def test_an_agent_that_was_online_cancels_no_build(tmp_path: Path) -> None:
    async with asked(tmp_path, room=1, waited_s=QUEUE_S) as (api, agents):
        agent = await api.core.start(NAME)
        assert agent.instance is not None
        api.core.sessions.disconnect(agent.id)
        api.core.backend.stop(agent.instance, exit_code=1)
        await api.core.advance(1)
        [removal] = await told(agents, node=True)
        assert (removal.reason, removal.cancel_build) == ("AgentLost", False)
