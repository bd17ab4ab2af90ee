"""What agents and controllers do wrong costs themselves: who is honest gets in, and what is known is true."""

from dataclasses import replace
from pathlib import Path

import pytest

from broker.demo.sim.agents import SimAgent, State
from broker.demo.sim.controller import SimController
from broker.demo.sim.misbehaviour import Behaviour, Kind, Step
from broker.demo.sim.plans import Transport
from broker.domain.ids import AgentId
from tests.integration.gateway.bridge import IDENTITY, Bridge, bridge
from tests.integration.gateway.world import QUICK, until

TCP, WEBSOCKET = Transport.TCP, Transport.WEBSOCKET
LIMITS = replace(QUICK, head_s=0.6, reply_s=0.6)
A1 = AgentId("id-a1")
BOTH = pytest.mark.parametrize("agents", [TCP, WEBSOCKET])
PEERS = pytest.mark.parametrize("controllers", [TCP, WEBSOCKET])


async def honest_ones_get_in(there: Bridge) -> None:
    for transport in Transport:
        assert (await there.knocks(f"honest-{transport}", transport=transport)).state is State.CONNECTED


async def nothing_waits(there: Bridge) -> None:
    await until(lambda: not any(listener._open for listener in there.gateway._listeners))


async def wrong(there: Bridge, kind: Kind, step: Step = Step.ACCEPTED, pause_s: float = 0.1) -> SimAgent:
    return await there.knocks("a1", misbehaviour=Behaviour(kind=kind, step=step, pause_s=pause_s))


@pytest.mark.parametrize(
    ("agents", "kind", "step", "states"),
    [
        (TCP, Kind.SLOW, Step.ACCEPTED, {State.FAILED}),
        (TCP, Kind.SLOW, Step.SECURED, {State.FAILED}),
        (WEBSOCKET, Kind.SLOW, Step.ACCEPTED, {State.REFUSED, State.FAILED}),
        (TCP, Kind.SILENT, Step.CUT, {State.FAILED}),
        (TCP, Kind.SILENT, Step.SECURED, {State.FAILED}),
        (WEBSOCKET, Kind.SILENT, Step.CONNECTED, {State.FAILED}),
        (WEBSOCKET, Kind.SILENT, Step.CUT, {State.FAILED}),
        (TCP, Kind.NO_ACK, Step.ACCEPTED, {State.FAILED}),
        (TCP, Kind.BIG_HEADER, Step.ACCEPTED, {State.REFUSED, State.FAILED}),
        (WEBSOCKET, Kind.BIG_HEADER, Step.ACCEPTED, {State.REFUSED, State.FAILED}),
        (TCP, Kind.WRONG_SECRET, Step.ACCEPTED, {State.REFUSED}),
        (WEBSOCKET, Kind.WRONG_SECRET, Step.ACCEPTED, {State.REFUSED}),
    ],
)
async def test_an_agent_that_does_it_wrong_does_not_get_in_and_the_controller_never_hears_of_it(
    agents: Transport, kind: Kind, step: Step, states: set[State], tmp_path: Path
) -> None:
    async with bridge(tmp_path, agents, TCP, limits=LIMITS) as there:
        assert (await wrong(there, kind, step)).state in states
        assert there.controller.shown == []
        await nothing_waits(there)
        await honest_ones_get_in(there)
        assert there.control.live(A1) is None


@pytest.mark.parametrize(
    ("agents", "step"),
    [
        (TCP, Step.CONNECTED),
        (TCP, Step.CUT),
        (TCP, Step.NAMED),
        (TCP, Step.SECURED),
        (WEBSOCKET, Step.CONNECTED),
        (WEBSOCKET, Step.CUT),
    ],
)
async def test_an_agent_that_vanishes_within_its_handshake_is_not_waited_for(
    agents: Transport, step: Step, tmp_path: Path
) -> None:
    async with bridge(tmp_path, agents, TCP, limits=LIMITS) as there:
        there.swarm.start([there.plan("a1", misbehaviour=Behaviour(kind=Kind.HALF_OPEN, step=step))])
        await until(lambda: any(listener._open for listener in there.gateway._listeners))
        await nothing_waits(there)
        await honest_ones_get_in(there)


@BOTH
@PEERS
async def test_a_duplicate_is_told_so_and_the_first_one_stays(
    agents: Transport, controllers: Transport, tmp_path: Path
) -> None:
    async with bridge(tmp_path, agents, controllers, limits=LIMITS) as there:
        agent = await wrong(there, Kind.DUPLICATE)
        await until(lambda: agent.again)
        words = "a1 is already connected to this controller. Rejecting this connection."
        assert agent.again == words or (agents is WEBSOCKET and agent.again.startswith("403"))
        assert (agent.state, agent.sessions) == (State.CONNECTED, 1)
        assert there.control.live(A1) is not None


@BOTH
@PEERS
async def test_who_says_close_notify_has_left(agents: Transport, controllers: Transport, tmp_path: Path) -> None:
    async with bridge(tmp_path, agents, controllers, limits=LIMITS) as there:
        await wrong(there, Kind.CLOSE_NOTIFY)
        await until(lambda: there.control.live(A1))
        await until(lambda: there.control.live(A1) is None and "a1" not in there.controller.live)
        there.controller.behaviour = Behaviour(kind=Kind.CLOSE_NOTIFY, pause_s=0.1)
        agent = await there.knocks("a2")
        await until(lambda: agent.state is State.ENDED and there.control.live(AgentId("id-a2")) is None)


@BOTH
@PEERS
@pytest.mark.parametrize("kind", [Kind.BIG_HEADER, Kind.WRONG_SECRET, Kind.DUPLICATE, Kind.HALF_OPEN])
async def test_an_agent_of_a_controller_that_does_it_wrong_may_come_again(
    kind: Kind, agents: Transport, controllers: Transport, tmp_path: Path
) -> None:
    behaviour = Behaviour(kind=kind, step=Step.SHOWN)
    controller = SimController(identity=IDENTITY, behaviour=behaviour)
    async with bridge(tmp_path, agents, controllers, controller, limits=LIMITS) as there:
        assert (await there.knocks("a1")).state in {State.REFUSED, State.FAILED}
        await nothing_waits(there)
        assert there.control.live(A1) is None
        controller.behaviour = None
        await honest_ones_get_in(there)
