"""A broker of another version: two minor versions apart all works, and another API is refused in words."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.groovy.double import Double, until
from tests.integration.groovy.fake_broker import FakeBroker

pytestmark = [pytest.mark.component("groovy"), pytest.mark.timeout(120)]

FILES = "agentbroker: the files in Jenkins are of version 0.1.0, the broker is"
Meet = Callable[[FakeBroker], Double]


@pytest.fixture
def meet(tmp_path: Path) -> Iterator[Meet]:
    """A double of Jenkins whose broker is that one; both end with the test."""
    started: list[FakeBroker | Double] = []

    def start(broker: FakeBroker) -> Double:
        started.append(broker)
        (tmp_path / "home").mkdir()
        command = [sys.executable, "-m", "broker", "init", "jenkins", "--home", str(tmp_path / "home")]
        subprocess.run([*command, "--broker", f"127.0.0.1:{broker.port}"], check=True, capture_output=True)
        double = Double(tmp_path / "home", tmp_path / "double.log")
        started.append(double)
        return double

    try:
        yield start
    finally:
        for one in reversed(started):
            one.stop() if isinstance(one, FakeBroker) else one.kill()


def lines(double: Double) -> list[str]:
    """What the system log says, with its level."""
    return [line for line in double.log().splitlines() if "agentbroker: " in line]


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("0.1.9", None),
        ("0.2.0", f"INFO: {FILES} 0.2.0: they work together"),
        ("0.3.1", f"INFO: {FILES} 0.3.1: they work together"),
        ("0.4.0", f"WARNING: {FILES} 0.4.0: so far apart"),
        ("1.0.0", f"WARNING: {FILES} 1.0.0: so far apart"),
        ("0.0.1", f"INFO: {FILES} 0.0.1: they work together"),
        ("main-4f1c", None),
    ],
)
def test_a_broker_of_another_version_that_lacks_newer_calls_serves_and_one_line_says_how_far_apart_they_are(
    meet: Meet, version: str, words: str | None
) -> None:
    broker = FakeBroker(version=version)
    double = meet(broker)
    until("it has its cloud", lambda: double.tell("state")["clouds"])
    double.tell("queue", "linux", 1)
    [name] = until("there is a node", lambda: [name for name, node in double.nodes().items() if node["connecting"]])
    double.tell("online", name)
    until("the build runs", lambda: double.nodes()[name]["busy"])
    double.tell("finish", name)
    until("the node is gone, and the broker told", lambda: not double.nodes() and broker.times("ReleaseAgents"))
    first, *more = lines(double)
    assert f"connected to 127.0.0.1:{broker.port} (broker {version}" in first
    if words is None:
        assert more == []
    else:
        [line] = more
        assert line.startswith(words)
        fix = "upgrade the broker" if version < "0.1.0" else "run `agentbroker init jenkins` again and restart Jenkins"
        assert line.endswith(fix)


REFUSAL = "api_version 1 is not spoken here, this broker 9.0.0 speaks 2; run: agentbroker init jenkins"


@pytest.mark.parametrize(
    ("broker", "words"),
    [
        ({"refuses": REFUSAL}, REFUSAL),
        (
            {"api_version": 2, "version": "9.0.0"},
            "api_version 2 of the broker 9.0.0 is not spoken by these files 0.1.0",
        ),
    ],
)
def test_another_api_is_refused_in_one_line_with_the_fix_and_without_a_storm_of_tries(
    meet: Meet, broker: dict[str, object], words: str
) -> None:
    fake = FakeBroker(**broker)  # type: ignore[arg-type]  # what a case of the table says
    double = meet(fake)
    until("it is refused", lambda: lines(double))
    double.tell("queue", "linux", 2)
    time.sleep(5)
    assert len(fake.times("Handshake")) == 1, "tries again at once"
    [line] = lines(double)
    assert line.startswith(f"WARNING: agentbroker: 127.0.0.1:{fake.port} refused us ({words}")
    assert "run: agentbroker init jenkins" in line
    assert line.endswith("Jenkins goes on without it, next try in 60 s")
    assert double.tell("state")["waiting"] == 2
    assert (fake.times("SyncNodes"), fake.times("RequestAgents")) == ([], [])
