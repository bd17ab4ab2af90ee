"""Who does not get in, in the real agent's own words; and who is let in late."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from broker.demo.sim.plans import Transport
from tests.interop.world import WAYS, Way, World
from tests.jenkins.controller import wait_for
from tests.jenkins.rig import LABEL, java

pytestmark = [pytest.mark.agentjar, pytest.mark.jenkins, pytest.mark.timeout(300)]
SLOW_S = 25
# Asked before Jenkins' own, which approves: over either transport the agent has no answer meanwhile.
ACCEPTS_LATE = """
class ALateReceiver extends jenkins.slaves.JnlpAgentReceiver {
    boolean owns(String name) { false }
    void afterProperties(org.jenkinsci.remoting.engine.JnlpConnectionState event) { Thread.sleep(%d * 1000) }
    void afterChannel(org.jenkinsci.remoting.engine.JnlpConnectionState event) {}
}
hudson.ExtensionList.lookup(jenkins.slaves.JnlpAgentReceiver).add(new ALateReceiver())
"""
ACCEPTS_AS_EVER = """
def receivers = hudson.ExtensionList.lookup(jenkins.slaves.JnlpAgentReceiver)
receivers.findAll { it.class.name == 'ALateReceiver' }.each { receivers.remove(it) }
"""
TRIES_AGAIN = ("retry", "sleeping 10s", "Failed to connect", "Handshake error", "rejected")


@contextmanager
def by_hand(world: World, way: Way, name: str, secret: Path, directory: Path) -> Iterator[Path]:
    """Somebody's own agent.jar at the gateway; gives what it logs to."""
    words = [java(), "-jar", os.environ["AGENT_JAR"], "-url", world.stack.gateway_url, "-name", name]
    words += [
        "-secret",
        f"@{secret}",
        "-workDir",
        str(directory),
        *(["-webSocket"] if way.agents is Transport.WEBSOCKET else []),
    ]
    log = directory / "agent.log"
    with log.open("wb") as output:
        process = subprocess.Popen(words, stdout=output, stderr=output)
    try:
        yield log
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def name(world: World, way: Way) -> Iterator[str]:
    """An idle agent's."""
    name = world.an_idle_agent()
    yield name
    world.end(name)


def test_an_agent_with_a_wrong_secret_reads_why_and_waits_and_jenkins_hears_nothing(
    world: World, way: Way, name: str, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("0" * 64)
    with by_hand(world, way, name, secret, tmp_path) as log:
        expects(log, way.agents, f"wrong secret for {name}")
        time.sleep(5)
    refused = [line for line in world.broker_log() if f"wrong secret for {name}" in line]
    assert 1 <= len(refused) <= 4, refused
    assert "incorrect secret" not in world.controller.log()


def test_a_second_agent_of_a_name_is_told_so_and_the_first_one_works_on(
    world: World, way: Way, name: str, tmp_path: Path
) -> None:
    [place] = [p for p in world.stack.search.agents_root.iterdir() if f"-name\0{name}\0" in command_of(p)]
    secret = Path(shutil.copy(place / "secret", tmp_path / "secret"))
    with by_hand(world, way, name, secret, tmp_path) as log:
        expects(log, way.agents, f"{name} is already connected to this controller. Rejecting this connection.")
        build = world.run(f"first-{way}", "true")
        assert (build["result"], build["builtOn"]) == ("SUCCESS", name)
        assert "INFO: Connected" not in log.read_text()
    assert world.noted("online").count(name) == 1
    told = f"{name} is already connected to this controller. Rejecting this connection."
    assert any(told in line for line in world.broker_log())


def command_of(place: Path) -> str:
    pid = (place / "claim").read_text().split()[0]
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def expects(log: Path, transport: Transport, words: str) -> None:
    """Over TCP the agent logs what it is told, and over WebSocket only that it failed; it waits either way."""
    if transport is Transport.TCP:
        wait_for(words, lambda: words in log.read_text(), 40)
        wait_for("it waits", lambda: "reconnect rejected, sleeping 10s" in log.read_text(), 10)
    else:
        wait_for("it waits", lambda: "Waiting 1 second before retry" in log.read_text(), 40)
        assert "Failed to connect: Handshake error." in log.read_text()


@pytest.mark.parametrize("way", [way for way in WAYS if way.agents is not way.controllers], ids=str, indirect=True)
def test_a_controller_that_takes_25_s_to_accept_an_agent_gets_it_at_the_first_try(world: World, way: Way) -> None:
    job = f"late-{way}"
    world.controller.create_job(job, LABEL, "true")
    assert world.controller.script(ACCEPTS_LATE % SLOW_S) == ""
    began = time.monotonic()
    try:
        world.controller.build(job)
        [build] = world.controller.finished(job, 1)
    finally:
        world.controller.script(ACCEPTS_AS_EVER)
    assert build["result"] == "SUCCESS"
    said = world.said_by(build["builtOn"])
    assert [line for line in said.splitlines() if any(word in line for word in TRIES_AGAIN)] == []
    assert time.monotonic() - began > SLOW_S
