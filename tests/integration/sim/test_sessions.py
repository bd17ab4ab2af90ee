"""Simulated agents and a simulated controller against each other, over both transports."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from broker.demo.authority import Authority
from broker.demo.sim.agents import State, Swarm
from broker.demo.sim.controller import SimController
from broker.demo.sim.plans import AgentPlan, Transport
from broker.demo.sim.streams import agents_seed, controllers_seed
from broker.inbound.identity import Identity

IDENTITY = Identity.new()
BOTH = pytest.mark.parametrize("transport", list(Transport))
RATE = 200_000.0


@asynccontextmanager
async def meeting(controller: SimController) -> AsyncIterator[Swarm]:
    async with asyncio.timeout(60), controller.running(), Swarm() as swarm:
        yield swarm


def plan(controller: SimController, name: str, transport: Transport, **changes: object) -> AgentPlan:
    secret = controller.add(name)
    return AgentPlan(name=name, secret=secret, transport=transport, url=controller.url, **changes)  # type: ignore[arg-type]


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  # whatever is looked at tells nobody
            await asyncio.sleep(0.01)


@BOTH
async def test_streams_arrive_whole_in_both_directions(transport: Transport) -> None:
    controller = SimController(identity=IDENTITY, stream_seed="down", bytes_per_s=RATE)
    async with meeting(controller) as swarm:
        names = [f"a{number}" for number in range(5)]
        swarm.start(plan(controller, name, transport, stream_seed="up", bytes_per_s=RATE) for name in names)
        await swarm.until(State.CONNECTED, 5, within_s=30)
        agents = [swarm.agents[name] for name in names]
        await until(lambda: all(min(a.traffic.sent.count, a.traffic.received.count) > 100_000 for a in agents))
        swarm.quiet()
        controller.quiet()
        await until(lambda: swarm.hashes() == controller.hashes())
        assert len(set(swarm.hashes().values())) == 5
        assert swarm.counts() == {State.CONNECTED: 5}


@BOTH
async def test_what_has_arrived_of_a_session_that_was_cut_is_known_by_its_seed(transport: Transport) -> None:
    controller = SimController(identity=IDENTITY, stream_seed="down")
    async with meeting(controller) as swarm:
        swarm.start([plan(controller, "a1", transport, stream_seed="up")])
        await swarm.until(State.CONNECTED, 1, within_s=30)
        await until(lambda: "a1" in controller.traffic and controller.traffic["a1"].received.count > 100_000)
        swarm.agents["a1"].channel.wire.end()  # type: ignore[union-attr]
        await until(lambda: swarm.counts()[State.ENDED] and not controller.live)
        up, down = controller.traffic["a1"].received, swarm.agents["a1"].traffic.received
        assert up.begins(agents_seed("up", "a1"))
        assert down.begins(controllers_seed("down", "a1"))
        assert not up.begins(agents_seed("up", "a2"))


@BOTH
async def test_an_agent_comes_back_with_its_cookie_and_is_refused_without_its_node(transport: Transport) -> None:
    controller = SimController(identity=IDENTITY)
    async with meeting(controller) as swarm:
        swarm.start([plan(controller, "a1", transport, comes_back=True, haste=100)])
        await swarm.until(State.CONNECTED, 1, within_s=30)
        await until(lambda: controller.sessions["a1"] == 1)
        cookie = controller.live["a1"].cookie
        await controller.disconnect("a1")
        await until(lambda: controller.sessions["a1"] == 2)
        assert controller.shown[-1].cookie == cookie
        del controller.nodes["a1"]
        await controller.disconnect("a1")
        await until(lambda: swarm.agents["a1"].refusals > 1)
        assert swarm.agents["a1"].state in {State.REFUSED, State.KNOCKING}
        assert swarm.agents["a1"].sessions == 2


@BOTH
async def test_a_controller_lets_in_by_name_secret_and_cookie(transport: Transport) -> None:
    controller = SimController(identity=IDENTITY)
    async with meeting(controller) as swarm:
        good = plan(controller, "a1", transport)
        swarm.start([good])
        await swarm.until(State.CONNECTED, 1, within_s=30)
        strange = AgentPlan(name="nobody", secret="x", transport=transport, url=controller.url)
        controller.add("a2")
        wrong = AgentPlan(name="a2", secret="x", transport=transport, url=controller.url)
        swarm.start([strange, wrong])
        await swarm.until(State.REFUSED, 2, within_s=30)
        by_port = transport is Transport.TCP
        assert swarm.agents["nobody"].why == ("Unknown client name: nobody" if by_port else "400 no such agent")
        assert swarm.agents["a2"].why.startswith("Authorization failure" if by_port else "403 ")


@BOTH
async def test_thousands_fit_into_one_process(transport: Transport) -> None:
    controller = SimController(identity=IDENTITY)
    async with meeting(controller) as swarm:
        swarm.start(plan(controller, f"a{number}", transport) for number in range(300))
        await swarm.until(State.CONNECTED, 300, within_s=50)
        await until(lambda: sum(controller.sessions.values()) == 300)
        assert swarm.counts() == {State.CONNECTED: 300}
    assert swarm.counts() == {State.ENDED: 300}
    assert not controller.live


async def test_over_https_the_system_or_a_given_authority_is_trusted(tmp_path: Path) -> None:
    authority = Authority()
    pair = authority.issue(tmp_path, "controller")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pair.certificate, pair.key)
    trust = ssl.create_default_context(cadata=authority.pem.decode())
    controller = SimController(identity=IDENTITY, tls=tls, ping_s=0.05)
    async with meeting(controller) as swarm:
        swarm.start(
            [
                plan(controller, "a1", Transport.WEBSOCKET, trust=trust),
                plan(controller, "a2", Transport.TCP, trust=trust),
                plan(controller, "a3", Transport.WEBSOCKET),
            ]
        )
        await swarm.until(State.CONNECTED, 2, within_s=30)
        await swarm.until(State.FAILED, 1, within_s=30)
        assert "certificate verify failed" in swarm.agents["a3"].why
        await until(lambda: getattr(controller.live["a1"].channel, "pongs", 0) > 1)


async def test_an_agent_that_was_given_the_address_asks_nobody_for_it_and_pins_the_key() -> None:
    controller = SimController(identity=IDENTITY, transports=frozenset({Transport.WEBSOCKET}))
    async with meeting(controller) as swarm:
        secrets = {name: controller.add(name) for name in ("a1", "a2")}
        for name, spki in (("a1", IDENTITY.spki), ("a2", Identity.new().spki)):
            swarm.start([AgentPlan(name=name, secret=secrets[name], address=controller.address, identity=spki)])
        swarm.start([plan(controller, "a3", Transport.TCP)])
        await swarm.until(State.CONNECTED, 1, within_s=30)
        await swarm.until(State.FAILED, 2, within_s=30)
        assert "another key" in swarm.agents["a2"].why
        assert "404" in swarm.agents["a3"].why
        assert [hello.name for hello in controller.shown] == ["a1"]


@BOTH
async def test_a_controller_can_echo(transport: Transport) -> None:
    controller = SimController(identity=IDENTITY)
    controller.echoes = True
    async with meeting(controller) as swarm:
        swarm.start([plan(controller, "a1", transport)])
        await swarm.until(State.CONNECTED, 1, within_s=30)
        agent = swarm.agents["a1"]
        assert agent.channel is not None
        await agent.channel.send(b"abc", b"x" * 8192)
        await until(lambda: agent.traffic.received.count == 3 + 8192)
        assert controller.hashes()["a1"][1] == swarm.hashes()["a1"][1]
