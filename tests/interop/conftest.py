"""One controller, broker and gateway for all of these tests; nothing here runs without AGENT_JAR and JENKINS_WAR."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.interop.world import WAYS, Way, World
from tests.jenkins.conftest import jenkins_root
from tests.jenkins.pipelines import start_with_plugins
from tests.jenkins.rig import java

__all__ = ["jenkins_root"]


@pytest.fixture(scope="package")
def world(jenkins_root: Path) -> Iterator[World]:
    """Up and connected; it runs pipelines if there are plugins for them."""
    folder = jenkins_root / "interop"
    folder.mkdir(mode=0o700)
    world = World(folder)
    try:
        if "JENKINS_PLUGINS" in os.environ:
            start_with_plugins(world)
        else:
            world.start()
        yield world
    finally:
        world.stop()


@pytest.fixture(scope="module", params=WAYS, ids=str)
def way(request: pytest.FixtureRequest, world: World) -> Way:
    """Each of the four, which the agents of the test take."""
    world.take(request.param)
    chosen: Way = request.param
    return chosen


@pytest.fixture(autouse=True)
def _components(request: pytest.FixtureRequest, record_component: Callable[[str, str], None]) -> None:
    if "world" in request.fixturenames:
        record_component("jenkins", request.getfixturevalue("world").controller.version())
    record_component("agentjar", f"{_remoting()} on {_jvm()}")


def _remoting() -> str:
    words = [java(), "-jar", os.environ["AGENT_JAR"], "-version"]
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout.strip()


def _jvm() -> str:
    words = [java(), "-version"]
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stderr.splitlines()[0]
