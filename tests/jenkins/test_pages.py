"""What people see of the cloud on a real controller's pages, and who may see and do what."""

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from broker.cli.jenkins_home import PROPERTIES
from tests.jenkins.browser import SECURE, Browser
from tests.jenkins.conftest import new_rig
from tests.jenkins.controller import Controller, wait_for
from tests.jenkins.rig import Rig

pytestmark = [pytest.mark.jenkins, pytest.mark.component("jenkins"), pytest.mark.timeout(300)]

POLICY = {"labels": ["linux", "docker"], "limits": {"agents": 7}}
CLOUD = "manage/cloud/agentbroker/"
LINK = "def link = jenkins.model.Jenkins.get().clouds.find { it.class.name == 'BrokerCloud' }.fleet.link\n"
EVIL = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def rig(jenkins_root: Path, request: pytest.FixtureRequest) -> Iterator[Rig]:
    """People have their permissions; administrators are told of a broker that is away for 3 s."""
    rig = new_rig(jenkins_root, request)
    properties = rig.controller.home / PROPERTIES
    properties.parent.mkdir(parents=True)
    properties.write_text("alert_after_s=3\n")
    try:
        rig.start()
        rig.controller.script(SECURE)
        rig.controller.user = ("admin", "admin-password")
        yield rig
    finally:
        rig.stop()


@pytest.fixture
def as_user(rig: Rig) -> Callable[[str | None], Browser]:
    return lambda user: Browser(rig.controller, user)


@pytest.fixture
def crumbs(rig: Rig) -> Iterator[None]:
    """Forms need crumbs meanwhile."""
    admin = Browser(rig.controller, "admin")
    rig.controller.script("jenkins.model.Jenkins.get().crumbIssuer = new hudson.security.csrf.DefaultCrumbIssuer(true)")
    yield
    fields = admin.hidden(admin.open(CLOUD), "launch")
    off = {**fields, "script": "jenkins.model.Jenkins.get().crumbIssuer = null"}
    assert admin.open("scriptText", off).status == 200


def test_the_clouds_page_tells_connection_policies_and_pools(
    rig: Rig, as_user: Callable[[str | None], Browser]
) -> None:
    page = as_user("admin").open(CLOUD)
    assert page.status == 200
    connection = page.table("Connection")
    assert re.search(r"<strong>connected</strong> since \d{4}-\d\d-\d\d", connection)
    assert f"127.0.0.1:{rig.stack.ports.grpc}" in connection
    assert "broker 0." in connection
    assert "broker.yaml" in connection
    policies = page.table("Policies")
    assert "linux docker" in policies
    assert "0 of 7" in policies
    assert "process" in page.table("Pools")
    assert "No agent is starting." in page.text
    assert "is registered by" in as_user("admin").open(CLOUD + "configure").text
    clouds = as_user("admin").open("manage/cloud/").text
    assert "connected, 0 agents starting" in clouds


def test_who_may_not_look_at_clouds_sees_nothing_and_who_may_not_provision_launches_nothing(
    rig: Rig, as_user: Callable[[str | None], Browser], crumbs: None
) -> None:
    for nobody in ("reader", None):
        for path in (CLOUD, CLOUD + "configure", "cloud/agentbroker/"):
            page = as_user(nobody).open(path)
            assert page.status in {401, 403}
            assert "linux docker" not in page.text
    watcher = as_user("watcher")
    page = watcher.open(CLOUD)
    assert "linux docker" in page.text
    assert "Launch an agent" not in page.text
    crumb = watcher.hidden(watcher.open(CLOUD + "configure"), "configSubmit") if "Jenkins-Crumb" in page.text else {}
    before = len(rig.launched())
    assert watcher.open(CLOUD + "launch", {**crumb, "policy": "linux"}).status == 403
    assert as_user("operator").open(CLOUD + "launch", {"policy": "linux"}).status == 403, "without a crumb"
    assert as_user("operator").open(CLOUD + "launch?policy=linux").status in {404, 405}
    assert len(rig.launched()) == before


def test_a_person_who_may_provision_launches_an_agent_by_the_button(
    rig: Rig, as_user: Callable[[str | None], Browser], crumbs: None
) -> None:
    operator = as_user("operator")
    fields = operator.hidden(operator.open(CLOUD), "launch")
    assert fields["policy"] == "linux"
    page = operator.open(CLOUD + "launch", fields)
    assert page.status == 200
    [name] = re.findall(r"computer/([\w-]+)/", page.table("Starting"))
    assert "launched by hand" in page.table("Starting")
    wait_for("it is online", lambda: rig.controller.nodes()[name]["offline"] is False)
    [line] = [line for line in rig.controller.lines("agentbroker") if f"{name} is launched by operator" in line]
    assert "policy linux" in line
    wrong = operator.open(CLOUD + "launch", {**fields, "policy": EVIL})
    assert wrong.status == 400
    assert EVIL not in wrong.text


def test_a_freestyle_build_that_waits_is_told_how_far_its_agent_is(
    rig: Rig, as_user: Callable[[str | None], Browser]
) -> None:
    controller = rig.controller
    rig.slow.touch()
    try:
        known = set(controller.nodes())
        controller.create_job("free", "docker", "sleep 3")
        rig.controller.script(LINK + "link.fleet.all().each { it.end('CANCELLED', 'it makes place') }")
        controller.build("free")
        [name] = wait_for("there is a node", lambda: set(controller.nodes()) - known, every=0.05)
        expected = re.compile(rf"‘{name}: connecting on linux, \d+ s’ is offline")
        wait_for("the queue says it", lambda: expected.search(why(controller)), seconds=15)
        widget = as_user("admin").open("").text
        assert re.search(rf"{name}: connecting on linux, \d+ s", widget)
        assert re.search(rf"{name} . policy linux . linux", as_user("admin").open(f"computer/{name}/").text)
        assert f"{name}: connecting" not in as_user("admin").open(f"computer/{name}/api/json").text, (
            "programs get names"
        )
        assert name in as_user("admin").open(CLOUD).table("Starting")
    finally:
        rig.slow.unlink()
    wait_for("it is online, and has its plain name", lambda: _display_name(controller, name) == name, seconds=40)
    assert controller.finished("free", 1)[0]["result"] == "SUCCESS"


def why(controller: Controller) -> str:
    return " ".join(str(item["why"]) for item in controller.get("queue/api/json?tree=items[why]")["items"])


def _display_name(controller: Controller, name: str) -> str:
    computers = controller.get("computer/api/json?tree=computer[displayName]")["computer"]
    return next((str(c["displayName"]) for c in computers if c["displayName"].startswith(name)), "")


def test_what_clouds_and_brokers_say_is_text_and_no_more(rig: Rig, as_user: Callable[[str | None], Browser]) -> None:
    rig.controller.script(LINK + f"link.connection.problem = '{EVIL}'; link.connection.problemAt = 1; null")
    java = rig.root / "light-java"
    good = java.read_text()
    java.write_text(f"#!/bin/sh\necho '{EVIL}'\nexit 3\n")
    try:
        rig.controller.create_job("fails", "linux")
        rig.controller.build("fails")
        wait_for("it has failed", lambda: "ContainerExited" in as_user("admin").open(CLOUD).table("Last failures"))
        page = as_user("admin").open(CLOUD)
        rig.controller.script("jenkins.model.Jenkins.get().queue.clear()")
    finally:
        java.write_text(good)
        rig.controller.script(LINK + "link.connection.problem = ''")
    assert EVIL not in page.text
    assert "&lt;script>alert(1)&lt;/script>" in page.table("Connection")
    assert "exit code 3" in page.table("Last failures")


def test_a_broker_that_hangs_or_is_away_leaves_the_last_known_state_within_a_second(
    rig: Rig, as_user: Callable[[str | None], Browser]
) -> None:
    admin = as_user("admin")
    assert rig.stack.broker is not None
    admin.open(CLOUD)
    os.kill(rig.stack.broker.pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        page = admin.open(CLOUD)
        took = time.monotonic() - began
    finally:
        os.kill(rig.stack.broker.pid, signal.SIGCONT)
    assert took < 2
    assert "What follows of pools and failures is of" in page.text
    assert "process" in page.table("Pools"), "the last known"


def test_a_broker_that_is_away_is_one_line_on_the_page_and_a_notice_that_can_be_dismissed(
    rig: Rig, as_user: Callable[[str | None], Browser]
) -> None:
    controller, admin = rig.controller, as_user("admin")
    assert rig.stack.broker is not None
    lines = len(controller.lines("agentbroker", "WARNING"))
    assert "has not been reached" not in admin.open("manage/").text
    rig.stack.broker.kill()
    wait_for("it is noticed", lambda: "<strong>not connected</strong> since" in admin.open(CLOUD).text)
    assert "process" in admin.open(CLOUD).table("Pools"), "the last known"
    assert "Launch an agent" not in admin.open(CLOUD).text
    wait_for("administrators are told", lambda: "has not been reached for" in admin.open("manage/").text, seconds=20)
    assert "has not been reached for" not in as_user("reader").open("manage/").text
    notice = admin.open("manage/")
    assert admin.open("administrativeMonitor/agentbroker/disable", {"x": "y"}).status == 200, notice.status
    assert "has not been reached for" not in admin.open("manage/").text
    config = (controller.home / "config.xml").read_text()
    assert "<string>agentbroker</string>" in config
    assert "Broker" not in config
    controller.script("hudson.model.AdministrativeMonitor.all().find { it.id == 'agentbroker' }.disable(false)")
    connects = controller.log().count("agentbroker: connected to")
    rig.stack.start_broker()
    rig.wait_until_connected(connects + 1)
    assert len(controller.lines("agentbroker", "WARNING")) == lines + 1, "one line when it is lost"
    [back] = [line for line in controller.lines("agentbroker", "INFO") if "connected to" in line][connects:]
    assert re.search(r"back after \d+ s", back)
    assert "has not been reached for" not in admin.open("manage/").text


def test_files_that_are_older_than_the_broker_are_told_to_administrators(
    rig: Rig, as_user: Callable[[str | None], Browser]
) -> None:
    rig.controller.script(LINK + "link.connection.version = '9.4.1'")
    try:
        text = as_user("admin").open("manage/").text
    finally:
        rig.controller.script(LINK + "link.connection.version = link.connection.ownVersion")
    assert "the broker is 9.4.1. Run `agentbroker init jenkins`" in text
    assert "the broker is" not in as_user("admin").open("manage/").text
