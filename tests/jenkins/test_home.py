"""A home that had us and has us no more is what it was, but for what Jenkins changes at any boot."""

import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from broker.demo.leftovers import nodes_of
from tests.jenkins.conftest import new_rig
from tests.jenkins.rig import Rig, our_names_in
from tests.jenkins.test_boot import build_on_a_static_agent

pytestmark = [pytest.mark.jenkins, pytest.mark.component("jenkins"), pytest.mark.timeout(400)]

# What Jenkins keeps of builds, whoever runs them: the builds themselves, and how many items its queue has had.
OF_BUILDS = re.compile(r"jobs/app/builds(/.*)?|jobs/app/nextBuildNumber|queue\.xml(\.bak)?")
OLD_DATA = "print hudson.ExtensionList.lookupSingleton(hudson.diagnosis.OldDataMonitor).data.size()"


@pytest.fixture
def rig(jenkins_root: Path, request: pytest.FixtureRequest) -> Iterator[Rig]:
    """A broker, and a home without it; Jenkins does not run."""
    rig = new_rig(jenkins_root, request)
    try:
        rig.stack.start()
        yield rig
    finally:
        rig.stop()


@pytest.fixture(autouse=True)
def _component() -> None:
    """Told by the test, once Jenkins runs."""


def tree(home: Path) -> dict[str, str]:
    """Path → SHA-256 of the file, or `directory`; without the test's own war, which is not of the home."""
    paths = (path for path in home.rglob("*") if not path.is_symlink())
    return {
        str(path.relative_to(home)): "directory" if path.is_dir() else hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
    }


def differences(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}


def boot(rig: Rig) -> dict[str, str]:
    """The tree after a boot and an orderly end."""
    rig.controller.start()
    assert rig.controller.script(OLD_DATA) == "0"
    rig.controller.stop()
    return tree(rig.controller.home)


def test_a_home_is_as_before_once_we_are_uninstalled(rig: Rig, record_component: Callable[[str, str], None]) -> None:
    controller = rig.controller
    controller.start()
    record_component("jenkins", controller.version())
    controller.create_job("app", "linux", "sleep 1")
    controller.create_job("static", "static")
    assert build_on_a_static_agent(rig, "static") == "SUCCESS"  # for which Jenkins makes keys
    controller.stop()
    first = boot(rig)
    before = boot(rig)
    of_any_boot = differences(first, before)
    rig.install()
    controller.start()
    rig.stack.known_nodes = nodes_of(controller.url)
    rig.wait_until_connected()
    controller.build("app", 3)
    assert {build["result"] for build in controller.finished("app", 3)} == {"SUCCESS"}
    rig.wait_until_nothing_is_left()
    assert controller.script(OLD_DATA) == "0"
    controller.stop()
    rig.uninstall()
    after = boot(rig)
    changed = {path for path in differences(before, after) if not OF_BUILDS.fullmatch(path)}
    assert changed <= of_any_boot
    assert before["config.xml"] == after["config.xml"]
    assert our_names_in(rig) == []
    assert not [path for path in after if path.startswith("nodes/") or "agentbroker" in path]
    assert "agentbroker" not in controller.log()
