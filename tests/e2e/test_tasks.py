"""Builds in tasks of Amazon ECS that are real containers: ministack, which others wrote, over the engine of the tests.

What ministack leaves aside stands in tests/integration/clouds/test_ministack.py. Two things of a real account are
therefore otherwise here: the image is one with an entrypoint of its own, and the network is the engine's bridge.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.tasks import TASK_ARN, TaskWorld
from tests.e2e.world import until
from tests.emulators import ministack_server, version_of
from tests.podman import TestEngine

pytestmark = [pytest.mark.component("podman"), pytest.mark.component("ministack"), pytest.mark.timeout(180)]


@pytest.fixture
def world(
    tmp_path: Path, container_engine: TestEngine, record_component: Callable[[str, str], None]
) -> Iterator[TaskWorld]:
    record_component("ministack", version_of("ministack"))
    with ministack_server(tmp_path, container_engine.address) as ecs, container_engine.bridge() as address:
        world = TaskWorld(tmp_path / "run", container_engine, ecs, address, "box", leave_grace="1s", poll_interval="1s")
        try:
            world.start()
            yield world
        finally:
            world.stop()


def test_a_build_runs_in_the_container_of_its_task_and_nothing_of_it_is_left(world: TaskWorld) -> None:
    world.controller.queue(2, label="box", seconds=4)
    until(lambda: len(world.printed()) == 2 and all(len(lines) > 2 for lines in world.printed()))
    boxes = {told["Config"]["Hostname"]: told for told in world.boxes()}
    assert {lines[0] for lines in world.printed()} == boxes.keys()
    for hostname, *cgroups in world.printed():
        assert all(boxes[hostname]["Id"] in line for line in cgroups if "libpod" in line)
        assert any(boxes[hostname]["Id"] in line for line in cgroups)
    tasks = {told["Config"]["Labels"][TASK_ARN] for told in boxes.values()}
    assert len(tasks) == 2
    until(lambda: all(world.results()))
    assert world.results() == ["SUCCESS"] * 2
    until(world.nothing_is_left, seconds=90)
    assert len(world.stack.launched()) == 2
