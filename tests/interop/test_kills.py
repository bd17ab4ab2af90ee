"""Real agents of both transports and a real controller over either, while gateway, controller and agents are killed."""

from collections.abc import Iterator

import pytest

from broker.demo.leftovers import end
from broker.demo.sim.plans import Transport
from tests.interop.world import Way, World
from tests.jenkins.controller import wait_for
from tests.jenkins.rig import LABEL

pytestmark = [pytest.mark.agentjar, pytest.mark.jenkins, pytest.mark.timeout(300)]
BACK_S = 150


@pytest.fixture(scope="module", params=list(Transport), ids=lambda transport: f"controller-{transport.value}")
def agents(world: World, request: pytest.FixtureRequest) -> Iterator[dict[Transport, str]]:
    """An idle agent of each transport; the controller is reached over one."""
    names = {}
    for transport in Transport:
        world.take(Way(transport, request.param))
        names[transport] = world.an_idle_agent()
    yield names
    for name in names.values():
        world.end(name)


def are_back(world: World, agents: dict[Transport, str], times: dict[str, int]) -> None:
    for transport, name in agents.items():
        what = f"the agent over {transport.value} is back"
        wait_for(what, lambda name=name: world.noted("online").count(name) > times[name], BACK_S)  # type: ignore[misc]


def onlines(world: World, agents: dict[Transport, str]) -> dict[str, int]:
    return {name: world.noted("online").count(name) for name in agents.values()}


def test_agents_come_back_after_the_gateway_was_killed(world: World, agents: dict[Transport, str]) -> None:
    before = onlines(world, agents)
    assert world.stack.gateway is not None
    world.stack.gateway.kill()
    wait_for("Jenkins has noticed", lambda: all(world.controller.nodes()[name]["offline"] for name in before), 30)
    world.stack.start_gateway()
    are_back(world, agents, before)


def test_agents_come_back_after_the_controller_was_killed(world: World, agents: dict[Transport, str]) -> None:
    before = onlines(world, agents)
    world.controller.kill()
    world.controller.start()
    world.wait_until_connected()
    are_back(world, agents, before)
    assert len(world.launched()) == len(set(world.launched())), "an agent was started twice"


def test_builds_of_killed_agents_fail_at_once_and_the_next_one_gets_another_agent(
    world: World, agents: dict[Transport, str], request: pytest.FixtureRequest
) -> None:
    job = f"long-{request.node.callspec.id}"
    world.controller.create_job(job, LABEL, "sleep 100")
    world.controller.build(job, len(agents))

    def places() -> set[str]:
        return {str(build["builtOn"]) for build in world.controller.builds(job)}

    wait_for("both run", lambda: places() == set(agents.values()), 30)
    for name in agents.values():
        pids = world.pids_of(name)
        assert pids, name
        end(pids)
    assert {build["result"] for build in world.controller.finished(job, len(agents), 20)} == {"FAILURE"}
    wait_for("their nodes are gone", lambda: not set(agents.values()) & set(world.controller.nodes()), 30)
    build = world.run(f"{job}-next", "true")
    assert (build["result"], build["builtOn"] in agents.values()) == ("SUCCESS", False)
