"""Agents that no build has asked for, on a real controller: kept warm by a policy, and launched by hand."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.jenkins.conftest import new_rig
from tests.jenkins.controller import wait_for
from tests.jenkins.rig import LABEL, Rig
from tests.jenkins.warm import keep_warm, set_warm

pytestmark = [pytest.mark.jenkins, pytest.mark.component("jenkins"), pytest.mark.timeout(300)]

IDLE_S = 8


@pytest.fixture(scope="module")
def rig(jenkins_root: Path, request: pytest.FixtureRequest) -> Iterator[Rig]:
    rig = new_rig(jenkins_root, request)
    try:
        set_warm(rig.stack, LABEL, 0, idle_s=IDLE_S)
        rig.start()
        yield rig
    finally:
        rig.stop()


def keep(rig: Rig, min_idle: int) -> None:
    keep_warm(rig.stack, LABEL, min_idle, idle_s=IDLE_S)


def online(rig: Rig) -> set[str]:
    tree = rig.controller.get("computer/api/json?tree=computer[displayName,offline,_class]")
    ours = [computer for computer in tree["computer"] if computer["_class"] == "BrokerComputer"]
    return {str(computer["displayName"]).split(":")[0] for computer in ours if not computer["offline"]}


def look_at_idle_nodes(rig: Rig) -> None:
    """What Jenkins does once a minute."""
    check = "hudson.model.Queue.withLock({ c.retentionStrategy.check(c) } as Runnable)"
    rig.controller.script(f"jenkins.model.Jenkins.get().computers.each {{ c -> {check} }}")


def wait_until_idle_ones_have_ended(rig: Rig) -> None:
    def none_is_online() -> bool:
        look_at_idle_nodes(rig)
        return not online(rig)

    wait_for("idle agents end", none_is_online, seconds=60, every=1)
    rig.wait_until_nothing_is_left()


def test_idle_agents_come_without_a_build_and_a_build_takes_one_at_once(rig: Rig) -> None:
    keep(rig, 2)
    wait_for("two idle agents", lambda: len(online(rig)) == 2)
    first = online(rig)
    time.sleep(IDLE_S + 1)
    look_at_idle_nodes(rig)
    time.sleep(3)
    assert online(rig) == first, "the idle timeout does not end them"
    assert set(rig.launched()) == first
    rig.controller.create_job("warm", LABEL, "sleep 4")
    rig.controller.build("warm")
    [build] = wait_for("the build runs", lambda: [b for b in rig.controller.builds("warm") if b["builtOn"]])
    assert build["builtOn"] in first, "no launch was waited for"
    wait_for("a third one", lambda: len(online(rig) - {build["builtOn"]}) == 2)
    assert rig.controller.finished("warm", 1)[0]["result"] == "SUCCESS"
    time.sleep(3)
    assert len(rig.launched()) == 3
    keep(rig, 0)
    wait_until_idle_ones_have_ended(rig)
    assert len(rig.launched()) == 3


def test_a_restart_of_either_side_starts_no_more_of_them(rig: Rig) -> None:
    before = set(rig.launched())
    keep(rig, 2)
    wait_for("two idle agents", lambda: len(online(rig)) == 2)
    kept = online(rig)
    rig.controller.kill()
    rig.controller.start()
    wait_for("they are back", lambda: online(rig) == kept)
    assert rig.stack.broker is not None
    rig.stack.broker.kill()
    rig.stack.start_broker()
    connected = "agentbroker: connected to"
    wait_for("connected again", lambda: rig.controller.log().count(connected) == 2)
    time.sleep(5)  # some syncs
    assert (online(rig), set(rig.launched()) - before) == (kept, kept)
    keep(rig, 0)
    wait_until_idle_ones_have_ended(rig)


def test_an_agent_is_launched_by_hand_and_ends_when_it_stays_idle(rig: Rig) -> None:
    before = rig.launched()
    command = [sys.executable, "-m", "broker", "--url", rig.stack.http_url, "agent", "launch", "--label", LABEL]
    done = subprocess.run([*command, "--wait"], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    [name] = set(rig.launched()) - set(before)
    assert done.stdout.startswith(f"{name} is online in pool {LABEL}")
    told = [line.partition(name)[2].split()[0] for line in done.stderr.splitlines() if name in line]
    assert (told[0], told[-1]) == ("requested", "online")
    assert name in online(rig)
    wait_until_idle_ones_have_ended(rig)
    assert set(rig.launched()) == {*before, name}
