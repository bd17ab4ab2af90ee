"""A restart of the controller, gentle or not: agents come back to it, and none is started twice."""

from collections.abc import Callable

import pytest

from tests.jenkins.controller import wait_for
from tests.jenkins.policies import FLEET
from tests.jenkins.rig import Rig, our_names_in

pytestmark = [pytest.mark.jenkins, pytest.mark.component("jenkins"), pytest.mark.timeout(300)]


def kill_and_start(rig: Rig) -> None:
    rig.controller.kill()
    rig.controller.start()
    rig.wait_until_connected()


def safe_restart(rig: Rig) -> None:
    """Jenkins waits for the running build, then becomes a new JVM in the same process."""
    ups, connects = (rig.controller.log().count(text) for text in ("fully up and running", "agentbroker: connected to"))
    rig.controller.post("safeRestart")
    wait_for("it is up again", lambda: rig.controller.log().count("fully up and running") > ups, seconds=120)
    rig.wait_until_connected(times=connects + 1)


def an_idle_agent(rig: Rig) -> str:
    """An agent that was launched by hand, and waits for a build."""
    name = rig.controller.script(FLEET + "print fleet.launch(fleet.policyNamed('linux'), 'ana').nodeName")
    wait_for("it is online", lambda: name in rig.noted("online"))
    return name


def a_busy_agent(rig: Rig, job: str, seconds: int) -> str:
    rig.controller.create_job(job, "docker", f"sleep {seconds}")
    known = set(rig.launched())
    rig.controller.build(job)
    [name] = wait_for("an agent is started", lambda: set(rig.launched()) - known)
    wait_for("its build runs", lambda: [b for b in rig.controller.builds(job) if b["builtOn"] == name])
    return str(name)


@pytest.mark.parametrize(("restart", "seconds", "lets_in"), [(kill_and_start, 120, 2), (safe_restart, 8, 1)])
def test_an_idle_agent_takes_the_next_build_and_a_busy_one_ends_and_none_is_started_again(
    rig: Rig, restart: Callable[[Rig], None], seconds: int, lets_in: int
) -> None:
    """A safe restart waits for the running build, so its agent is used up before; after a kill it is let in again."""
    suffix = restart.__name__
    rig.controller.script("jenkins.model.Jenkins.get().items.each { it.delete() }")
    # The busy one first: the idle one would take its build.
    busy = a_busy_agent(rig, f"busy-{suffix}", seconds)
    idle = an_idle_agent(rig)
    launched = rig.launched()
    restart(rig)
    wait_for("the idle one is back", lambda: rig.noted("online").count(idle) >= 2, seconds=90)
    rig.controller.create_job(f"next-{suffix}", "linux")
    rig.controller.build(f"next-{suffix}")
    [build] = rig.controller.finished(f"next-{suffix}", 1)
    assert (build["result"], build["builtOn"]) == ("SUCCESS", idle)
    wait_for("the busy one was let in", lambda: rig.noted("online").count(busy) == lets_in, seconds=60)
    wait_for("the busy one has ended", lambda: busy not in rig.controller.nodes(), seconds=60)
    rig.wait_until_nothing_is_left()
    assert rig.launched() == launched
    assert our_names_in(rig) == []
