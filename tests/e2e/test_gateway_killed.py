from tests.e2e.world import QUICK, SLOW, World, until


def test_a_killed_gateway_fails_what_ran_through_it_and_nothing_else(world: World) -> None:
    world.controller.queue(3, label=QUICK, seconds=120)
    until(lambda: len(world.running()) == 3)
    world.controller.queue(3, label=SLOW, seconds=0.5)
    until(lambda: len(world.launched()) == 6)
    assert world.stack.gateway is not None
    world.stack.gateway.kill()
    world.stack.start_gateway()
    until(world.have_ended, seconds=90)
    assert world.results() == ["FAILURE"] * 3 + ["SUCCESS"] * 3
    assert len(world.launched()) == 6
    assert not world.left_behind()
