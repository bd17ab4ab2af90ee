"""Whatever is wrong with our files or broker, Jenkins boots and builds on its own nodes, and says so in one line."""

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from broker.jenkins_files import JAR, MANIFEST, SCRIPT
from tests.jenkins.conftest import new_rig
from tests.jenkins.controller import Controller, wait_for
from tests.jenkins.rig import Rig, java, our_names_in

pytestmark = [pytest.mark.jenkins, pytest.mark.component("jenkins"), pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def home(jenkins_root: Path, request: pytest.FixtureRequest) -> Iterator[Rig]:
    """A home with our files, whose broker never runs; booted once without them, for comparison."""
    rig = new_rig(jenkins_root, request)
    rig.controller.start()
    rig.controller.create_job("static", "static")
    rig.controller.stop()
    try:
        yield rig
    finally:
        rig.controller.stop()


def severe(controller: Controller) -> list[str]:
    """The SEVERE lines of the current boot without times and threads."""
    return [re.sub(r"^.*?SEVERE\s+", "", line) for line in controller.log().splitlines() if "SEVERE" in line]


def build_on_a_static_agent(rig: Rig, name: str) -> str:
    """The result of a build on a node of Jenkins' own."""
    controller = rig.controller
    secret = rig.root / f"{name}.secret"
    secret.write_text(controller.add_static_node(name, "static"))
    command = [java(), "-Xmx96m", "-jar", os.environ["AGENT_JAR"], "-url", controller.url, "-name", name]
    command += ["-secret", f"@{secret}", "-webSocket", "-workDir", str(rig.root / name)]
    agent = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        done = sum(build["result"] is not None for build in controller.builds("static"))
        controller.build("static")
        return str(controller.finished("static", done + 1)[-1]["result"])
    finally:
        controller.script(f"def j = jenkins.model.Jenkins.get(); j.removeNode(j.getNode('{name}'))")
        agent.kill()
        agent.wait()


def missing(jar: Path) -> None:
    jar.unlink()


def corrupt(jar: Path) -> None:
    jar.write_bytes(b"PK\x03\x04" + bytes(5000))


def sound(jar: Path) -> None:
    """Leaves it; the broker is down."""


@pytest.mark.parametrize(
    ("spoil", "words"), [(sound, "not reachable"), (missing, "is missing"), (corrupt, "not started")]
)
def test_jenkins_boots_builds_and_says_it_in_one_line(
    home: Rig, spoil: Callable[[Path], None], words: str, record_component: Callable[[str, str], None]
) -> None:
    expected = severe(home.controller)
    home.install()
    spoil(home.controller.home / JAR)
    home.controller.start()
    record_component("jenkins", home.controller.version())
    try:
        wait_for("our line", lambda: home.controller.lines("agentbroker", "WARNING", "SEVERE"), seconds=30)
        assert build_on_a_static_agent(home, f"static-{spoil.__name__}") == "SUCCESS"
        lines = home.controller.lines("agentbroker", "WARNING", "SEVERE")
        assert len(lines) == 1
        assert words in lines[0]
        assert severe(home.controller) == expected
    finally:
        home.controller.stop()
    assert our_names_in(home) == []


def test_each_file_of_ours_that_is_missing_is_named_in_one_line_and_the_script_starts_once_it_is_there(
    home: Rig,
) -> None:
    """One is missing at the boot, the others for the script console, which runs what the boot has run."""
    controller = home.controller
    home.install()
    lines = (controller.home / MANIFEST).read_text().splitlines()
    paths = [controller.home / line.split("  ")[1] for line in lines if ".groovy.d/" not in line]
    script = (controller.home / SCRIPT).read_text()
    aside = controller.home / "aside"
    paths[0].rename(aside)
    controller.start()
    try:
        for number, path in enumerate(paths, start=1):
            wait_for("our line", lambda n=number: len(controller.lines("agentbroker")) == n)  # type: ignore[misc]
            line = controller.lines("agentbroker", "WARNING")[-1]
            assert f"{path} is missing" in line
            assert line.endswith("Jenkins goes on without it")
            aside.rename(path)
            for following in paths[number : number + 1]:
                following.rename(aside)
            controller.script(script)
        wait_for("it starts", lambda: "not reachable" in controller.lines("agentbroker", "WARNING")[-1], 30)
        controller.script("jenkins.model.Jenkins.get().save()")
    finally:
        controller.stop()
    assert our_names_in(home) == []


def test_uninstalling_leaves_no_trace(home: Rig) -> None:
    home.install()
    home.uninstall()
    left = [path for path in home.controller.home.rglob("*") if "agentbroker" in path.name]
    assert left == []
    home.controller.start()
    try:
        assert "agentbroker" not in home.controller.log()
        assert build_on_a_static_agent(home, "static-without") == "SUCCESS"
    finally:
        home.controller.stop()
