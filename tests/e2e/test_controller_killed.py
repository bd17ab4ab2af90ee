from tests.e2e.world import QUICK, SLOW, World, until


def test_an_idle_agent_serves_the_restarted_controller_and_a_used_one_ends(world: World) -> None:
    world.controller.queue(1, label=SLOW, seconds=1)
    (idle,) = until(world.launched)
    world.controller.cancel("demo-1")
    until(lambda: world.controller.nodes().get(idle), seconds=60)
    world.controller.queue(1, label=QUICK, seconds=300)
    (running,) = until(world.running)
    told = world.controller.syncs() + 2
    until(lambda: world.controller.syncs() >= told)  # the broker knows of the use
    (controller,) = world.controller.children()
    controller.kill()
    world.controller.start()
    world.controller.queue(1, label=SLOW, seconds=0.5)
    until(world.have_ended)
    assert [(build.node, build.result) for build in world.builds()] == [(idle, "SUCCESS")]
    assert not world.left_behind(), f"{running.node} had its one build before the restart"
    assert world.launched() == [idle, running.node]
