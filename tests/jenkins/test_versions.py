"""Brokers of other versions, each a cloud of one controller: builds run with them, and another API is refused."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.groovy.fake_broker import FakeBroker
from tests.jenkins.conftest import new_rig
from tests.jenkins.controller import Controller, wait_for
from tests.jenkins.rig import java

pytestmark = [pytest.mark.jenkins, pytest.mark.component("jenkins"), pytest.mark.timeout(300)]

REFUSAL = "api_version 1 is not spoken here, this broker 9.0.0 speaks 2; run: agentbroker init jenkins"


@pytest.fixture(scope="module")
def brokers() -> Iterator[dict[str, FakeBroker]]:
    """By the name of their clouds. Each has the first four calls of the API alone."""
    brokers = {
        "older": FakeBroker(version="0.0.9", label="older"),
        "newer": FakeBroker(version="0.3.0", label="newer"),
        "far": FakeBroker(version="0.9.0", label="far"),
        "refusing": FakeBroker(version="9.0.0", refuses=REFUSAL),
        "other": FakeBroker(version="9.0.0", api_version=2),
    }
    yield brokers
    for broker in brokers.values():
        broker.stop()


@pytest.fixture(scope="module")
def controller(
    jenkins_root: Path, request: pytest.FixtureRequest, brokers: dict[str, FakeBroker]
) -> Iterator[Controller]:
    controller = new_rig(jenkins_root, request).controller
    for name, broker in brokers.items():
        command = [sys.executable, "-m", "broker", "init", "jenkins", "--home", str(controller.home), "--name", name]
        subprocess.run([*command, "--broker", f"127.0.0.1:{broker.port}"], check=True, capture_output=True)
    controller.start()
    try:
        wait_for("all have answered", lambda: all(broker.times("Handshake") for broker in brokers.values()))
        wait_for("three are clouds", lambda: controller.log().count(": connected to") == 3)
        yield controller
    finally:
        controller.stop()


@pytest.fixture(autouse=True)
def _version(controller: Controller, record_component: Callable[[str, str], None]) -> None:
    record_component("jenkins", controller.version())


def lines(controller: Controller, name: str, *levels: str) -> list[str]:
    return [
        line.removeprefix(f"agentbroker: {name}: ")
        for line in controller.lines("agentbroker", *levels)
        if line.startswith(f"agentbroker: {name}: ")
    ]


@pytest.mark.parametrize(
    ("name", "version", "words"),
    [
        ("older", "0.0.9", "they work together; upgrade the broker"),
        ("newer", "0.3.0", "they work together; run `agentbroker init jenkins` again and restart Jenkins"),
        (
            "far",
            "0.9.0",
            "so far apart they are not tried together; run `agentbroker init jenkins` again and restart Jenkins",
        ),
    ],
)
def test_a_build_runs_with_a_broker_of_another_version_and_one_line_says_how_far_it_is_away(
    controller: Controller, brokers: dict[str, FakeBroker], name: str, version: str, words: str, tmp_path: Path
) -> None:
    broker = brokers[name]
    controller.create_job(name, name)
    controller.build(name)
    [agent] = wait_for("an agent is asked for", lambda: list(broker.secrets))
    command = [java(), "-Xmx96m", "-jar", os.environ["AGENT_JAR"], "-url", controller.url, "-name", agent]
    command += ["-secret", broker.secrets[agent], "-webSocket", "-noReconnectAfter", "10s", "-workDir", str(tmp_path)]
    wait_for("its node is there", lambda: agent in controller.nodes())
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        [build] = controller.finished(name, 1)
        assert (build["result"], build["builtOn"]) == ("SUCCESS", agent)
        wait_for(
            "the node is gone, and the broker told", lambda: not controller.nodes() and broker.times("ReleaseAgents")
        )
    finally:
        process.kill()
        process.wait()
    files = f"the files in Jenkins are of version 0.1.0, the broker is {version}"
    connected, told = lines(controller, name)
    assert connected.startswith(f"connected to 127.0.0.1:{broker.port} (broker {version}")
    assert told == f"{files}: {words}"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("refusing", REFUSAL),
        (
            "other",
            "api_version 2 of the broker 9.0.0 is not spoken by these files 0.1.0, which speak 1; "
            "run: agentbroker init jenkins",
        ),
    ],
)
def test_another_api_is_refused_in_one_line_and_asked_again_after_a_minute_only(
    controller: Controller, brokers: dict[str, FakeBroker], name: str, words: str
) -> None:
    broker = brokers[name]
    [line] = lines(controller, name)
    assert line == f"127.0.0.1:{broker.port} refused us ({words}); Jenkins goes on without it, next try in 60 s"
    time.sleep(max(0.0, 15 - (time.monotonic() - broker.times("Handshake")[0])))
    assert len(broker.times("Handshake")) <= 1 + (time.monotonic() - broker.times("Handshake")[0]) // 60
    assert broker.times("SyncNodes") == []
    clouds = controller.script("jenkins.model.Jenkins.get().clouds.each { println it.name }").split()
    assert sorted(clouds) == ["far", "newer", "older"]
    assert controller.lines("", "SEVERE") == []
