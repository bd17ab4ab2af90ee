"""The simulated controller and agents against each other, with a broker that says yes to everything in between."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest

from broker.demo.channel import Address, Channel, Refused, connect
from broker.demo.ports import free_port
from broker.inbound.capability import USUAL
from broker.inbound.secret import node_secret
from broker.wire.v1 import agents_pb2 as wire
from broker.wire.v1 import agents_pb2_grpc

KEY = bytes(range(32))


class YesBroker(agents_pb2_grpc.AgentsServicer):
    """Accepts every agent and forgets it when it is released."""

    def __init__(self) -> None:
        self.asked: dict[str, wire.AgentRequest] = {}
        self.released: list[wire.AgentRelease] = []
        self.syncs: list[wire.SyncNodesRequest] = []

    async def Handshake(self, request: Any, context: Any) -> wire.HandshakeReply:
        policy = wire.Policy(name="linux", labels=["linux"], name_prefix="linux")
        policy.retention.max_uses = 1
        reply = wire.HandshakeReply(policies=wire.PolicySet(revision="1", policies=[policy]))
        reply.sync_interval.FromSeconds(1)
        return reply

    async def RequestAgents(self, request: wire.RequestAgentsRequest, context: Any) -> wire.RequestAgentsReply:
        self.asked.update((agent.name, agent) for agent in request.agents)
        return wire.RequestAgentsReply(answers=[wire.AgentAnswer(name=a.name, accepted=True) for a in request.agents])

    async def ReleaseAgents(self, request: wire.ReleaseAgentsRequest, context: Any) -> wire.ReleaseAgentsReply:
        self.released.extend(request.agents)
        return wire.ReleaseAgentsReply()

    async def SyncNodes(self, request: wire.SyncNodesRequest, context: Any) -> wire.SyncNodesReply:
        self.syncs.append(request)
        gone = {release.name for release in self.released}
        agents = [wire.AgentState(name=n, policy="linux", labels=["linux"]) for n in self.asked if n not in gone]
        return wire.SyncNodesReply(agents=agents, policies_revision="1")


@contextlib.asynccontextmanager
async def process(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    child = await asyncio.create_subprocess_exec(sys.executable, "-m", *arguments)
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


@pytest.fixture
async def broker() -> AsyncIterator[tuple[YesBroker, int]]:
    server, broker = grpc.aio.server(), YesBroker()
    agents_pb2_grpc.add_AgentsServicer_to_server(broker, server)  # type: ignore[no-untyped-call]  # generated
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield broker, port
    await server.stop(grace=None)


@pytest.fixture
async def url(broker: tuple[YesBroker, int], tmp_path: Path) -> AsyncIterator[str]:
    (tmp_path / "token").write_text("t")
    (tmp_path / "key").write_bytes(KEY)
    port = free_port()
    arguments = ["--port", str(port), "--broker", f"127.0.0.1:{broker[1]}"]
    arguments += ["--token-file", str(tmp_path / "token"), "--secret-key-file", str(tmp_path / "key")]
    async with process("broker.demo.controller", *arguments):
        url = f"http://127.0.0.1:{port}/"
        await until(lambda: answers(url))
        yield url


async def answers(url: str) -> bool:
    try:
        async with aiohttp.ClientSession() as client, client.get(url + "login") as reply:
            return reply.status == 200
    except aiohttp.ClientError:
        return False


async def until(condition: Any, *, seconds: float = 15) -> Any:
    async with asyncio.timeout(seconds):
        while not (result := await condition()):  # noqa: ASYNC110  # what happens in another process sets no event
            await asyncio.sleep(0.05)
        return result


async def queue(url: str, **build: object) -> None:
    async with aiohttp.ClientSession(raise_for_status=True) as client, client.post(url + "demo/builds", json=build):
        pass


async def builds(url: str) -> list[dict[str, Any]]:
    async with aiohttp.ClientSession() as client, client.get(url + "demo/builds") as reply:
        return list((await reply.json())["builds"])


async def first_agent(broker: YesBroker) -> wire.AgentRequest:
    async def asked() -> wire.AgentRequest | None:
        return next(iter(broker.asked.values()), None)

    agent: wire.AgentRequest = await until(asked)
    return agent


async def test_a_build_runs_on_the_agent_that_was_asked_for(
    broker: tuple[YesBroker, int], url: str, tmp_path: Path
) -> None:
    await queue(url, label="linux", seconds=0.2)
    agent = await first_agent(broker[0])
    assert agent.secret == node_secret(KEY, agent.name)
    (tmp_path / "secret").write_text(agent.secret)
    arguments = ["-url", url, "-secret", f"@{tmp_path / 'secret'}", "-name", agent.name, "-webSocket"]
    async with process("broker.demo.agent", *arguments, "-workDir", str(tmp_path)):

        async def finished() -> bool:
            return (await builds(url))[0]["result"] == "SUCCESS" and bool(broker[0].released)

        await until(finished)
    assert [(r.name, r.uses) for r in broker[0].released] == [(agent.name, 1)]
    assert len(broker[0].asked) == 1


async def test_the_door_refuses_as_jenkins_does(broker: tuple[YesBroker, int], url: str) -> None:
    await queue(url, label="linux", seconds=60)
    agent = await first_agent(broker[0])
    headers = {"Node-Name": agent.name, "Secret-Key": agent.secret, "X-Remoting-Capability": USUAL}
    address = Address(url)

    def status_for(**changes: str) -> int:
        try:
            connect(address, headers | {name.replace("_", "-"): value for name, value in changes.items()}).close()
        except Refused as refused:
            return refused.status
        return 101

    async def let_in() -> Channel | None:
        with contextlib.suppress(Refused):  # until the node exists
            return await asyncio.to_thread(connect, address, headers)
        return None

    channel: Channel = await until(let_in)
    assert await asyncio.to_thread(status_for, Node_Name="") == 400
    assert await asyncio.to_thread(status_for, Node_Name="nobody") == 400
    assert await asyncio.to_thread(status_for, Secret_Key="0" * 64) == 403
    assert await asyncio.to_thread(status_for) == 400, "a second agent of that name"
    cookie = channel.headers["connection-cookie"]
    assert await asyncio.to_thread(status_for, Connection_Cookie=cookie) == 101, "the same agent again"
    channel.close()


async def test_a_restarted_controller_makes_its_nodes_again_from_the_reply(
    broker: tuple[YesBroker, int], url: str
) -> None:
    broker[0].asked["linux-before"] = wire.AgentRequest(name="linux-before")

    async def has_node() -> bool:
        async with aiohttp.ClientSession() as client, client.get(url + "computer/api/json") as reply:
            return [node["displayName"] for node in (await reply.json())["computer"]] == ["linux-before"]

    await until(has_node)
