"""A broker that holds this controller back: its link stays up, nothing is lost, nothing is asked for twice."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from broker.demo.files import write_private
from broker.demo.stack import CONTROLLER
from tests.integration.groovy.double import World, until

pytestmark = [pytest.mark.component("groovy"), pytest.mark.timeout(180)]

BUILDS = 6


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    config = yaml.safe_load(world.stack.config_file.read_text())
    config["controllers"][CONTROLLER]["rate"] = "0.2/s"
    write_private(world.stack.config_file, yaml.safe_dump(config))
    try:
        yield world
    finally:
        world.stop()


def test_what_is_asked_for_too_fast_comes_later_and_the_link_stays_up(world: World) -> None:
    double = world.start()
    for asked in range(1, BUILDS + 1):
        double.tell("queue", "linux", 1)
        until("it is noticed", lambda: len(double.nodes()) == asked)  # noqa: B023 - it is called at once
    assert world.agents() < BUILDS, "the rate holds nobody back: the test shows nothing"
    until("all have their agent", lambda: world.agents() == BUILDS, seconds=90)
    assert len(double.nodes()) == BUILDS
    assert "Jenkins goes on without it" not in double.log()
