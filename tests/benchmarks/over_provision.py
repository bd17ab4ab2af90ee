"""Agents launched for each build: by a real broker for a burst, and by traces in virtual time."""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from tests.benchmarks import traces
from tests.benchmarks.figures import Figure, percentile
from tests.benchmarks.ours import Ours
from tests.benchmarks.plugins import EC2_FLEET_2018, EC2_FLEET_2018_START_MS, PLUGINS
from tests.benchmarks.replay import Outcome, Side, Theirs, replay
from tests.benchmarks.traces import Trace
from tests.integration.groovy.double import Double, World, until
from tests.jenkins.rig import Rig

BUILDS: Final = 100
AT_ONCE: Final = 10
"""The policy's limit: so many Java agents does a small machine bear."""
_LONGEST_S: Final = 900.0
_BUILD_S: Final = 4.0
_STORM_S: Final = 6.0
"""In so long half of the builds are cancelled."""
_OURS: Final = "our Groovy Strategy in it, real broker"
_COUNTED: Final = f"the policy allows {AT_ONCE} agents at once; launches counted by the agents themselves"


TRACES: Final[Mapping[str, Trace]] = {
    "over_provision_matrix": traces.matrix(),
    "over_provision_poisson": traces.poisson(),
    "over_provision_cancel_storm": traces.cancel_storm(),
}
_TARGETS: Final = {"over_provision_matrix": "== 1.00"}
_SEEDS: Final = 10
"""A trace that has a seed is replayed with so many; the figure is the worst."""


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
        until("all builds have run", lambda: _serve(world, double, {}), seconds=_LONGEST_S)
        until("nothing is left", lambda: not double.nodes() and world.agents() == 0)
        return len(world.stack.launched()), f"a double of Jenkins, {_OURS}, agents that only sleep"
    finally:
        world.stop()


async def over_provision_cancel_storm_groovy() -> Mapping[str, Figure]:
    """The ratio when half of a burst is cancelled as it waits, by the real Groovy on the double of Jenkins."""
    with tempfile.TemporaryDirectory(prefix="agentbroker-bench-") as folder:
        launched, run = await asyncio.to_thread(storm_on_the_double, Path(folder) / "storm")
    how = (
        f"a double of Jenkins, {_OURS}, agents that only sleep; {BUILDS} one-shot builds queued at one moment, "
        f"{BUILDS - run} of them cancelled as they wait, within {_STORM_S:g} s; a build takes {_BUILD_S:g} s; "
        f"{launched} agents launched; {_COUNTED}"
    )
    target = ">= 1, <= 1.02"
    return {"over_provision_cancel_storm_groovy": Figure(value=launched / run, unit="1", target=target, how=how)}


def storm_on_the_double(root: Path) -> tuple[int, int]:
    """Agents launched, and builds that have run."""
    root.mkdir(mode=0o700)
    world = World(root, limits={"agents": AT_ONCE})
    served: dict[str, float] = {}
    try:
        double = world.start()
        double.tell("queue", "linux", BUILDS)
        until("the others wait for room", lambda: _waiting(double) == BUILDS - AT_ONCE)
        for _ in range(BUILDS // 4):
            double.tell("cancel", 2)
            _serve(world, double, served, _BUILD_S)
            time.sleep(_STORM_S * 4 / BUILDS)
        until("the others have run", lambda: _serve(world, double, served, _BUILD_S), seconds=_LONGEST_S)
        until("nothing is left", lambda: not double.nodes() and world.agents() == 0)
        return len(world.stack.launched()), len(served)
    finally:
        world.stop()


def _waiting(double: Double) -> int:
    return sum("AtLimit" in node["cause"] for node in double.nodes().values())


def _serve(world: World, double: Double, served: dict[str, float], build_s: float = 0.0) -> bool:
    """Brings agents that run online, notes when each got its build, and ends that; true when no build waits or runs."""
    launched, now = set(world.stack.launched()), time.monotonic()
    state = double.tell("state")
    for name, node in state["nodes"].items():
        if node["busy"]:
            if now - served.setdefault(name, now) >= build_s:
                double.tell("finish", name)
        elif not node["online"] and name in launched:
            double.tell("online", name)
    return state["waiting"] == 0 and not any(node["busy"] for node in state["nodes"].values())


def over_provision_traces() -> Mapping[str, Figure]:
    """The ratios in virtual time, with those of the plugins beside ours."""
    return {key: _figure(key, trace) for key, trace in TRACES.items()}


def _figure(key: str, trace: Trace) -> Figure:
    ours = [replay(one, Ours()) for one in _seeds(key, trace)]
    worst = max(ours, key=lambda outcome: abs(outcome.ratio - 1))
    beside = ", ".join(f"{plugin.name} {_told(replay(trace, Theirs(plugin)))}" for plugin in PLUGINS)
    spread = f"the worst of {len(ours)} seeds" if len(ours) > 1 else "no chance in it"
    fastest, slowest = trace.starts_ms
    how = (
        f"virtual time; {trace.says}; agents start in {fastest / 1000:g} to {slowest / 1000:g} s, for one build each; "
        f"{worst.launched} launched for {worst.run} that ran, {worst.cancelled} cancelled ({spread}); "
        f"ratio and median wait of ours {_told(ours[0])}, by the rules of others: {beside}"
    )
    return Figure(value=round(worst.ratio, 4), unit="1", target=_TARGETS.get(key, ">= 1, <= 1.02"), how=how)


def _seeds(key: str, trace: Trace) -> list[Trace]:
    if key == "over_provision_poisson":
        return [traces.poisson(seed=trace.seed + n) for n in range(_SEEDS)]
    if key == "over_provision_cancel_storm":
        return [traces.cancel_storm(seed=trace.seed + n) for n in range(_SEEDS)]
    return [trace]


def _told(outcome: Outcome) -> str:
    wait_s = percentile([float(ms) for ms in outcome.waited_ms], 50) / 1000
    return f"{outcome.ratio:.2f} ({wait_s:.0f} s)"


def published() -> Mapping[str, int]:
    """Agents launched where somebody has published how many it were, by our replay of how they count."""
    fleet = replace(traces.step(96), starts_ms=(EC2_FLEET_2018_START_MS, EC2_FLEET_2018_START_MS))
    return {"ec2-fleet of 2018, for 96 builds": replay(fleet, Theirs(EC2_FLEET_2018)).launched}


def profile(key: str) -> None:
    """Tells on stderr when each side launches, by ten seconds of virtual time."""
    sides: dict[str, Side] = {"ours": Ours()} | {plugin.name: Theirs(plugin) for plugin in PLUGINS}
    for name, side in sides.items():
        launches = replay(TRACES[key], side).launches
        told = " ".join(f"{at}s:{count}" for at, count in sorted(launches.items()))
        print(f"{key} {name:16}{told}", file=sys.stderr)
