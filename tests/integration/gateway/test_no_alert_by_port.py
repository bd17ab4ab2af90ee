"""However a session over TCP ends, or is refused, the gateway sends no TLS alert after the handshake."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from broker.demo.sim.agents import SimAgent, State
from broker.demo.sim.controller import SimController
from broker.demo.sim.misbehaviour import Behaviour, Kind, Step
from broker.demo.sim.plans import Transport
from broker.domain.ids import AgentId
from broker.gateway.port import PortListener
from broker.gateway.process import Gateway
from broker.inbound.preamble import ACK, Protocol, request
from tests.integration.gateway.bridge import IDENTITY, Bridge, bridge
from tests.integration.gateway.tap import Tap
from tests.integration.gateway.test_no_alert import is_alert, records
from tests.integration.gateway.world import until

VERSIONS = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])


def contexts(gateway: Gateway) -> list[ssl.SSLContext]:
    """Of the gateway alone: towards agents, and towards controllers."""
    doors = [listener._door for listener in gateway._listeners if isinstance(listener, PortListener)]
    return [gateway._upstream._ports._tls, *(door._tls for door in doors)]


@dataclass
class Tapped:
    there: Bridge
    agents: Tap
    controllers: Tap

    async def knocks(self, **changes: object) -> SimAgent:
        if self.there.agents is Transport.TCP:
            changes |= {"url": "", "address": ("127.0.0.1", self.agents.port), "identity": self.there.identity}
        return await self.there.knocks("a1", **changes)

    async def session(self) -> SimAgent:
        agent = await self.knocks()
        await until(lambda: self.there.control.live(AgentId("id-a1")) and agent.state is State.CONNECTED)
        return agent

    def alerts(self) -> list[tuple[int, int]]:
        """What was sent after the preamble, which is no TLS. Taps are where a side speaks JNLP4."""
        sent = [raw[len(ACK) :] for raw in self.agents.sent]
        sent += [raw[len(request(Protocol.JNLP4) + ACK) :] for raw in self.controllers.sent]
        assert all(len(records(raw)) > 3 for raw in sent)
        return [record for raw in sent for record in records(raw) if is_alert(record)]


@asynccontextmanager
async def tapped(
    directory: Path, version: ssl.TLSVersion, by: Transport = Transport.TCP, to: Transport = Transport.TCP
) -> AsyncIterator[Tapped]:
    controller = SimController(identity=IDENTITY)
    async with bridge(directory, by, to, controller) as there:
        own = contexts(there.gateway)
        former = [context.maximum_version for context in own]
        for context in own:
            context.maximum_version = version
        behind = controller.address
        agents = Tap(lambda: there.port, dials=False)
        controllers = Tap(lambda: behind, dials=True)
        async with agents.running(), controllers.running():
            controller.address = ("127.0.0.1", controllers.port)
            try:
                yield Tapped(there, agents, controllers)
            finally:
                for context, usual in zip(own, former, strict=True):  # the one towards controllers is everybody's
                    context.maximum_version = usual


async def the_agent_leaves(tap: Tapped) -> None:
    agent = await tap.session()
    assert agent.channel is not None
    agent.channel.wire.end()


async def the_agent_leaves_with_a_close_notify(tap: Tapped) -> None:
    await tap.knocks(misbehaviour=Behaviour(kind=Kind.CLOSE_NOTIFY))


async def the_controller_leaves(tap: Tapped) -> None:
    await tap.session()
    await tap.there.controller.disconnect("a1")


async def the_broker_ends_it(tap: Tapped) -> None:
    await tap.session()
    await tap.there.control.end(AgentId("id-a1"), "used up")


async def the_agent_is_refused(tap: Tapped) -> None:
    tap.there.plan("a1")
    tap.there.minted["a1"] = "f" * 64
    agent = await tap.knocks()
    assert (agent.state, agent.why) == (State.REFUSED, "a1 is not expected with this secret")


async def the_controller_refuses(tap: Tapped) -> None:
    tap.there.plan("a1")
    tap.there.controller.nodes["a1"] = "f" * 64
    assert "does not take the agent's secret" in (await tap.knocks()).why


async def the_agent_is_too_slow(tap: Tapped) -> None:
    agent = await tap.knocks(misbehaviour=Behaviour(kind=Kind.SILENT, step=Step.SECURED))
    assert agent.state is State.FAILED


ENDS = [
    the_agent_leaves,
    the_agent_leaves_with_a_close_notify,
    the_controller_leaves,
    the_broker_ends_it,
    the_agent_is_refused,
    the_controller_refuses,
    the_agent_is_too_slow,
]


@VERSIONS
@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
async def test_no_alert_record_is_sent(
    tmp_path: Path, version: ssl.TLSVersion, end: Callable[[Tapped], Awaitable[None]]
) -> None:
    async with tapped(tmp_path, version) as tap:
        await end(tap)
        await until(lambda: tap.agents.ended == len(tap.agents.sent) > 0)
        await until(lambda: tap.controllers.ended == len(tap.controllers.sent))
        assert tap.alerts() == []


async def the_controller_takes_nobody(tap: Tapped) -> None:
    tap.there.plan("a1")
    tap.there.controller.nodes["a1"] = "f" * 64
    assert (await tap.knocks()).state is State.REFUSED


MIXED_ENDS = [the_agent_leaves, the_controller_leaves, the_broker_ends_it, the_controller_takes_nobody]


@VERSIONS
@pytest.mark.parametrize("end", MIXED_ENDS, ids=lambda end: end.__name__)
@pytest.mark.parametrize("by", list(Transport))
async def test_no_alert_record_is_sent_between_the_transports(
    tmp_path: Path, version: ssl.TLSVersion, by: Transport, end: Callable[[Tapped], Awaitable[None]]
) -> None:
    to = Transport.WEBSOCKET if by is Transport.TCP else Transport.TCP
    async with tapped(tmp_path, version, by, to) as tap:
        await end(tap)
        side = tap.agents if by is Transport.TCP else tap.controllers
        await until(lambda: side.ended == len(side.sent) > 0)
        assert tap.alerts() == []
