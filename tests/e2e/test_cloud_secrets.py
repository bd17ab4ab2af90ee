"""Agents' secrets by reference, up to the process that shows them at the gateway."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from broker.demo.clouds.stack import CloudStack
from broker.demo.leftovers import end, marked_processes
from broker.demo.stack import Ports
from tests.e2e.world import controller_of, until


class CloudWorld:
    """Broker, gateway, controller and cloud as processes."""

    def __init__(self, root: Path, **keys: object) -> None:
        ports = Ports()
        url = f"http://127.0.0.1:{ports.controller}/"
        self.stack = CloudStack(root=root, controller_url=url, pools={"linux": {}}, ports=ports, pool_keys=keys)
        self.controller = controller_of(self.stack)

    def start(self) -> None:
        self.stack.start()
        self.controller.start()

    def stop(self) -> None:
        for child in [*self.controller.children(), *self.stack.children]:
            child.stop()
        end(marked_processes(self.stack.search.marker))

    def state(self) -> dict[str, Any]:
        """What the cloud tells of itself."""
        found: dict[str, Any] = self.stack.control.ask("state")
        return found


@pytest.fixture(params=["ssm", "secrets-manager"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CloudWorld]:
    world = CloudWorld(tmp_path / "run", secret_delivery=request.param)
    try:
        world.start()
        yield world
    finally:
        world.stop()


def test_agents_come_in_with_secrets_that_stand_in_no_task_and_of_which_none_is_left(world: CloudWorld) -> None:
    world.controller.queue(2, label="linux", seconds=0.2)
    until(lambda: [build.result for build in world.controller.builds()] == ["SUCCESS"] * 2)
    until(lambda: world.state()["tasks"] == [])
    until(lambda: world.state()["secrets"] == 0)
    state = world.state()
    assert state["calls"].get("PutParameter", 0) + state["calls"].get("CreateSecret", 0) == 2
    assert state["calls"]["RegisterTaskDefinition"] == state["calls"]["DeregisterTaskDefinition"] == 2
    assert state["problems"] == []
    assert len(world.stack.launched()) == 2
