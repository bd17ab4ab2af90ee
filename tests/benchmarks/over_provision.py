"""Agents launched for each build, when many builds come at one moment."""

import asyncio
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.benchmarks.figures import Figure
from tests.jenkins.rig import Rig

BUILDS: Final = 100
AT_ONCE: Final = 10
"""The policy's limit: so many Java agents does a small machine bear."""
_LONGEST_S: Final = 900.0


async def over_provision_step() -> Mapping[str, Figure]:
    """The ratio on the real controller; nothing where no war is named."""
    if not os.environ.get("JENKINS_WAR"):
        print("over_provision_step is left out: it needs JENKINS_WAR (and AGENT_JAVA)", file=sys.stderr)
        return {}
    with tempfile.TemporaryDirectory(prefix="agentbroker-bench-") as folder:
        launched, version = await asyncio.to_thread(_step, Path(folder) / "step")
    how = (
        f"{BUILDS} one-shot builds queued at one moment on Jenkins {version}, our Groovy Strategy in it, real broker, "
        f"gateway and agents; the policy allows {AT_ONCE} agents at once; launches counted by the agents themselves"
    )
    return {"over_provision_step": Figure(value=launched / BUILDS, unit="1", target="== 1.00", how=how)}


def _step(root: Path) -> tuple[int, str]:
    root.mkdir(mode=0o700)
    rig = Rig(root, {"limits": {"agents": AT_ONCE}})
    try:
        rig.start()
        rig.controller.create_job("step", "linux", "true")
        rig.controller.build("step", BUILDS)
        builds = rig.controller.finished("step", BUILDS, seconds=_LONGEST_S)
        assert {build["result"] for build in builds} == {"SUCCESS"}
        rig.wait_until_nothing_is_left()  # an agent that nobody needed would be seen until then
        return len(rig.launched()), rig.controller.version()
    finally:
        rig.stop()
