"""Every step of a handshake ends in time, whichever side stops, and the agent's name is free after it."""

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import pytest

from broker.demo.sim.agents import State
from broker.demo.sim.controller import SimController
from broker.demo.sim.misbehaviour import Behaviour, Kind, Step
from broker.demo.sim.plans import Transport
from broker.gateway.settings import Limits
from tests.integration.gateway.bridge import IDENTITY, Bridge, bridge
from tests.integration.gateway.world import QUICK, until

TCP, WEBSOCKET = Transport.TCP, Transport.WEBSOCKET
BRIEF = replace(QUICK, reach_s=0.5, dial_s=1.0, unknown_name_s=0.5)
BOTH = pytest.mark.parametrize("agents", list(Transport))
TAKEOVER_S = 15.0
"""For which Jenkins waits for an agent's former connection to end (jenkins.slaves.DefaultJnlpSlaveReceiver)."""


def no_handshake_is_on(there: Bridge) -> bool:
    return all(listener._open == 0 for listener in there.gateway._listeners)


@BOTH
@pytest.mark.parametrize(
    ("controllers", "step"),
    [
        (TCP, Step.CONNECTED),
        (TCP, Step.NAMED),
        (TCP, Step.SECURED),
        (TCP, Step.SHOWN),
        (WEBSOCKET, Step.CONNECTED),
        (WEBSOCKET, Step.SHOWN),
    ],
)
async def test_a_controller_that_goes_silent_counts_as_away_and_holds_no_name(
    agents: Transport, controllers: Transport, step: Step, tmp_path: Path
) -> None:
    controller = SimController(identity=IDENTITY, behaviour=Behaviour(kind=Kind.SILENT, step=step))
    async with bridge(tmp_path, agents, controllers, controller, limits=BRIEF) as there:
        agent = await there.knocks("a1")
        assert agent.state is State.REFUSED
        assert "main is away" in agent.why or agent.why.startswith("503")
        controller.behaviour = None
        assert (await there.knocks("a1")).state is State.CONNECTED


@BOTH
async def test_a_handshake_as_a_whole_ends_in_time(agents: Transport, tmp_path: Path) -> None:
    controller = SimController(identity=IDENTITY, behaviour=Behaviour(kind=Kind.SLOW, pause_s=20))
    limits = replace(QUICK, whole_s=1.0, dial_s=20.0)
    async with bridge(tmp_path, agents, TCP, controller, limits=limits) as there:
        began = time.monotonic()
        agent = await there.knocks("a1")
        assert time.monotonic() - began < 5
        assert agent.state is State.REFUSED
        assert "has not decided within 1 s" in agent.why or agent.why.startswith("503")


@BOTH
async def test_time_in_which_a_knock_is_held_does_not_count(agents: Transport, tmp_path: Path) -> None:
    limits = replace(QUICK, whole_s=1.0, admit_s=10.0)
    async with bridge(tmp_path, agents, TCP, limits=limits) as there:
        there.doorkeeper.decides.clear()
        there.swarm.start([there.plan("a1")])
        await until(lambda: there.doorkeeper.knocks)
        await asyncio.sleep(1.5)
        there.doorkeeper.decides.set()
        await until(lambda: there.swarm.agents["a1"].state is State.CONNECTED)


@BOTH
async def test_an_agent_that_leaves_while_its_knock_is_held_is_not_waited_for(
    agents: Transport, tmp_path: Path
) -> None:
    async with bridge(tmp_path, agents, TCP, limits=replace(QUICK, admit_s=30.0)) as there:
        there.doorkeeper.decides.clear()
        there.swarm.start([there.plan("a1", patience_s=0.5)])
        await until(lambda: there.doorkeeper.knocks)
        await until(lambda: there.swarm.agents["a1"].state is State.FAILED)
        await until(lambda: no_handshake_is_on(there), 5)
        there.doorkeeper.decides.set()
        await asyncio.sleep(0.2)
        assert there.controller.shown == []
        assert (await there.knocks("a1")).state is State.CONNECTED


def test_a_controller_may_be_as_slow_as_agents_are_patient() -> None:
    assert 25 < Limits().dial_s < Limits().whole_s


def test_a_controllers_takeover_fits_into_the_limits() -> None:
    limits = Limits()
    assert limits.dial_s > TAKEOVER_S
    assert limits.whole_s > 2 * limits.reach_s + TAKEOVER_S


@BOTH
async def test_finding_the_port_takes_nothing_from_the_time_of_a_takeover(agents: Transport, tmp_path: Path) -> None:
    """The times are those of the defaults, ten times as fast."""
    silent = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    controller = SimController(identity=IDENTITY, behaviour=Behaviour(kind=Kind.SLOW, pause_s=TAKEOVER_S / 10))
    limits = replace(QUICK, reach_s=0.5, dial_s=1.9, whole_s=4.0)
    async with bridge(tmp_path, agents, TCP, controller, pin=IDENTITY.spki, limits=limits) as there:
        there.told(host="127.0.0.1", port=silent.sockets[0].getsockname()[1])
        await until(lambda: there.gateway._upstream.facts("main").port)
        assert (await there.knocks("a1")).state is State.CONNECTED
    silent.close()
