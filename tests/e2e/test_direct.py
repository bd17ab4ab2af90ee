"""Agents that dial the controller itself, the whole way and without a gateway."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.e2e.world import QUICK, World, until


@pytest.fixture
def direct_world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "run")
    config = yaml.safe_load(world.stack.config_file.read_text())
    config["pools"][QUICK] |= {"connect": "direct", "direct": {"websocket": True}}
    world.stack.config_file.write_text(yaml.safe_dump(config, sort_keys=False))
    try:
        world.start()
        yield world
    finally:
        world.stop()


def test_builds_run_on_direct_agents_while_the_gateway_is_away(direct_world: World) -> None:
    world = direct_world
    assert world.stack.gateway is not None
    world.stack.gateway.stop()
    world.controller.queue(3, label=QUICK, seconds=1)
    until(lambda: len(world.builds()) == 3 and world.have_ended())
    assert world.results() == ["SUCCESS"] * 3
    assert len(world.launched()) == 3
    assert not world.left_behind()
