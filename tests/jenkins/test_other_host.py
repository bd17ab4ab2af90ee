"""A real controller with the files that it fetched from the broker, by the lines that README has for it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from broker.demo.leftovers import nodes_of
from tests.jenkins.conftest import new_rig
from tests.other_host import fetch

pytestmark = [pytest.mark.jenkins, pytest.mark.component("jenkins"), pytest.mark.timeout(300)]


def test_it_boots_connects_and_builds(
    jenkins_root: Path, request: pytest.FixtureRequest, record_component: Callable[[str, str], None]
) -> None:
    rig = new_rig(jenkins_root, request)
    try:
        rig.stack.start()
        fetch(rig.controller.home, rig.stack)
        rig.controller.start()
        record_component("jenkins", rig.controller.version())
        rig.stack.known_nodes = nodes_of(rig.controller.url)
        rig.wait_until_connected()
        rig.controller.create_job("fetched", "linux", "sleep 1")
        rig.controller.build("fetched", 2)
        assert {build["result"] for build in rig.controller.finished("fetched", 2)} == {"SUCCESS"}
        rig.wait_until_nothing_is_left()
        assert rig.controller.lines("agentbroker", "WARNING", "SEVERE") == []
    finally:
        rig.stop()
