"""Agents launched for each build, when many builds come at one moment."""

import asyncio
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.benchmarks.figures import Figure
from tests.integration.groovy.double import Double, World, until
from tests.jenkins.rig import Rig

BUILDS: Final = 100
AT_ONCE: Final = 10
"""The policy's limit: so many Java agents does a small machine bear."""
_LONGEST_S: Final = 900.0
_OURS: Final = "our Groovy Strategy in it, real broker"
_COUNTED: Final = f"the policy allows {AT_ONCE} agents at once; launches counted by the agents themselves"


async def over_provision_step() -> Mapping[str, Figure]:
    """The ratio on the real controller, or on the double of Jenkins where no war is named."""
    with tempfile.TemporaryDirectory(prefix="agentbroker-bench-") as folder:
        root = Path(folder) / "step"
        root.mkdir(mode=0o700)
        measure = _on_jenkins if os.environ.get("JENKINS_WAR") else on_the_double
        launched, how = await asyncio.to_thread(measure, root)
    told = f"{BUILDS} one-shot builds queued at one moment on {how}; {_COUNTED}"
    return {"over_provision_step": Figure(value=launched / BUILDS, unit="1", target="== 1.00", how=told)}


def _on_jenkins(root: Path) -> tuple[int, str]:
    rig = Rig(root, {"limits": {"agents": AT_ONCE}})
    try:
        rig.start()
        rig.controller.create_job("step", "linux", "true")
        rig.controller.build("step", BUILDS)
        builds = rig.controller.finished("step", BUILDS, seconds=_LONGEST_S)
        assert {build["result"] for build in builds} == {"SUCCESS"}
        rig.wait_until_nothing_is_left()  # an agent that nobody needed would be seen until then
        return len(rig.launched()), f"Jenkins {rig.controller.version()}, {_OURS}, gateway and agents"
    finally:
        rig.stop()


def on_the_double(root: Path) -> tuple[int, str]:
    """Agents launched for so many builds, and what that was measured on."""
    world = World(root, limits={"agents": AT_ONCE})
    try:
        double = world.start()
        double.tell("queue", "linux", BUILDS)
        until("all builds have run", lambda: _serve(world, double), seconds=_LONGEST_S)
        until("nothing is left", lambda: not double.nodes() and world.agents() == 0)
        return len(world.stack.launched()), f"a double of Jenkins, {_OURS}, agents that only sleep"
    finally:
        world.stop()


def _serve(world: World, double: Double) -> bool:
    """Brings agents that run online and ends builds; true when no build waits or runs."""
    launched = set(world.stack.launched())
    state = double.tell("state")
    for name, node in state["nodes"].items():
        if node["busy"]:
            double.tell("finish", name)
        elif not node["online"] and name in launched:
            double.tell("online", name)
    return state["waiting"] == 0 and not any(node["busy"] for node in state["nodes"].values())
