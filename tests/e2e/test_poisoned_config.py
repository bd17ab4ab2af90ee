"""A config that is meant to hurt, told by a signal to a broker in the middle of a burst of builds."""

import json
import os
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.e2e.world import QUICK, World, until
from tests.poisons import poisons

BUILDS = 12


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "run")
    try:
        world.start()
        yield world
    finally:
        world.stop()


def said(world: World) -> str:
    return world.stack.broker.log.read_text() if world.stack.broker else ""


def in_force(world: World) -> object:
    """What the API shows of the config in force."""
    with urllib.request.urlopen(f"{world.stack.http_url}api/v1/policies", timeout=10) as reply:
        found = json.load(reply)
    return [(policy["id"], [pool["pool"] for pool in policy["pools"]]) for policy in found["items"]]


def test_no_poisoned_file_disturbs_a_burst(world: World) -> None:
    assert world.stack.broker is not None
    sound = world.stack.config_file.read_bytes()
    before, pid = in_force(world), world.stack.broker.pid
    world.controller.queue(BUILDS, label=QUICK, seconds=2)
    for what, poison in poisons(yaml.safe_load(sound), pool=QUICK, policy=QUICK).items():
        seen = len(said(world))
        world.stack.config_file.write_bytes(poison.content)
        os.kill(pid, signal.SIGHUP)
        until(lambda seen=seen: "the config was not reloaded; the former one is in force" in said(world)[seen:])  # type: ignore[misc]
        assert f"error[{poison.code}]" in said(world)[seen:], what
        assert in_force(world) == before, what
    until(world.have_ended)
    assert world.results() == ["SUCCESS"] * BUILDS
    assert len(world.launched()) == BUILDS, "none was lost and none was one too many"
    assert world.stack.broker.pid == pid
    world.stack.config_file.write_bytes(sound)
    os.kill(pid, signal.SIGHUP)
    until(lambda: "nothing has changed" in said(world))
    assert "Traceback" not in said(world)
    assert not world.left_behind()
