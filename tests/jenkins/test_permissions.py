"""What a person may see and do of a node of ours is what Jenkins' own permissions say of any inbound node."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.jenkins.browser import Browser, Page
from tests.jenkins.conftest import new_rig
from tests.jenkins.controller import wait_for
from tests.jenkins.reuse import agent, set_policies, wait_until_gone
from tests.jenkins.rig import Rig, java

pytestmark = [pytest.mark.jenkins, pytest.mark.component("jenkins"), pytest.mark.timeout(400)]

STATIC = "static-abcdefgh"
STAYS = {"retention": {"max_uses": 0, "idle_timeout": "10m"}}
PEOPLE = {
    "reader": [],
    "connecter": ["Computer.CONNECT"],
    "disconnecter": ["Computer.DISCONNECT"],
    "configurer": ["Computer.CONFIGURE"],
    "operator": ["hudson.slaves.Cloud.PROVISION", "Jenkins.SYSTEM_READ"],
    "deleter": ["Computer.DELETE"],
    "admin": ["Jenkins.ADMINISTER"],
}
"""What each may beside Overall/Read."""
CONNECT = {"connecter", "disconnecter", "admin"}
"""Who has Agent/Connect: core implies it by Agent/Disconnect."""
SECURE = """
import hudson.model.Computer
import hudson.security.*
import jenkins.model.Jenkins
import org.acegisecurity.acls.sid.PrincipalSid
class MatrixFilter implements jenkins.security.CustomClassFilter {
    Boolean permits(Class<?> type) { type.name.startsWith('Matrix') ? true : null }
    Boolean permits(String name) { name.startsWith('Matrix') ? true : null }
}
class Matrix extends AuthorizationStrategy {
    transient Map given = [:]
    ACL getRootACL() {
        def acl = new SparseACL(null)
        given.each { who, may -> (may + [Jenkins.READ]).each { acl.add(new PrincipalSid(who), it, true) } }
        acl
    }
    Collection<String> getGroups() { [] }
}
hudson.ExtensionList.lookup(jenkins.security.CustomClassFilter).add(new MatrixFilter())
Jenkins.SYSTEM_READ.enabled = true
def realm = new HudsonPrivateSecurityRealm(false)
def matrix = new Matrix(given: [%s])
matrix.given.keySet().each { realm.createAccount(it, it + '-password') }
Jenkins.get().securityRealm = realm
Jenkins.get().authorizationStrategy = matrix
"""
PAGES = (
    "", "api/json?depth=2", "log", "logText/progressiveText", "jenkins-agent.jnlp", "slave-agent.jnlp", "systemInfo",
    "threadDump", "dumpExportTable", "script", "configure", "config.xml", "load-statistics", "builds", "markOffline",
    "disconnect", "delete",
)  # fmt: skip
BARE = """
import org.springframework.security.core.context.SecurityContextHolder
def fleet = jenkins.model.Jenkins.get().clouds.find { it.class.name == 'BrokerCloud' }.fleet
[fleet.link.worker, fleet.retirement.worker].each {
    println it.submit({ SecurityContextHolder.context.authentication?.name } as java.util.concurrent.Callable).get()
}
"""


@pytest.fixture(scope="module")
def rig(jenkins_root: Path, request: pytest.FixtureRequest) -> Iterator[Rig]:
    """With a static inbound node that is connected, and one of ours that stays for each test that ends it."""
    rig = new_rig(jenkins_root, request)
    set_policies(rig, {"stays": STAYS})
    agent_process: subprocess.Popen[bytes] | None = None
    try:
        rig.start()
        secret = rig.controller.add_static_node(STATIC, "theirs")
        command = [java(), "-Xmx96m", "-jar", os.environ["AGENT_JAR"], "-url", rig.controller.url, "-name", STATIC]
        command += ["-secret", secret, "-webSocket", "-workDir", str(rig.root / "static-work")]
        with (rig.root / "static.log").open("wb") as log:
            agent_process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        given = ", ".join(f"{who}: [{', '.join(may)}]" for who, may in PEOPLE.items())
        rig.controller.script(SECURE % given)
        rig.controller.user = ("admin", "admin-password")
        wait_until_online(rig, STATIC)
        yield rig
    finally:
        if agent_process is not None:
            agent_process.kill()
            agent_process.wait(10)
        rig.stop()


@pytest.fixture(scope="module")
def ours(rig: Rig) -> str:
    return launched(rig)


def launched(rig: Rig) -> str:
    """The name of a new agent that is online and idle, launched by hand."""
    name = rig.controller.script(
        "def fleet = jenkins.model.Jenkins.get().clouds.find { it.class.name == 'BrokerCloud' }.fleet\n"
        "print fleet.launch(fleet.policyNamed('stays'), 'admin').nodeName"
    )
    wait_until_online(rig, name)
    return name


def wait_until_online(rig: Rig, name: str) -> None:
    wait_for(f"{name} is online", lambda: rig.controller.nodes()[name]["offline"] is False, seconds=60)


def both(rig: Rig, ours: str, who: str | None, path: str, form: dict[str, str] | None = None) -> tuple[Page, Page]:
    """What the same request gets of our node and of the static one."""
    browser = Browser(rig.controller, who)
    one, other = (browser.open(f"computer/{name}/{path}", form) for name in (ours, STATIC))
    return one, other


def secrets_of(rig: Rig, *names: str) -> list[str]:
    return [rig.controller.script(f"print jenkins.model.Jenkins.get().getComputer('{n}').jnlpMac") for n in names]


@pytest.mark.parametrize("who", [None, *PEOPLE])
def test_pages_are_shown_to_whom_core_shows_them_and_the_secret_too(rig: Rig, ours: str, who: str | None) -> None:
    mine, theirs = secrets_of(rig, ours, STATIC)
    seen = {path: both(rig, ours, who, path) for path in PAGES}
    assert {path: one.status for path, (one, _) in seen.items()} == {p: other.status for p, (_, other) in seen.items()}
    told = {path for path, (one, _) in seen.items() if mine in one.text}
    assert told <= {path for path, (_, other) in seen.items() if theirs in other.text}
    assert bool(told) == (who in CONNECT)
    if who is None:
        assert not [path for path, (one, _) in seen.items() if one.status == 200]


@pytest.mark.parametrize("who", [None, *PEOPLE])
def test_buttons_do_what_they_do_for_whom_core_lets_press_them(rig: Rig, ours: str, who: str | None) -> None:
    def status(path: str, form: dict[str, str]) -> int:
        one, other = both(rig, ours, who, path, form)
        assert one.status == other.status, f"{who}: {path}"
        return one.status

    assert status("toggleOffline", {"offlineMessage": "a test"}) == (200 if who in {"disconnecter", "admin"} else 403)
    states = rig.controller.nodes()
    assert states[ours]["offline"] == states[STATIC]["offline"] == (who in {"disconnecter", "admin"})
    status("changeOfflineCause", {"offlineMessage": "a test"})
    for name in (ours, STATIC):
        rig.controller.script(f"jenkins.model.Jenkins.get().getComputer('{name}').setTemporarilyOffline(false, null)")
    assert status("launchSlaveAgent", {"x": "y"}) == (200 if who in CONNECT else 403)
    assert status("scriptText", {"script": "print 6 * 7"}) == (200 if who == "admin" else 403)
    if who not in {"deleter", "admin"}:
        assert status("doDelete", {"x": "y"}) == 403
    if who not in {"disconnecter", "admin"}:
        assert status("doDisconnect", {"x": "y"}) == 403
    one = Browser(rig.controller, who).open(f"computer/{ours}/config.xml", {"x": "y"})
    assert one.status == (400 if who in {"configurer", "admin"} else 403), "read-only, told to whom it would be open"
    form = Browser(rig.controller, who).open(f"computer/{ours}/configSubmit", {"json": "{}"})
    assert form.status == (200 if who in {"configurer", "admin"} else 403)
    assert {ours, STATIC} <= set(rig.controller.nodes())


def test_a_node_that_is_renamed_by_hand_keeps_its_name_and_its_agent_and_that_is_told(rig: Rig, ours: str) -> None:
    before, launches = set(rig.controller.nodes()), len(rig.launched())
    configurer = Browser(rig.controller, "configurer")
    assert (
        configurer.open(f"computer/{ours}/configSubmit", {"name": "renamed", "json": '{"name": "renamed"}'}).status
        == 200
    )
    told = [line for line in rig.controller.lines("agentbroker", "INFO") if f"{ours} keeps its name" in line]
    assert len(told) == 1, told
    assert "renamed" in told[0]
    rig.controller.script(f"jenkins.model.Jenkins.get().getNode('{ours}').nodeName = 'again'")
    told = [line for line in rig.controller.lines("agentbroker", "INFO") if f"{ours} keeps its name" in line]
    assert len(told) == 2, told
    assert "again" in told[1]
    syncs(rig, 2)
    assert set(rig.controller.nodes()) == before
    assert agent(rig, ours)["phase"] == "online"
    assert len(rig.launched()) == launches


def syncs(rig: Rig, count: int) -> None:
    """Returns when so many more exchanges with the broker have begun."""
    look = "print jenkins.model.Jenkins.get().clouds.find { it.class.name == 'BrokerCloud' }.fleet.link.nextSync"
    for _ in range(count):
        before = rig.controller.script(look)
        wait_for("a sync", lambda known=before: rig.controller.script(look) != known, seconds=20)  # type: ignore[misc]


def test_a_node_that_is_removed_by_a_script_ends_its_agent_as_cancelled(rig: Rig) -> None:
    name = launched(rig)
    rig.controller.script(f"def j = jenkins.model.Jenkins.get(); j.removeNode(j.getNode('{name}'))")
    row = wait_until_gone(rig, name)
    assert row["reason"] == "Cancelled"
    assert "deleted in Jenkins by admin" in row["message"]


def test_who_may_disconnect_and_who_may_delete_does_and_no_thread_of_ours_keeps_a_persons_name(
    rig: Rig, ours: str
) -> None:
    for button, who in (("doDisconnect", "disconnecter"), ("doDelete", "deleter")):
        one, other = both(rig, ours, who, button, {"x": "y"})
        assert (one.status, other.status) in {(200, 200), (403, 403), (404, 404)}, button
    assert not {ours, STATIC} & set(rig.controller.nodes())
    row = wait_until_gone(rig, ours)
    assert row["reason"] == "Cancelled"
    assert "by deleter" in row["message"]
    assert set(rig.controller.script(BARE).split()) <= {"null", "anonymous"}
    assert not re.findall("agentbroker.*Oops", rig.controller.log())
    assert rig.controller.lines("agentbroker", "WARNING", "SEVERE") == []
