"""The control plane killed as a whole under 200 sessions with streams: none is cut, and who comes anew is in soon."""

import asyncio
import os
import time
from pathlib import Path

from broker.demo.sim.agents import State
from broker.gateway.sockets import process_started
from tests.integration.gateway.plane import LABEL, planes
from tests.integration.gateway.world import until

SESSIONS, LATE = 200, 6
BYTES_PER_S = 8_000.0
"""Of each session in each direction: 3.2 MB/s in all."""
ALL_PER_S = 1_000_000
SOON_S = 2.0
AWAY_S = 10.0
SETTLES_S = 5.0
"""Until the control plane has written down that 200 agents work: what it has not is looked at first on its return."""


async def test_two_hundred_sessions_outlive_the_control_plane_and_new_agents_are_in_soon_after_its_return(
    tmp_path: Path,
) -> None:
    async with planes(tmp_path, bytes_per_s=BYTES_PER_S) as world:
        world.model.enqueue(LABEL, 3600.0, SESSIONS + LATE)
        await until(lambda: len(world.launched()) == SESSIONS + LATE, 120)
        names = world.knock(SESSIONS)
        await world.swarm.until(State.CONNECTED, SESSIONS, within_s=60)
        await until(lambda: world.running() == SESSIONS, 60)
        await asyncio.sleep(SETTLES_S)

        world.plane.send_away({pid for pid in world.plane.pids() if os.getpgid(pid) != world.plane.pid})
        hit = await world.plane.kill()
        assert world.plane.pid in hit
        assert [pid for pid in hit if process_started(pid) is not None] == []
        began, before = time.monotonic(), world.received()
        await asyncio.sleep(AWAY_S / 2)
        late = world.knock(LATE, comes_back=True)
        await asyncio.sleep(AWAY_S / 2)
        per_s = (world.received() - before) / (time.monotonic() - began)
        assert per_s >= ALL_PER_S
        assert world.cut(names) == []
        assert {world.swarm.agents[name].state for name in late} == {State.KNOCKING}

        syncs = world.model.syncs
        returned = await world.plane.start("serves controllers on")
        await until(lambda: world.model.syncs > syncs, 30)
        synced = time.monotonic()
        await world.until_in(late, 30)
        let_in = time.monotonic()
        print(
            f"{per_s / 1e6:.1f} MB/s while it was away; new agents in {let_in - returned:.2f} s after its return,"
            f" {let_in - synced:.2f} s after the controller's sync; killed {len(hit)} processes,"
            f" cgroup: {world.plane.cgroup is not None}"
        )
        assert let_in - synced < SOON_S
        await asyncio.sleep(5)  # what the returned control plane makes of all this
        everybody = names + late
        assert world.cut(everybody) == []
        assert world.running() == SESSIONS + LATE
        world.swarm.quiet()
        world.sim.quiet()
        await until(lambda: world.unequal(everybody) == [], 30)
