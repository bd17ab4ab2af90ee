"""A node's log on a real controller: every phase with its pool, each event once, and why an agent fails."""

import re

import pytest

from tests.jenkins.controller import wait_for
from tests.jenkins.rig import Rig

pytestmark = [pytest.mark.jenkins, pytest.mark.component("jenkins"), pytest.mark.timeout(300)]

POLICY = {"retry": {"attempts": 3, "backoff": "3s..3s"}, "labels": ["linux", "docker", "broken"]}
START = ["requested", "launching", "booting", "connecting", "online"]
FAILS = "#!/bin/sh\necho 'cannot find the tool'\necho 'giving up' >&2\nexit 3\n"


def events(log: str) -> list[str]:
    return re.findall(r"^\[\d\d:\d\d:\d\d] (\w+)", log, re.M)


def the_new_node(rig: Rig, job: str, label: str, command: str = "true") -> str:
    known = set(rig.controller.nodes())
    rig.controller.create_job(job, label, command)
    rig.controller.build(job)
    [name] = wait_for("there is a node", lambda: set(rig.controller.nodes()) - known, every=0.05)
    return str(name)


def test_a_broker_that_is_killed_while_an_agent_starts_leaves_each_event_in_its_nodes_log_once(rig: Rig) -> None:
    rig.slow.touch()
    try:
        name = the_new_node(rig, "slow", "linux", "sleep 20")
        wait_for("it connects", lambda: events(rig.controller.node_log(name)) == START[:4], every=0.05)
        connects = rig.controller.log().count("agentbroker: connected to")
        assert rig.stack.broker is not None
        rig.stack.broker.kill()
        rig.stack.start_broker()
        rig.wait_until_connected(connects + 1)
    finally:
        rig.slow.unlink()
    wait_for("it is online", lambda: events(rig.controller.node_log(name)) == START, seconds=60)
    log = rig.controller.node_log(name)
    assert log.startswith(f"[agentbroker] {name} for slow (linux), policy linux\n")
    for phase in START[1:]:
        assert re.search(rf"^\[\d\d:\d\d:\d\d] {phase} +linux\b", log, re.M), log
    assert log.count("Agent successfully connected and online") == 1
    assert rig.controller.finished("slow", 1)[0]["result"] == "SUCCESS"
    rig.wait_until_nothing_is_left()


def test_an_agent_that_exits_at_once_says_why_in_its_own_words(rig: Rig) -> None:
    java = rig.root / "light-java"
    good = java.read_text()
    java.write_text(FAILS)
    try:
        name = the_new_node(rig, "broken", "broken")
        wait_for("it was tried again", lambda: events(rig.controller.node_log(name)).count("launching") == 2)
        log = rig.controller.node_log(name)
        assert re.search(r"^\[\d\d:\d\d:\d\d] failed +linux: ContainerExited: exit code 3\b", log, re.M), log
        assert "           cannot find the tool\n           giving up\n" in log
        assert re.search(r"^\[\d\d:\d\d:\d\d] launching +linux \(attempt 2\)", log, re.M), log
        rig.controller.script("jenkins.model.Jenkins.get().queue.clear()")
        wait_for("it has ended", lambda: name not in rig.controller.nodes())
    finally:
        java.write_text(good)
    assert [line for line in rig.controller.lines("agentbroker") if name in line] == [], "nobody waited for it any more"
    rig.wait_until_nothing_is_left()
