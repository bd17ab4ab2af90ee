from tests.e2e.world import QUICK, SLOW, World, until


def test_a_wrong_secret_is_refused(world: World) -> None:
    world.controller.queue(1, label=QUICK, seconds=2)
    (running,) = until(world.running)
    assert world.knock(running.node, "0" * 64) == 403
    assert world.knock("nobody-knows-me", "0" * 64) == 403
    until(world.have_ended)
    assert world.results() == ["SUCCESS"]


def test_the_secret_of_an_earlier_attempt_is_refused(world: World) -> None:
    world.controller.queue(1, label=SLOW, seconds=8)
    (name,) = until(world.launched)
    (first,) = until(world.secrets).values()
    world.kill_agents()
    until(lambda: world.launched() == [name, name])
    assert world.knock(name, first) == 403
    until(world.running)
    assert world.knock(name, first) == 403
    until(world.have_ended)
    assert world.results() == ["SUCCESS"]
    assert not world.left_behind()


def test_a_second_agent_with_the_right_secret_is_refused_and_so_is_one_after_the_build(world: World) -> None:
    world.controller.queue(1, label=QUICK, seconds=8)
    (running,) = until(world.running)
    (secret,) = world.secrets().values()
    assert world.knock(running.node, secret) in {400, 403}
    until(world.have_ended)
    assert world.knock(running.node, secret) != 101, "whatever has been told to whom by now"
    assert world.results() == ["SUCCESS"]
    assert not world.left_behind()
    until(lambda: world.knock(running.node, secret) == 403)
