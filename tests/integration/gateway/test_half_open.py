"""A side that vanishes without a word is found on every way through the gateway, and the other side is told.

The times are short here; with those of the config it takes 50 s (tests/unit/gateway/test_presence.py).
"""

from pathlib import Path

import pytest

from broker.demo.sim.agents import State
from broker.demo.sim.misbehaviour import vanish
from broker.demo.sim.plans import Transport
from broker.domain.ids import AgentId
from broker.gateway.presence import Presence
from tests.integration.gateway.bridge import bridge
from tests.integration.gateway.test_bridges import BRIDGES
from tests.integration.gateway.world import until

SOON = Presence(idle_s=1, interval_s=1, probes=2)
A1 = AgentId("id-a1")


@BRIDGES
@pytest.mark.parametrize("who", ["agent", "controller"])
async def test_a_side_that_vanishes_is_noticed_and_the_other_one_told(
    who: str, agents: Transport, controllers: Transport, tmp_path: Path
) -> None:
    async with bridge(tmp_path, agents, controllers, presence=SOON) as there:
        agent = await there.knocks("a1")
        await until(lambda: there.control.live(A1) and "a1" in there.controller.live)
        assert agent.channel is not None
        session = there.controller.live["a1"]
        vanish((agent.channel.wire if who == "agent" else session.wire).sock)
        await until(lambda: there.control.live(A1) is None, 15)
        protocol = "websocket" if agents is Transport.WEBSOCKET else "jnlp4"
        await until(lambda: there.control.counts().disconnects, 15)
        assert there.control.counts().disconnects == {(protocol, "ping_timeout"): 1}
        if who == "agent":
            await until(session.over.is_set)
        else:
            await until(lambda: agent.state is State.ENDED)
