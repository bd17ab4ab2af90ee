"""Agents that no build has asked for, through all processes: kept warm by a policy, and launched by hand."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.world import QUICK, World, until
from tests.jenkins.warm import keep_warm, set_warm

IDLE_S = 3


def keep(world: World, min_idle: int) -> None:
    keep_warm(world.stack, QUICK, min_idle, idle_s=IDLE_S)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "run")
    try:
        set_warm(world.stack, QUICK, 0, idle_s=IDLE_S)
        world.start()
        yield world
    finally:
        world.stop()


def online(world: World) -> set[str]:
    return {name for name, is_online in world.controller.nodes().items() if is_online and name.startswith(QUICK)}


def agentbroker(world: World, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "broker", "--url", world.stack.http_url, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_idle_agents_come_a_build_takes_one_at_once_and_another_comes(world: World) -> None:
    keep(world, 2)
    until(lambda: len(online(world)) == 2)
    first = online(world)
    time.sleep(IDLE_S + 2)
    assert online(world) == first, "the idle timeout does not end them"
    world.controller.queue(1, label=QUICK, seconds=3)
    [build] = until(world.running)
    assert build.node in first
    until(lambda: len(online(world) - {build.node}) == 2)
    until(world.have_ended)
    assert world.results() == ["SUCCESS"]
    assert len(world.launched()) == 3
    keep(world, 0)
    assert not world.left_behind()
    assert len(world.launched()) == 3


def test_an_agent_is_launched_by_hand_and_ends_when_it_stays_idle(world: World) -> None:
    done = agentbroker(world, "agent", "launch", "--label", QUICK, "--wait")
    assert done.returncode == 0, done.stderr
    [name] = world.launched()
    assert done.stdout.startswith(f"{name} is online in pool {QUICK}")
    told = [line.split()[2] for line in done.stderr.splitlines() if name in line]
    assert told[0] == "requested"
    assert told[-1] == "online"
    assert "launched by local" in agentbroker(world, "explain", name).stdout
    refused = agentbroker(world, "agent", "launch", "--label", "gpu", "--wait")
    assert (refused.returncode, "NoMatchingPolicy" in refused.stderr) == (6, True)
    assert not world.left_behind()
    assert world.launched() == [name]
