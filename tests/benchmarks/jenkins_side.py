"""What the Jenkins side costs: on a real controller, or as far as a double of Jenkins can tell."""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import yaml

from tests.benchmarks.bare_cloud import BARE, add_bare_cloud
from tests.benchmarks.bursts import Bursts
from tests.benchmarks.controller_costs import LABELS, QUEUED, measure_costs
from tests.benchmarks.figures import Benchmark, Figure, percentile
from tests.benchmarks.over_provision import BUILDS as STEP
from tests.benchmarks.over_provision import on_the_double
from tests.integration.groovy.double import World, until
from tests.jenkins.rig import LABEL, Rig

ROOM: Final = 20
"""So many agents at once, ours and the peer's: a JVM each."""
BUILDS: Final = (1, 20, 100)
_WARM_S: Final = 115.0
"""Jenkins' own strategy sleeps for 100 s from boot (NodeProvisioner.initialDelay)."""
_NEEDED: Final = ("JENKINS_WAR", "AGENT_JAR", "AGENT_JAVA")
_UNCOUNTED: Final = 2
_REVIEWS: Final = 5


def jenkins_side(builds: Sequence[int] = BUILDS) -> Benchmark:
    """`builds` are the sizes of the bursts; without any, only what the controller pays is measured."""
    return Benchmark(
        name="jenkins",
        summary="queue to online beside clouds without a broker; reviews, heap and threads of the controller",
        run=partial(_run, builds),
    )


async def _run(builds: Sequence[int]) -> Mapping[str, Figure]:
    missing = [name for name in _NEEDED if name not in os.environ]
    with tempfile.TemporaryDirectory(prefix="agentbroker-jenkins-") as folder:
        root = Path(folder) / "run"
        root.mkdir(mode=0o700)
        if not missing:
            return await asyncio.to_thread(_on_jenkins, root, builds)
        print(f"on a double of Jenkins, for {', '.join(missing)} is not set: only what it can tell", file=sys.stderr)
        return await asyncio.to_thread(_on_the_double, root)


def _on_jenkins(root: Path, sizes: Sequence[int]) -> Mapping[str, Figure]:
    rig = Rig(root, {"labels": [LABEL, "docker", *LABELS], "limits": {"agents": ROOM}})
    add_bare_cloud(rig, ROOM)
    try:
        rig.start()
        booted = time.monotonic()
        bursts = Bursts(rig)
        for label in (LABEL, BARE):
            bursts.one(label, _UNCOUNTED)  # what is loaded once
        bursts.forget()
        bursts.interleaved(sizes)
        if sizes:
            time.sleep(max(0.0, _WARM_S - (time.monotonic() - booted)))
            bursts.by_default(sizes)
        how = f"Jenkins {rig.controller.version()} (X-Jenkins), real agents over WebSocket, at most {ROOM} at once"
        rig.wait_until_nothing_is_left()
        return {
            **bursts.figures(sizes, f"{how}, {_machine()}"),
            **_over_provision(rig, bursts, how),
            **_costs(rig, how),
        }
    finally:
        rig.stop()


def _costs(rig: Rig, how: str) -> Mapping[str, Figure]:
    """What is missing is told, and keeps nothing from the figures before it."""
    try:
        return measure_costs(rig, ROOM, how)
    except (AssertionError, OSError) as error:
        print(f"the controller's costs could not be measured: {error}", file=sys.stderr)
        return {}


def _over_provision(rig: Rig, bursts: Bursts, how: str) -> Mapping[str, Figure]:
    builds = bursts.builds(LABEL) + _UNCOUNTED
    told = f"{how}; agents launched for {builds} builds; beside it {bursts.others()}"
    value = len(rig.launched()) / builds
    return {"over_provision_ratio": Figure(value=value, unit="1", target="== 1.00", how=told)}


def _on_the_double(root: Path) -> Mapping[str, Figure]:
    (root / "step").mkdir(mode=0o700)
    launched, how = on_the_double(root / "step")
    told = f"{STEP} one-shot builds queued at one moment on {how}"
    return {
        "over_provision_ratio": Figure(value=launched / STEP, unit="1", target="== 1.00", how=told),
        **_reviews_of_the_double(root / "reviews"),
    }


def _reviews_of_the_double(root: Path) -> Mapping[str, Figure]:
    root.mkdir(mode=0o700)
    world = World(root, labels=list(LABELS), limits={"agents": 1})
    _make_agents_large(world.stack.config_file)
    try:
        double = world.start()
        for label in LABELS:
            double.tell("queue", label, QUEUED // len(LABELS))
        until("all have an agent on its way", lambda: len(double.nodes()) == len(LABELS), seconds=120)
        times = [double.tell("review", label) / 1e6 for _ in range(_REVIEWS) for label in LABELS]
    finally:
        world.stop()
    how = (
        f"a double of Jenkins, our Groovy in it: {QUEUED} builds of {len(LABELS)} labels, on {len(LABELS)} agents with "
        "as many executors as there are builds of a label, for the double's own queue takes long over more; CPU"
    )
    return {
        f"review_ms_1000_queued_p{p}": Figure(value=round(percentile(times, p), 3), unit="ms", target="-", how=how)
        for p in (50, 95)
    }


def _make_agents_large(config_file: Path) -> None:
    config = yaml.safe_load(config_file.read_text())
    config["templates"]["default"] |= {"executors": QUEUED // len(LABELS), "retention": {"max_uses": 0}}
    config_file.write_text(yaml.safe_dump(config))


def _machine() -> str:
    return f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
