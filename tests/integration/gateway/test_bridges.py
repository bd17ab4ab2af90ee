"""Agents and controllers of both transports, across a gateway: what they say arrives, also what goes wrong."""

import asyncio
import base64
from pathlib import Path

import pytest

from broker.demo.sim.agents import State
from broker.demo.sim.controller import SimController
from broker.demo.sim.knocking import TurnedAway, knock
from broker.demo.sim.plans import Transport
from broker.demo.sim.streams import agents_seed, controllers_seed
from broker.demo.sim.wire import Wire
from broker.domain.ids import AgentId
from broker.inbound.blocks import block
from broker.inbound.capability import USUAL
from broker.inbound.dialogue import Accepted4, ClientDialogue
from broker.inbound.pinned import client_context
from broker.inbound.preamble import ACK, request
from broker.inbound.preamble import Protocol as Named
from tests.integration.gateway.bridge import IDENTITY, OTHER, bridge
from tests.integration.gateway.tap import Tap
from tests.integration.gateway.world import until

BRIDGES = pytest.mark.parametrize(
    ("agents", "controllers"),
    [(agents, controllers) for agents in Transport for controllers in Transport],
)
ENOUGH = 3_000_000


@BRIDGES
async def test_streams_arrive_whole_in_both_directions(
    agents: Transport, controllers: Transport, tmp_path: Path
) -> None:
    controller = SimController(identity=IDENTITY, stream_seed="down", bytes_per_s=5e6)
    async with bridge(tmp_path, agents, controllers, controller) as there:
        agent = await there.knocks("a1", stream_seed="up", bytes_per_s=5e6)
        assert (agent.state, agent.why) == (State.CONNECTED, "")
        await until(lambda: min(agent.traffic.sent.count, agent.traffic.received.count) > ENOUGH, 30)
        there.swarm.quiet()
        controller.quiet()
        await until(lambda: there.swarm.hashes() == controller.hashes(), 20)
        assert agent.traffic.received.begins(controllers_seed("down", "a1"))
        assert agent.traffic.sent.begins(agents_seed("up", "a1"))
        assert agent.state is State.CONNECTED


@BRIDGES
async def test_the_control_plane_knows_the_session_and_its_cookie_at_the_controller(
    agents: Transport, controllers: Transport, tmp_path: Path
) -> None:
    async with bridge(tmp_path, agents, controllers) as there:
        await there.knocks("a1")
        await until(lambda: there.control.live(AgentId("id-a1")))
        session = there.control.live(AgentId("id-a1"))
        assert session is not None
        assert session.protocol == ("websocket" if agents is Transport.WEBSOCKET else "jnlp4")
        assert session.controller == "main"
        held = there.control._register.controller_cookie(AgentId("id-a1"))
        assert held == there.controller.live["a1"].cookie


@BRIDGES
async def test_an_agent_whose_session_ends_takes_over_from_itself(
    agents: Transport, controllers: Transport, tmp_path: Path
) -> None:
    async with bridge(tmp_path, agents, controllers) as there:
        agent = await there.knocks("a1", comes_back=True, haste=20)
        first = there.controller.live["a1"]
        assert agent.channel is not None
        agent.channel.wire.end()
        await until(lambda: agent.sessions == 2 and there.controller.live.get("a1") not in (None, first), 20)
        assert there.controller.shown[-1].cookie == first.cookie


@BRIDGES
async def test_the_end_by_the_controller_reaches_the_agent(
    agents: Transport, controllers: Transport, tmp_path: Path
) -> None:
    async with bridge(tmp_path, agents, controllers) as there:
        agent = await there.knocks("a1")
        await until(lambda: "a1" in there.controller.live)
        await there.controller.disconnect("a1")
        await until(lambda: agent.state is State.ENDED)
        await until(lambda: not there.control.live(AgentId("id-a1")))


@BRIDGES
async def test_the_end_by_the_broker_reaches_both(agents: Transport, controllers: Transport, tmp_path: Path) -> None:
    async with bridge(tmp_path, agents, controllers) as there:
        agent = await there.knocks("a1")
        await until(lambda: there.control.live(AgentId("id-a1")) and "a1" in there.controller.live)
        await there.control.end(AgentId("id-a1"), "enough")
        await until(lambda: agent.state is State.ENDED and not there.controller.live)


@BRIDGES
async def test_a_second_agent_of_a_name_is_refused_in_the_controllers_words(
    agents: Transport, controllers: Transport, tmp_path: Path
) -> None:
    async with bridge(tmp_path, agents, controllers) as there:
        await there.knocks("a1")
        plan = there.plan("a1")
        await until(lambda: there.control.live(AgentId("id-a1")))
        words = "a1 is already connected to this controller. Rejecting this connection."
        with pytest.raises(TurnedAway, match=words if agents is Transport.TCP else "403"):
            await knock(plan, "")


@BRIDGES
async def test_a_wrong_secret_is_refused_with_words_and_shown_to_no_controller(
    agents: Transport, controllers: Transport, tmp_path: Path
) -> None:
    async with bridge(tmp_path, agents, controllers) as there:
        there.plan("a1")
        there.minted["a1"] = "f" * 64
        agent = await there.knocks("a1")
        assert agent.state is State.REFUSED
        assert "a1 is not expected with this secret" in agent.why or agent.why.startswith("403")
        assert there.controller.shown == []


@BRIDGES
async def test_a_name_that_the_controller_does_not_know_is_refused_after_a_while(
    agents: Transport, controllers: Transport, tmp_path: Path
) -> None:
    async with bridge(tmp_path, agents, controllers) as there:
        agent = await there.knocks("a1", known=False)
        assert agent.state is State.REFUSED
        assert len(there.controller.shown) > 1


@BRIDGES
async def test_a_name_that_the_controller_learns_meanwhile_gets_in(
    agents: Transport, controllers: Transport, tmp_path: Path
) -> None:
    async with bridge(tmp_path, agents, controllers) as there:
        plan = there.plan("a1")
        real = there.controller.nodes.pop("a1")
        there.swarm.start([plan])
        await until(lambda: there.controller.shown)
        there.controller.nodes["a1"] = real
        await until(lambda: there.swarm.agents["a1"].state is State.CONNECTED)


@BRIDGES
async def test_the_controller_hears_what_the_agent_says_of_its_channel(
    agents: Transport, controllers: Transport, tmp_path: Path
) -> None:
    raw = bytearray(base64.b64decode(USUAL))
    raw[-1] ^= 0x80
    other = base64.b64encode(raw).decode()
    controller = SimController(identity=IDENTITY, stream_seed="down", bytes_per_s=1e6)
    async with bridge(tmp_path, agents, controllers, controller) as there:
        agent = await there.knocks("a1", capability=other)
        assert agent.state is State.CONNECTED
        await until(lambda: agent.traffic.received.count > 100_000)
        assert there.controller.live["a1"].capability == other
        assert agent.traffic.received.begins(controllers_seed("down", "a1"))


async def test_an_agent_that_was_let_in_is_told_nothing_in_its_channel_when_its_controller_thinks_again(
    tmp_path: Path,
) -> None:
    """Asked anew for an agent with another capability than the usual one, it refuses: words would be a capability."""
    raw = bytearray(base64.b64decode(USUAL))
    raw[-1] ^= 0x80
    async with bridge(tmp_path, Transport.TCP, Transport.WEBSOCKET) as there:
        plan = there.plan("a1")
        wire = await Wire.dial(*there.port)
        await wire.send(request(Named.JNLP4) + ACK)
        assert await wire.read_some(len(ACK)) == ACK
        await wire.start_tls(client_context(), server=False)
        dialogue = ClientDialogue()
        await wire.send(dialogue.start("a1", plan.secret, ""))
        while (answer := dialogue.feed(await wire.read_some())) is None:
            pass
        assert isinstance(answer, Accepted4)
        there.controller.nodes["a1"] = "another secret"
        await wire.send(dialogue.pending() + block(base64.b64encode(raw)))
        assert await wire.read() == b""
        assert len(there.controller.shown) == 2
        wire.close()


@pytest.mark.parametrize("agents", list(Transport))
async def test_a_controller_with_another_key_than_its_pin_is_not_told_the_secret(
    agents: Transport, tmp_path: Path
) -> None:
    async with bridge(tmp_path, agents, Transport.TCP, pin=OTHER.spki) as there:
        agent = await there.knocks("a1")
        assert agent.state is State.REFUSED
        assert "another key" in agent.why or agent.why.startswith("503")
        assert there.controller.shown == []


@pytest.mark.parametrize("agents", list(Transport))
async def test_a_controller_with_the_key_of_its_pin_takes_the_agent(agents: Transport, tmp_path: Path) -> None:
    async with bridge(tmp_path, agents, Transport.TCP, pin=IDENTITY.spki) as there:
        agent = await there.knocks("a1")
        await asyncio.sleep(0)
        assert agent.state is State.CONNECTED


@pytest.mark.parametrize("agents", list(Transport))
async def test_a_controller_whose_port_has_moved_is_found_again(agents: Transport, tmp_path: Path) -> None:
    controller = SimController(identity=IDENTITY)
    async with bridge(tmp_path, agents, Transport.TCP, controller) as there:
        real = controller.address
        former = Tap(lambda: real, dials=True)
        async with former.running():
            controller.address = ("127.0.0.1", former.port)
            assert (await there.knocks("a1")).state is State.CONNECTED
            assert len(former.sent) == 1
        controller.address = real
        assert (await there.knocks("a2")).state is State.CONNECTED
        assert len(former.sent) == 1
