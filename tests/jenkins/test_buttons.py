"""Every button of a node and of the cloud, pressed as a browser does: it does what Jenkins says, no more."""

import json
import re
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.jenkins.conftest import new_rig
from tests.jenkins.controller import wait_for
from tests.jenkins.reuse import a_node, agent, runs_on, set_policies, wait_until_gone
from tests.jenkins.rig import Rig

pytestmark = [pytest.mark.jenkins, pytest.mark.component("jenkins"), pytest.mark.timeout(300)]

STAYS = {"retention": {"max_uses": 0, "idle_timeout": "10m"}}
CONFIG = "import jenkins.model.Jenkins; print Jenkins.get().clouds*.name.join(',')"


@pytest.fixture(scope="module")
def rig(jenkins_root: Path, request: pytest.FixtureRequest) -> Iterator[Rig]:
    """With policies whose agents stay, and a controller that wants crumbs."""
    rig = new_rig(jenkins_root, request)
    set_policies(rig, dict.fromkeys(("idle", "idle-2", "aside", "lost", "page", "page-saved", "xml", "early"), STAYS))
    try:
        rig.start()
        rig.controller.take_crumb()
        yield rig
    finally:
        rig.stop()


@pytest.fixture(autouse=True)
def _nothing_is_severe(rig: Rig) -> Iterator[None]:
    yield
    for name in rig.controller.nodes():  # of a test that failed
        rig.controller.press(f"computer/{name}/doDelete")
    assert rig.controller.lines("", "SEVERE") == []
    assert rig.controller.lines("agentbroker", "WARNING") == []
    assert "Oops" not in rig.controller.log()


def state(rig: Rig, name: str) -> dict[str, object]:
    return rig.controller.nodes().get(name, {})


def is_online(rig: Rig, name: str) -> bool:
    return state(rig, name).get("offline") is False


def idle_agent(rig: Rig, label: str) -> str:
    """One that is online and idle."""
    name = a_node(rig, f"first-{label}", label)
    rig.controller.finished(f"first-{label}", 1)
    wait_for("it is idle", lambda: state(rig, name).get("idle"))
    return name


def test_delete_of_an_idle_node_ends_its_agent_as_cancelled(rig: Rig) -> None:
    name = idle_agent(rig, "idle")
    rig.controller.press(f"computer/{name}/doDelete")
    row = wait_until_gone(rig, name)
    assert (row["reason"], row["uses"]) == ("Cancelled", 1)
    assert "deleted in Jenkins" in row["message"]
    rig.wait_until_nothing_is_left()


def test_delete_of_a_busy_node_ends_its_agent_and_the_build_says_why(rig: Rig) -> None:
    name = a_node(rig, "busy", "linux", "sleep 600")
    assert runs_on(rig, "busy") == name
    rig.controller.press(f"computer/{name}/doDelete")
    assert rig.controller.finished("busy", 1)[0]["result"] in {"FAILURE", "ABORTED"}
    assert f"[agentbroker] {name} ends: its node was deleted in Jenkins" in rig.controller.console("busy", 1)
    assert wait_until_gone(rig, name)["reason"] == "Cancelled"
    rig.wait_until_nothing_is_left()


def test_delete_of_a_starting_node_ends_its_agent_and_its_build_gets_another(rig: Rig) -> None:
    rig.slow.touch()
    try:
        name = a_node(rig, "starting", "linux")
        wait_for("it is launched", lambda: name in rig.launched())
        rig.controller.press(f"computer/{name}/doDelete")
        row = wait_until_gone(rig, name)
        assert (row["reason"], row["outcome"]) == ("Cancelled", "cancelled")
    finally:
        rig.slow.unlink()
    [build] = rig.controller.finished("starting", 1)
    assert build["result"] == "SUCCESS"
    assert build["builtOn"] != name
    assert rig.launched().count(name) == 1
    rig.wait_until_nothing_is_left()


def test_disconnect_keeps_the_machine_and_its_agent_comes_back(rig: Rig) -> None:
    name = idle_agent(rig, "lost")
    before = len(rig.launched())
    causes = rig.root / "offline-causes"
    rig.controller.script(
        "import hudson.*; import hudson.model.*; import hudson.slaves.*\n"
        "ExtensionList.lookup(ComputerListener).add(new ComputerListener() {\n"
        f"  void onOffline(Computer c, OfflineCause why) {{ new File('{causes}') << why.toString() }} }})"
    )
    rig.controller.press(f"computer/{name}/doDisconnect", offlineMessage="a look inside")
    wait_for("it is offline for that reason", lambda: causes.exists() and "a look inside" in causes.read_text())
    wait_for("it is back", lambda: rig.noted("online").count(name) == 2 and is_online(rig, name), seconds=40)
    rig.controller.build("first-lost")
    assert rig.controller.finished("first-lost", 2)[1]["builtOn"] == name
    assert len(rig.launched()) == before, "a replacement was started"
    assert agent(rig, name)["goal"] == "online"
    rig.controller.press(f"computer/{name}/doDelete")
    rig.wait_until_nothing_is_left()


def test_launch_agent_does_no_second_launch_and_the_agent_comes_back(rig: Rig) -> None:
    name = idle_agent(rig, "early")
    before = len(rig.launched())
    rig.controller.press(f"computer/{name}/launchSlaveAgent")  # online already: Jenkins says so
    assert is_online(rig, name)
    rig.controller.press(f"computer/{name}/doDisconnect", offlineMessage="")
    rig.controller.press(f"computer/{name}/launchSlaveAgent")
    wait_for("it is back", lambda: rig.noted("online").count(name) >= 2 and is_online(rig, name), seconds=40)
    assert len(rig.launched()) == before
    assert rig.noted("launch-failures") == []
    rig.controller.press(f"computer/{name}/doDelete")
    rig.wait_until_nothing_is_left()


def test_a_node_that_is_marked_offline_keeps_its_machine_and_a_build_gets_another(rig: Rig) -> None:
    name = idle_agent(rig, "aside")
    rig.controller.press(f"computer/{name}/toggleOffline", offlineMessage="mine for now")
    assert state(rig, name)["offlineCauseReason"] == "mine for now"
    rig.controller.build("first-aside")
    second = rig.controller.finished("first-aside", 2)[1]
    assert second["result"] == "SUCCESS"
    assert second["builtOn"] != name
    assert agent(rig, name)["phase"] == "online"
    rig.controller.press(f"computer/{second['builtOn']}/doDelete")
    rig.controller.press(f"computer/{name}/changeOfflineCause", offlineMessage="still mine")
    assert state(rig, name)["offlineCauseReason"] == "still mine"
    rig.controller.press(f"computer/{name}/toggleOffline")
    assert is_online(rig, name)
    before = len(rig.launched())
    rig.controller.build("first-aside")
    assert rig.controller.finished("first-aside", 3)[2]["builtOn"] == name
    assert len(rig.launched()) == before
    rig.controller.press(f"computer/{name}/doDelete")
    rig.wait_until_nothing_is_left()


def test_a_node_that_is_marked_offline_while_it_starts_is_no_capacity(rig: Rig) -> None:
    rig.slow.touch()
    try:
        name = a_node(rig, "set-aside", "idle")
        rig.controller.press(f"computer/{name}/toggleOffline", offlineMessage="")
        other = wait_for("another is asked for", lambda: set(rig.controller.nodes()) - {name}).pop()
    finally:
        rig.slow.unlink()
    assert rig.controller.finished("set-aside", 1)[0]["builtOn"] == other
    for node in (name, other):
        rig.controller.press(f"computer/{node}/doDelete")
    rig.wait_until_nothing_is_left()


def test_the_pages_of_a_node_show_and_change_nothing(rig: Rig) -> None:
    name = idle_agent(rig, "page")
    configuration = rig.controller.page(f"computer/{name}/configure")
    assert "Configured in broker.yaml of the broker" in configuration
    assert 'action="configSubmit"' not in configuration
    pages = [
        "",
        "builds",
        "load-statistics",
        "script",
        "systemInfo",
        "threadDump",
        "log",
        "markOffline",
        "setOfflineCause",
    ]
    for page in [*pages, "disconnect", "api/json", "dumpExportTable"]:
        assert rig.controller.page(f"computer/{name}/{page}"), page
    assert rig.controller.page("computer/")
    script = {"script": "println 6 * 7"}
    assert "42" in rig.controller.post(f"computer/{name}/scriptText", f"script={script['script']}".encode())
    rig.controller.press(f"computer/{name}/doDelete")
    rig.wait_until_nothing_is_left()


def test_saving_a_nodes_form_changes_nothing(rig: Rig) -> None:
    name = idle_agent(rig, "page-saved")
    form = {"name": "renamed", "nodeDescription": "x", "numExecutors": "7", "remoteFS": "/x", "labelString": "other"}
    rig.controller.press(f"computer/{name}/configSubmit", json=json.dumps(form), **form)
    rig.controller.press(f"computer/{name}/configSubmit", json="{}")
    node = f"def n = jenkins.model.Jenkins.get().getNode('{name}')"
    said = rig.controller.script(f"{node}; print([n.class.simpleName, n.numExecutors, n.labelString])")
    assert said == "[BrokerAgent, 1, page-saved]"
    assert "renamed" not in rig.controller.nodes()
    rig.controller.press(f"computer/{name}/doDelete")
    rig.wait_until_nothing_is_left()


def test_a_nodes_config_xml_can_be_read_and_not_written(rig: Rig) -> None:
    name = idle_agent(rig, "xml")
    xml = rig.controller.page(f"computer/{name}/config.xml")
    assert f"<name>{name}</name>" in xml
    assert "<label>xml</label>" in xml
    assert "BrokerAgent" not in xml
    with pytest.raises(AssertionError, match=r"400 .*configured in broker\.yaml"):
        rig.controller.post(f"computer/{name}/config.xml", xml.encode(), "application/xml")
    assert (
        rig.controller.script(f"print jenkins.model.Jenkins.get().getNode('{name}').class.simpleName") == "BrokerAgent"
    )
    rig.controller.press(f"computer/{name}/doDelete")
    rig.wait_until_nothing_is_left()


def clouds(rig: Rig) -> list[str]:
    return rig.controller.script(CONFIG).split(",")


def config_xml(rig: Rig) -> str:
    return (rig.controller.home / "config.xml").read_text()


def test_a_cloud_that_is_deleted_is_back_in_its_place_and_never_in_config_xml(rig: Rig) -> None:
    rig.controller.script(
        "import hudson.slaves.*; import jenkins.model.Jenkins\n"
        "class SilentFilter implements jenkins.security.CustomClassFilter {\n"
        "  Boolean permits(Class c) { c.name.startsWith('Silent') ? true : null }\n"
        "  Boolean permits(String n) { n.startsWith('Silent') ? true : null } }\n"
        "class SilentCloud extends Cloud { SilentCloud(String n) { super(n) }\n"
        "  boolean canProvision(Cloud.CloudState s) { false }\n"
        "  static class DescriptorImpl extends hudson.model.Descriptor<Cloud> {\n"
        "    String getDisplayName() { 'silent' } } }\n"
        "hudson.ExtensionList.lookup(jenkins.security.CustomClassFilter).add(new SilentFilter())\n"
        "hudson.ExtensionList.lookup(hudson.model.Descriptor).add(new SilentCloud.DescriptorImpl())\n"
        "Jenkins.get().clouds.add(new SilentCloud('zulu')); Jenkins.get().clouds.add(new SilentCloud('alpha'))"
    )
    assert clouds(rig) == ["agentbroker", "zulu", "alpha"]
    assert "agentbroker" in rig.controller.page("manage/cloud/")
    body = "&".join(f"name={name}" for name in ("alpha", "agentbroker", "zulu"))
    rig.controller.post("manage/cloud/reorder", body.encode())
    assert clouds(rig) == ["alpha", "agentbroker", "zulu"]
    wait_until_synced(rig)
    names = re.compile("agentbroker|BrokerCloud")
    assert not names.search(config_xml(rig))
    assert config_xml(rig).index("alpha") < config_xml(rig).index("zulu")
    for _ in range(2):
        wait_for("it is in its place", lambda: clouds(rig) == ["alpha", "agentbroker", "zulu"], seconds=20)
        wait_until_synced(rig)
        rig.controller.press("manage/cloud/agentbroker/doDelete")
    wait_for("it is in its place", lambda: clouds(rig) == ["alpha", "agentbroker", "zulu"], seconds=20)
    assert not names.search(config_xml(rig))
    rig.controller.script(
        "import jenkins.model.Jenkins\n"
        "Jenkins.get().clouds.findAll { it.class.name == 'SilentCloud' }.each { Jenkins.get().clouds.remove(it) }"
    )
    rig.controller.create_job("after", "linux")
    rig.controller.build("after")
    assert rig.controller.finished("after", 1)[0]["result"] == "SUCCESS"
    rig.wait_until_nothing_is_left()


def wait_until_synced(rig: Rig) -> None:
    """Returns when a whole exchange with the broker has begun and ended: the next one but one has begun."""
    for _ in range(2):
        _wait_for_next_sync(rig)


def _wait_for_next_sync(rig: Rig) -> None:
    queue_watch = "hudson.ExtensionList.lookup(hudson.model.queue.QueueListener).find { it.class.name == 'QueueWatch' }"
    next_sync = f"print {queue_watch}.fleet.link.nextSync"
    before = rig.controller.script(next_sync)
    wait_for("a sync", lambda: rig.controller.script(next_sync) != before, seconds=20)


def test_the_clouds_form_can_be_saved_and_new_cloud_does_not_offer_ours(rig: Rig) -> None:
    before = clouds(rig)
    assert rig.controller.page("manage/cloud/agentbroker/")
    assert rig.controller.page("manage/cloud/agentbroker/configure")
    rig.controller.press("manage/cloud/agentbroker/configSubmit", json=json.dumps({"name": "other"}), name="other")
    assert clouds(rig) == before
    assert "New cloud" in (new := rig.controller.page("manage/cloud/new"))
    assert "BrokerCloud" not in new
    form = json.dumps({"name": "third"})
    with pytest.raises(AssertionError, match="agentbroker init jenkins"):
        rig.controller.press("manage/cloud/doCreate", cloudDescriptorName="BrokerCloud", json=form)
    with pytest.raises(AssertionError, match=r"manage/cloud/create: (4|5)\d\d"):
        rig.controller.press("manage/cloud/create", name="copied", mode="copy", **{"from": "agentbroker"})
    assert clouds(rig) == before
    assert "BrokerCloud" not in config_xml(rig)


def test_before_a_shutdown_no_agent_is_asked_for_and_afterwards_the_build_gets_one(rig: Rig) -> None:
    rig.controller.create_job("quiet", "linux")
    before = len(rig.launched())
    rig.controller.press("quietDown")
    rig.controller.build("quiet")
    wait_until_synced(rig)
    wait_until_synced(rig)
    assert len(rig.launched()) == before
    assert rig.controller.nodes() == {}
    rig.controller.press("cancelQuietDown")
    assert rig.controller.finished("quiet", 1)[0]["result"] == "SUCCESS"
    assert len(rig.launched()) == before + 1
    rig.wait_until_nothing_is_left()


def test_a_page_of_a_node_that_is_gone_is_not_found(rig: Rig) -> None:
    name = idle_agent(rig, "idle-2")
    rig.controller.press(f"computer/{name}/doDelete")
    wait_until_gone(rig, name)
    with pytest.raises(urllib.error.HTTPError):
        rig.controller.page(f"computer/{name}/configure")
    rig.wait_until_nothing_is_left()
