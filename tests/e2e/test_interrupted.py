"""A cloud that takes instances back under running builds: notice, drain, and the end of what is still there."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from broker.demo.http import get_json
from tests.e2e.world import QUICK, World, until
from tests.jenkins import interrupting_broker

DRAINED = ("draining", "SpotInterrupted")
BUSY_S = 180
"""A limit on what needs several rounds of three processes: a busy machine is slow at each."""


@pytest.fixture
def interrupted_world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "run")
    world.stack.broker_module = interrupting_broker.MODULE
    try:
        world.start()
        yield world
    finally:
        world.stop()


def test_a_build_ends_before_its_instance_goes_or_is_cut_with_the_clouds_words(interrupted_world: World) -> None:
    world = interrupted_world
    world.controller.queue(1, label=QUICK, seconds=600)
    until(lambda: len(world.running()) == 1)
    world.controller.queue(1, label=QUICK, seconds=20)
    until(lambda: len(world.running()) == 2)
    long, short = (build.node for build in world.builds())
    interrupting_broker.interrupt(world.stack.root, short, after_s=300)
    interrupting_broker.interrupt(world.stack.root, long, after_s=30)

    def told(name: str) -> dict[str, Any]:
        found: dict[str, Any] = get_json(f"{world.stack.http_url}api/v1/agents/{name}")
        return found

    def has_drained(name: str) -> bool:
        """By its history: a look at the present may come too late for it."""
        return any((step["phase"], step["reason"]) == DRAINED for step in told(name)["timeline"])

    until(lambda: has_drained(short) and has_drained(long), seconds=BUSY_S)
    until(world.have_ended, seconds=BUSY_S)
    assert world.results() == ["FAILURE", "SUCCESS"]
    until(lambda: told(long)["phase"] == "gone", seconds=BUSY_S)
    assert (told(long)["reason"], told(long)["outcome"]) == ("SpotInterrupted", "failed")
    assert told(long)["message"].startswith(interrupting_broker.WORDS)
    assert not world.left_behind()
