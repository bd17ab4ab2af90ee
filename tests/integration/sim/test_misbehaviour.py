"""What simulated agents and controllers do wrong is what the other side sees."""

import asyncio
import socket
from dataclasses import replace

import pytest

from broker.demo.sim.agents import SimAgent, State, Swarm
from broker.demo.sim.controller import SimController
from broker.demo.sim.misbehaviour import Behaviour, Kind, Step, vanish
from broker.demo.sim.plans import Transport
from broker.demo.sim.wire import Wire
from broker.inbound.ping import PAGE_REQUEST, REPLY, REQUEST, read_page
from broker.inbound.preamble import UNKNOWN
from tests.integration.sim.test_sessions import BOTH, IDENTITY, meeting, plan, until

STEPS = [(Transport.TCP, step) for step in Step] + [
    (Transport.WEBSOCKET, step) for step in (Step.CONNECTED, Step.CUT, Step.SHOWN, Step.ACCEPTED)
]


def begin(swarm: Swarm, controller: SimController, transport: Transport, behaviour: Behaviour) -> SimAgent:
    swarm.start([plan(controller, "a1", transport, misbehaviour=behaviour)])
    return swarm.agents["a1"]


@pytest.mark.parametrize(("transport", "step"), STEPS)
async def test_a_silent_agent_stays_until_the_other_side_leaves(transport: Transport, step: Step) -> None:
    controller = SimController(identity=IDENTITY)
    async with meeting(controller) as swarm:
        agent = begin(swarm, controller, transport, Behaviour(kind=Kind.SILENT, step=step))
        await asyncio.sleep(0.3)
        assert agent.state is (State.CONNECTED if step is Step.ACCEPTED else State.KNOCKING)
        controller.cut()
        await until(lambda: agent.state in {State.FAILED, State.ENDED})
        assert "silence" in agent.why


@pytest.mark.parametrize(("transport", "step"), STEPS)
async def test_an_agent_that_vanishes_does_not_see_the_other_side_leave(transport: Transport, step: Step) -> None:
    controller = SimController(identity=IDENTITY)
    async with meeting(controller) as swarm:
        agent = begin(swarm, controller, transport, Behaviour(kind=Kind.HALF_OPEN, step=step))
        await asyncio.sleep(0.3)
        controller.cut()
        await asyncio.sleep(0.1)
        assert agent.state is (State.CONNECTED if step is Step.ACCEPTED else State.KNOCKING)


async def test_the_kernel_of_what_has_vanished_answers_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as near:
        far, _ = server.accept()
        with far:
            near.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 500)
            vanish(far)
            near.sendall(b"is anybody there?")
            near.settimeout(10)
            with pytest.raises(TimeoutError, match="110"):
                await asyncio.to_thread(near.recv, 1)


@BOTH
async def test_a_second_agent_of_a_name_is_told_so(transport: Transport) -> None:
    controller = SimController(identity=IDENTITY)
    async with meeting(controller) as swarm:
        agent = begin(swarm, controller, transport, Behaviour(kind=Kind.DUPLICATE))
        await until(lambda: agent.again)
        assert "a1 is already connected to this controller. Rejecting this connection." in agent.again
        assert agent.state is State.CONNECTED


@BOTH
async def test_an_agent_with_another_secret_is_refused(transport: Transport) -> None:
    controller = SimController(identity=IDENTITY)
    async with meeting(controller) as swarm:
        agent = begin(swarm, controller, transport, Behaviour(kind=Kind.WRONG_SECRET))
        await swarm.until(State.REFUSED, 1, within_s=30)
        assert controller.shown[0].secret != controller.nodes["a1"]
        assert agent.refusals == 1


@BOTH
async def test_headers_of_64_kib_are_not_taken(transport: Transport) -> None:
    controller = SimController(identity=IDENTITY)
    async with meeting(controller) as swarm:
        begin(swarm, controller, transport, Behaviour(kind=Kind.BIG_HEADER))
        await swarm.until(State.FAILED, 1, within_s=30)
        assert controller.shown == []


@BOTH
async def test_a_slow_agent_gets_in_in_the_end(transport: Transport) -> None:
    controller = SimController(identity=IDENTITY)
    async with meeting(controller) as swarm:
        began = asyncio.get_running_loop().time()
        begin(swarm, controller, transport, Behaviour(kind=Kind.SLOW, pause_s=0.002))
        await swarm.until(State.CONNECTED, 1, within_s=30)
        assert asyncio.get_running_loop().time() - began > 0.4, "some 250 bytes of head, or 1000 of the dialogue"


async def test_without_an_ack_there_is_no_tls() -> None:
    controller = SimController(identity=IDENTITY)
    async with meeting(controller) as swarm:
        agent = begin(swarm, controller, Transport.TCP, Behaviour(kind=Kind.NO_ACK))
        await asyncio.sleep(0.2)
        assert agent.state is State.KNOCKING
        controller.cut()
        await swarm.until(State.FAILED, 1, within_s=30)


NOTIFIES = Behaviour(kind=Kind.CLOSE_NOTIFY, pause_s=0.05)


async def test_a_controller_does_not_notice_an_agents_close_notify() -> None:
    controller = SimController(identity=IDENTITY)
    async with meeting(controller) as swarm:
        agent = begin(swarm, controller, Transport.TCP, NOTIFIES)
        await until(lambda: "a1" in controller.live and controller.live["a1"].wire.close_notified)
        await until(lambda: agent.state is State.ENDED)
        await asyncio.sleep(0.2)
        assert "a1" in controller.live


async def test_an_agent_does_not_notice_a_controllers_close_notify() -> None:
    controller = SimController(identity=IDENTITY, behaviour=NOTIFIES)
    async with meeting(controller) as swarm:
        swarm.start([plan(controller, "a1", Transport.TCP)])
        agent = swarm.agents["a1"]
        await until(lambda: agent.channel is not None and agent.channel.wire.close_notified)
        await until(lambda: not controller.live)
        await asyncio.sleep(0.2)
        assert agent.state is State.CONNECTED


@BOTH
@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        (Behaviour(kind=Kind.REFUSES, text="not today"), "not today"),
        (Behaviour(kind=Kind.DUPLICATE), "already connected"),
        (Behaviour(kind=Kind.WRONG_SECRET), "does not take the agent's secret|Authorization failure"),
    ],
    ids=lambda one: one.kind.name if isinstance(one, Behaviour) else "",
)
async def test_a_controller_refuses_whom_it_would_let_in(
    transport: Transport, behaviour: Behaviour, words: str
) -> None:
    controller = SimController(identity=IDENTITY, behaviour=behaviour)
    async with meeting(controller) as swarm:
        swarm.start([plan(controller, "a1", transport)])
        await swarm.until(State.REFUSED, 1, within_s=30)
        assert any(word in swarm.agents["a1"].why for word in words.split("|"))
        assert not controller.live


@BOTH
async def test_a_controller_that_sends_64_kib_of_headers_has_no_agents(transport: Transport) -> None:
    controller = SimController(identity=IDENTITY, behaviour=Behaviour(kind=Kind.BIG_HEADER))
    async with meeting(controller) as swarm:
        swarm.start([plan(controller, "a1", transport)])
        await swarm.until(State.FAILED, 1, within_s=30)
        assert "at most" in swarm.agents["a1"].why or "more than" in swarm.agents["a1"].why


@BOTH
async def test_a_slow_controller_answers_late(transport: Transport) -> None:
    controller = SimController(identity=IDENTITY, behaviour=Behaviour(kind=Kind.SLOW, pause_s=0.5))
    async with meeting(controller) as swarm:
        began = asyncio.get_running_loop().time()
        swarm.start([plan(controller, "a1", transport)])
        await swarm.until(State.CONNECTED, 1, within_s=30)
        assert asyncio.get_running_loop().time() - began >= 0.5


@pytest.mark.parametrize(
    "behaviour", [Behaviour(kind=Kind.NO_ACK), *(Behaviour(kind=Kind.SILENT, step=s) for s in Step)]
)
async def test_agents_lose_patience_with_a_controller_that_is_silent(behaviour: Behaviour) -> None:
    controller = SimController(identity=IDENTITY, behaviour=behaviour)
    async with meeting(controller) as swarm:
        usual = plan(controller, "a1", Transport.TCP)
        swarm.start([replace(usual, address=controller.address, identity=IDENTITY.spki, patience_s=0.5)])
        if behaviour.step in {Step.ACCEPTED, Step.CUT} and behaviour.kind is Kind.SILENT:
            await swarm.until(State.CONNECTED, 1, within_s=30)
        else:
            await swarm.until(State.FAILED, 1, within_s=30)


async def asked(controller: SimController, data: bytes) -> bytes:
    wire = await Wire.dial(*controller.address)
    try:
        await wire.send(data)
        answer = b""
        while more := await wire.read():
            answer += more
        return answer
    finally:
        wire.close()


async def test_the_port_answers_what_is_no_agent() -> None:
    controller = SimController(identity=IDENTITY)
    async with meeting(controller):
        assert await asked(controller, REQUEST) == REPLY
        assert read_page(await asked(controller, PAGE_REQUEST))["Jenkins-Agent-Protocols"] == "JNLP4-connect, Ping"
        proxy = bytes.fromhex("001c50726f746f636f6c3a4a4e4c50342d636f6e6e6563742d70726f7879")
        assert await asked(controller, proxy) == UNKNOWN
        assert await asked(controller, b"SSH-2.0-x\r") == b""
