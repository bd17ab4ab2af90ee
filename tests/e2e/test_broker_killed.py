from tests.e2e.world import QUICK, SLOW, World, until


def test_a_killed_control_plane_costs_no_build_and_no_second_launch(world: World) -> None:
    world.controller.queue(10, label=QUICK, seconds=15)
    until(lambda: len(world.running()) == 10)
    where = {build.name: build.node for build in world.running()}
    world.controller.queue(10, label=SLOW, seconds=0.5)
    until(lambda: len(world.launched()) > 10)
    assert world.stack.broker is not None
    world.stack.broker.kill()
    world.stack.start_broker()
    until(world.have_ended, seconds=90)
    assert world.results() == ["SUCCESS"] * 20
    assert {build.name: build.node for build in world.builds()[:10]} == where
    assert len(world.launched()) == len(set(world.launched())) == 20
    assert not world.left_behind()


def test_a_control_plane_that_is_away_while_builds_end_catches_up(world: World) -> None:
    world.controller.queue(3, label=QUICK, seconds=3)
    until(lambda: len(world.running()) == 3)
    assert world.stack.broker is not None
    world.stack.broker.kill()
    until(world.have_ended)
    assert world.results() == ["SUCCESS"] * 3
    world.stack.start_broker()
    assert not world.left_behind()
    assert len(world.launched()) == 3
