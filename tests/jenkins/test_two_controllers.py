"""Two controllers at once on one broker and one gateway: each has its own agents, whatever becomes of the other."""

import pytest

from tests.jenkins.controller import Controller, wait_for
from tests.jenkins.rig import Rig, wait_until_connected

pytestmark = [pytest.mark.jenkins, pytest.mark.component("jenkins"), pytest.mark.timeout(400)]

OTHERS = {"mobile": {"path": "/mobile/ci/", "limits": {"agents": 2}}}
BUILDS = 4


def built_on(controller: Controller, job: str) -> set[str]:
    return {build["builtOn"] for build in controller.builds(job)} - {""}


def test_both_build_at_once_each_on_its_own_agents_within_its_own_limit(rig: Rig) -> None:
    main, mobile = rig.controllers.values()
    for controller in (main, mobile):
        controller.create_job("app", "linux", "sleep 2")
    for controller in (main, mobile):
        controller.build("app", BUILDS)
    for controller in (main, mobile):
        builds = controller.finished("app", BUILDS)
        assert {build["result"] for build in builds} == {"SUCCESS"}
        assert controller.lines("agentbroker", "WARNING", "SEVERE") == []
    ours, theirs = built_on(main, "app"), built_on(mobile, "app")
    assert len(ours) == len(theirs) == BUILDS
    assert not ours & theirs
    assert sorted(rig.launched()) == sorted(ours | theirs)
    rig.wait_until_nothing_is_left()


def test_a_killed_one_takes_no_build_of_the_other_and_comes_back_to_its_own(rig: Rig) -> None:
    main, mobile = rig.controllers.values()
    main.create_job("steady", "linux", "sleep 40")
    mobile.create_job("lost", "linux", "sleep 600")
    main.build("steady", 2)
    mobile.build("lost", 1)
    wait_for("all run", lambda: len(built_on(main, "steady")) == 2 and built_on(mobile, "lost"))
    before = set(rig.launched())
    mobile.kill()
    main.build("app", 1)
    assert {build["result"] for build in main.finished("app", BUILDS + 1)} == {"SUCCESS"}
    assert {build["result"] for build in main.finished("steady", 2)} == {"SUCCESS"}
    assert built_on(main, "steady") < before
    mobile.start()
    wait_until_connected(mobile)
    mobile.build("app", 1)
    assert {build["result"] for build in mobile.finished("app", BUILDS + 1)} == {"SUCCESS"}
    rig.wait_until_nothing_is_left(120)
    assert len(rig.launched()) == len(set(rig.launched()))
