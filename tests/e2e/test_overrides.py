"""What builds of the simulated controller ask for themselves: it is said and done as on a real one."""

import pytest
import yaml

from broker.demo.controllers import BuildView
from broker.demo.http import get_json, post_json
from tests.e2e.world import QUICK, World, until

pytestmark = pytest.mark.timeout(180)

TOO_MUCH = f"OverrideForbidden: overrides.cpu: 16 is over max_cpu 8 of policy {QUICK}"


def allow(world: World, **rules: object) -> None:
    """In force at the broker."""
    config = yaml.safe_load(world.stack.config_file.read_text())
    config["policies"][QUICK]["overrides"] = rules
    world.stack.config_file.write_text(yaml.safe_dump(config, sort_keys=False))
    post_json(world.stack.http_url + "api/v1/reload", {"dry_run": False})


def queue(world: World, label: str, seconds: float = 1) -> None:
    world.controller.queue(1, label=label, seconds=seconds)


def labels_of(world: World, node: str) -> list[str]:
    computers = get_json(world.controller.url + "computer/api/json")["computer"]
    found = next(computer for computer in computers if computer["displayName"] == node)
    return [label["name"] for label in found["assignedLabels"]]


def test_builds_get_agents_of_the_size_that_they_ask_for_and_share_none_with_others(world: World) -> None:
    allow(world, allow=["cpu", "memory"], max_cpu=8)
    queue(world, f"{QUICK} && cpu=4 && memory=8Gi", 30)
    queue(world, QUICK, 30)
    sized, plain = until(lambda: world.running() if len(world.running()) == 2 else [])
    assert labels_of(world, sized.node) == sorted(["cpu=4", "memory=8Gi", QUICK, sized.node])
    assert labels_of(world, plain.node) == sorted([QUICK, plain.node])
    assert sorted(world.launched()) == sorted([sized.node, plain.node])


def test_what_the_policy_forbids_is_said_where_the_build_waits_and_asked_for_again_when_it_is_allowed(
    world: World,
) -> None:
    allow(world, allow=["cpu"], max_cpu=8)
    queue(world, f"{QUICK} && cpu=16")
    until(lambda: world.builds()[0].why)
    queue(world, f"{QUICK} && cpu=8")
    until(lambda: world.builds()[1].result)

    def greedy() -> BuildView:
        return world.builds()[0]

    assert (greedy().state, greedy().why) == ("queued", TOO_MUCH)
    [item] = get_json(world.controller.url + "queue/api/json")["items"]
    assert item["why"] == TOO_MUCH
    assert len(world.launched()) == 1
    allow(world, allow=["cpu"], max_cpu=16)
    until(lambda: greedy().result)
    assert (greedy().result, greedy().why, len(world.launched())) == ("SUCCESS", "", 2)
