"""Whoever may not come in is told so with an HTTP status, never accepted and then closed."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker.demo.agent import Agent
from broker.domain.ids import AgentId
from broker.domain.reason import Reason
from broker.inbound.discovery import MINIMUM_VERSION, agent_url
from broker.inbound.headers import NODE_NAME
from broker.inbound.websocket import LEAVE
from broker.ports import Refused
from tests.integration.gateway.world import World, until, upgrade


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with World(tmp_path).running() as world:
        yield world


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"Node-Name": None}, "Node-Name, Secret-Key and X-Remoting-Capability are needed"),
        ({"Secret-Key": None}, "Node-Name, Secret-Key and X-Remoting-Capability are needed"),
        ({"X-Remoting-Capability": None}, "Node-Name, Secret-Key and X-Remoting-Capability are needed"),
        ({"Node-Name": "a b"}, "Node-Name is malformed"),
        ({"Node-Name": "x" * 200}, "Node-Name is malformed"),
        ({"X-Remoting-Capability": "***"}, "X-Remoting-Capability is malformed"),
        ({"Connection-Cookie": "xyz"}, "Connection-Cookie is malformed"),
        ({"Upgrade": None}, "only WebSocket connections are accepted here"),
        ({"Connection": "close"}, "only WebSocket connections are accepted here"),
        ({"Sec-WebSocket-Version": "8"}, "Sec-WebSocket-Version is not 13"),
        ({"Sec-WebSocket-Key": "short"}, "Sec-WebSocket-Key is malformed"),
    ],
)
async def test_a_malformed_request_is_refused(world: World, change: dict[str, str | None], words: str) -> None:
    agent = await world.connect(upgrade("a1", world.mint(), changes=change))
    assert agent.head.status == 400
    assert words in await agent.body()
    assert world.doorkeeper.knocks == []


async def test_a_header_that_is_there_twice_is_refused(world: World) -> None:
    raw = upgrade("a1", world.mint()).replace(b"Host: gw", f"Host: gw\r\n{NODE_NAME}: a2".encode())
    agent = await world.connect(raw)
    assert agent.head.status == 400
    assert "Node-Name is there 2 times" in await agent.body()


@pytest.mark.parametrize("name", ["a1", "nobody"])
async def test_a_wrong_secret_and_an_unknown_name_are_refused_for_ever(world: World, name: str) -> None:
    world.mint()
    agent = await world.knock(name, "0" * 64)
    assert agent.head.status == 403
    assert world.controller.requests == []


async def test_an_agent_whose_attempt_is_over_is_told_to_end_itself_and_nobody_else_is(world: World) -> None:
    world.doorkeeper.refusal = Refused(reason=Reason.COMPLETED, message="it is over", over=True)
    agent = await world.knock("a1", world.mint())
    assert (agent.head.status, agent.head.fields.one(MINIMUM_VERSION)) == (403, LEAVE)
    world.doorkeeper.refusal = Refused(reason=Reason.COMPLETED, message="it has done its last build")
    agent = await world.knock("a1", world.mint())
    assert (agent.head.status, agent.head.fields.one(MINIMUM_VERSION)) == (403, None)


async def test_an_agent_of_the_demo_that_is_told_to_leave_ends(world: World) -> None:
    assert world.gateway is not None
    world.doorkeeper.refusal = Refused(reason=Reason.COMPLETED, message="it is over", over=True)
    url = agent_url(f"ws://{world.gateway.address}", "main")
    agent = Agent({"url": url, "name": "a1", "secret": world.mint(), "webSocket": ""})
    assert await asyncio.wait_for(asyncio.to_thread(agent.run), 10) == 1


async def test_an_agent_of_a_controller_that_has_not_synced_is_told_to_come_again(world: World) -> None:
    world.doorkeeper.refusal = Refused(reason=Reason.CONTROLLER_UNREACHABLE, message="not synced yet", retry=True)
    agent = await world.knock("a1", world.mint())
    assert (agent.head.status, await agent.body()) == (503, "not synced yet\n")


async def test_a_doorkeeper_that_fails_refuses_for_now(world: World) -> None:
    world.doorkeeper.fault = RuntimeError("the database is locked")
    agent = await world.knock("a1", world.mint())
    assert (agent.head.status, await agent.body()) == (503, "the broker could not decide\n")
    world.doorkeeper.fault = None
    assert (await world.knock("a1", world.mint())).head.status == 101


async def test_without_the_control_plane_nobody_new_gets_in(world: World) -> None:
    await world.control.close()
    agent = await world.knock("a1", world.mint())
    assert agent.head.status == 503
    assert "the control plane has not answered within 1 s" in await agent.body()


async def test_a_controller_that_is_away_lets_nobody_in(world: World) -> None:
    minted = world.mint()
    await until(world.control.known)
    world.controller.status = 503
    agent = await world.knock("a1", minted)
    assert (agent.head.status, await agent.body()) == (503, "main is away: it answered 503 Made Up\n")
    world.controller.status = 0
    assert (await world.knock("a1", minted)).head.status == 101


async def test_a_controller_that_refuses_connections_lets_nobody_in(tmp_path: Path) -> None:
    async with World(tmp_path).running(controllers={"main": "http://127.0.0.1:1/"}) as world:
        agent = await world.knock("a1", world.mint())
        assert agent.head.status == 503
        assert "main is away" in await agent.body()


async def test_a_controller_that_refuses_the_real_secret_refuses_the_agent(world: World) -> None:
    minted = world.mint()
    world.controller.nodes["a1"] = "another"
    assert (await world.knock("a1", minted)).head.status == 403


async def test_the_controllers_own_words_are_passed_on(world: World) -> None:
    minted = world.mint()
    world.controller.status = 400
    agent = await world.knock("a1", minted)
    assert (agent.head.status, await agent.body()) == (503, "main said: busy with other things\n")


async def test_a_name_that_stays_unknown_is_told_to_come_again(world: World) -> None:
    agent = await world.knock("a1", world.mint(known=False))
    assert (agent.head.status, await agent.body()) == (503, "main does not know a1 yet: try again\n")
    assert len(world.controller.requests) > 3


async def test_a_second_machine_with_a_stolen_secret_is_refused(world: World) -> None:
    minted = world.mint()
    first = await world.knock("a1", minted)
    for cookie in ("", "ab" * 32):
        second = await world.knock("a1", minted, cookie)
        assert (second.head.status, await second.body()) == (
            403,
            "a1 is already connected to this controller. Rejecting this connection.\n",
        )
    assert await first.say(b"still here") == b"STILL HERE"


async def test_a_second_knock_during_the_first_ones_handshake_is_refused(world: World) -> None:
    minted = world.mint()
    world.controller.pauses.clear()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(world.knock("a1", minted))
        await until(lambda: world.controller.requests)
        assert (await world.knock("a1", minted)).head.status == 403
        world.controller.pauses.set()
    assert first.result().head.status == 101


async def test_the_same_agent_takes_over_from_its_old_connection(world: World) -> None:
    minted = world.mint()
    first = await world.knock("a1", minted)
    second = await world.knock("a1", minted, first.cookie)
    assert second.head.status == 101
    assert await first.ended()
    assert await second.say(b"back again") == b"BACK AGAIN"


async def test_a_later_attempt_takes_over_without_a_cookie(world: World) -> None:
    first = await world.knock("a1", world.mint(attempt=1))
    second = await world.knock("a1", world.mint(attempt=2))
    assert second.head.status == 101
    assert await first.ended()


async def test_no_secret_gets_into_the_log(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    minted = world.mint()
    agent = await world.knock("a1", minted)
    await world.knock("a1", minted, "ee" * 32)
    await world.knock("a2", "f" * 64, "ee" * 32)
    agent.writer.close()
    await until(lambda: world.controller.live == {})
    printed = capsys.readouterr()
    assert "session_opened" in printed.out
    assert "handshake_refused" in printed.out
    for secret in (minted, world.controller.nodes["a1"], agent.cookie, "f" * 64, "ee" * 32):
        assert secret not in printed.out + printed.err


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GET /c/main/login HTTP/1.1\nHost: x\n\n\r\n\r\n", 400),
        (b"GET /c/main/login HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", 400),
        (b"GET /c/main/login HTTP/2.0\r\n\r\n", 400),
        (b"GET /c/main/login HTTP/1.1\r\nContent-Length: 5\r\n\r\n", 400),
        (b"GET /c/main/login HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"GET /c/main/login HTTP/1.1\r\nX: " + b"y" * 20_000 + b"\r\n\r\n", 431),
        (b"GET /c/main/login HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431),
        (b"GET /c/main/login HTTP/1.1\r\n", 408),
        (b"POST /c/main/login HTTP/1.1\r\n\r\n", 405),
        (b"GET /login HTTP/1.1\r\n\r\n", 404),
        (b"GET /c/other/login HTTP/1.1\r\n\r\n", 404),
        (b"GET /c/main/manage HTTP/1.1\r\n\r\n", 404),
        (b"GET /c/main/login HTTP/1.1\r\n\r\n", 200),
        (b"GET /c/main/login?x=1 HTTP/1.1\r\n\r\n", 200),
    ],
)
async def test_a_request_gets_its_status(world: World, raw: bytes, status: int) -> None:
    assert (await world.connect(raw)).head.status == status


async def test_discovery_says_that_only_websocket_is_spoken(world: World) -> None:
    reply = await world.get("/c/main/tcpSlaveAgentListener/")
    assert reply.head.status == 404
    assert "-webSocket" in reply.head.phrase


async def test_the_agent_jar_is_the_controllers(world: World) -> None:
    reply = await world.get("/c/main/jnlpJars/agent.jar")
    assert reply.head.status == 200
    assert reply.head.fields.one("Content-Length") == "200000"
    assert await reply.body() == "jar " * 50_000


async def test_without_the_controller_there_is_no_agent_jar(tmp_path: Path) -> None:
    async with World(tmp_path).running(controllers={"main": "http://127.0.0.1:1/"}) as world:
        reply = await world.get("/c/main/jnlpJars/agent.jar")
        assert reply.head.status == 503
        assert "main is away, so its agent.jar cannot be had" in await reply.body()


async def test_a_connection_that_sends_nothing_counts_as_nothing(world: World) -> None:
    _, writer = await asyncio.open_connection(*world.address)
    writer.close()
    await world.get("/c/main/login")
    assert world.control.counts().handshakes == {}


async def test_the_gateways_own_pages_tell_how_it_is(tmp_path: Path) -> None:
    async with World(tmp_path).running(http_port=0) as world:
        assert world.gateway is not None
        await world.knock("a1", world.mint())
        world.gateway.address = world.gateway.http_address
        assert (await world.get("/healthz")).head.status == 200
        assert (await world.get("/readyz")).head.status == 200
        metrics = await (await world.get("/metrics")).body()
        assert 'agentbroker_gateway_connections{protocol="websocket"} 1\n' in metrics
        await world.control.close()

        async with asyncio.timeout(5):
            while (await world.get("/readyz")).head.status != 503:  # noqa: ASYNC110 - another process would do the same
                await asyncio.sleep(0.05)


async def test_an_agent_whose_sessions_end_at_once_is_refused_and_given_up(world: World) -> None:
    minted = world.mint()
    for _ in range(3):
        agent = await world.knock("a1", minted)
        assert agent.head.status == 101
        agent.writer.close()
        await until(lambda: world.control.live(AgentId("id-a1")) is None)
    assert world.control.churned(AgentId("id-a1")) == ""
    answer = await world.knock("a1", minted)
    assert answer.head.status == 503
    assert "its last 3 connections ended within 10 s each, the last one by the agent" in await answer.body()
    assert (await world.knock("a2", world.mint("a2"))).head.status == 101
