"""Two controllers on one broker and one gateway, over TLS: apart in names, paths and fate."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.demo.controllers import SimulatedController
from tests.e2e.world import QUICK, SLOW, World, until

LIMIT = 2


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    keys = {"mobile": {"path": "/mobile/ci/", "limits": {"agents": LIMIT}}}
    world = World(tmp_path / "run", keys, secured=True)
    try:
        world.start()
        yield world
    finally:
        world.stop()


def running(controller: SimulatedController) -> int:
    return sum(build.state == "running" for build in controller.builds())


def have_ended(*controllers: SimulatedController) -> bool:
    return all(build.result for controller in controllers for build in controller.builds())


def results(controller: SimulatedController) -> list[str | None]:
    return [build.result for build in controller.builds()]


def test_both_have_their_builds_at_once_each_within_its_own_limit(world: World) -> None:
    mobile = world.others["mobile"]
    world.controller.queue(4, label=QUICK, seconds=4)
    mobile.queue(4, label=QUICK, seconds=2)
    until(lambda: running(world.controller) == 4)
    most = 0
    while not have_ended(world.controller, mobile):
        most = max(most, running(mobile))
    assert results(world.controller) == results(mobile) == ["SUCCESS"] * 4
    assert most == LIMIT
    theirs, ours = ({build.node for build in c.builds()} for c in (mobile, world.controller))
    assert len(theirs) == len(ours) == 4
    assert not theirs & ours
    assert sorted(world.launched()) == sorted(theirs | ours)
    assert not world.left_behind()


def test_one_that_is_killed_takes_nothing_of_the_other_with_it(world: World) -> None:
    mobile = world.others["mobile"]
    world.controller.queue(3, label=QUICK, seconds=6)
    mobile.queue(2, label=QUICK, seconds=60)
    until(lambda: running(world.controller) == 3 and running(mobile) == 2)
    lost = {build.node for build in mobile.builds()}
    told = mobile.syncs() + 2
    until(lambda: mobile.syncs() >= told)  # the broker knows of the uses
    mobile.children()[0].kill()
    world.controller.queue(3, label=SLOW, seconds=0.5)
    until(lambda: have_ended(world.controller))
    assert results(world.controller) == ["SUCCESS"] * 6
    assert set(world.controller.nodes()).isdisjoint(lost)
    assert len(world.launched()) == len(set(world.launched())) == 8
    mobile.start()
    until(lambda: lost <= mobile.nodes().keys())
    assert len(world.launched()) == 8
    mobile.queue(1, label=QUICK, seconds=0.1)
    until(lambda: results(mobile) == ["SUCCESS"], seconds=90)
    assert not world.left_behind()


def test_an_agent_gets_in_at_the_path_of_its_own_controller_only(world: World) -> None:
    mobile = world.others["mobile"]
    mobile.queue(1, label=SLOW, seconds=0.1)
    [secret] = until(lambda: list(world.secrets().values()))
    [name] = until(lambda: [name for name in mobile.nodes() if name.startswith(SLOW)])
    assert world.knock(name, secret) == 403
    until(lambda: have_ended(mobile))
    assert results(mobile) == ["SUCCESS"]
    assert not world.left_behind()
