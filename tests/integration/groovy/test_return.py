"""A broker that comes back after some time is found by the client at once: nothing in between has pauses of its own."""

import subprocess
import time
from pathlib import Path

import pytest

from tests.integration.groovy.double import GROOVY, World

pytestmark = [pytest.mark.component("groovy"), pytest.mark.timeout(180)]

SCRIPT = """
import io.agentbroker.client.*
def (target, token) = args as List
def client = BrokerClient.connect(target, false, '', '', '', token, 5000)
while (true) {
    try {
        client.handshake('2.568.2', 'http://127.0.0.1/', 'boot-1', [:])
        println "in ${System.currentTimeMillis()}"
        System.exit(0)
    } catch (BrokerException error) {
        println "away"
        sleep 250
    }
}
"""
AWAY_S = 20.0
"""Long enough that pauses which grow by half each time are seconds long: of gRPC's own channels they are."""
SOON_S = 2.0


def test_a_broker_that_was_away_for_long_is_found_as_soon_as_it_is_asked_again(tmp_path: Path) -> None:
    world = World(tmp_path / "world")
    script = tmp_path / "ask.groovy"
    script.write_text(SCRIPT)
    class_path = f"{GROOVY / 'target/test-lib'}/*:{GROOVY / 'target/agentbroker-client.jar'}"
    arguments = [f"127.0.0.1:{world.stack.ports.grpc}", str(world.stack.token_file)]
    with subprocess.Popen(
        ["java", "-cp", class_path, "groovy.ui.GroovyMain", str(script), *arguments], stdout=subprocess.PIPE, text=True
    ) as client:
        try:
            time.sleep(AWAY_S)
            world.stack.start_broker()
            back = time.time()
            said, _ = client.communicate(timeout=60)
            *away, let_in = said.split("\n")[:-1]
            assert set(away) == {"away"}
            assert int(let_in.removeprefix("in ")) / 1000 - back < SOON_S
        finally:
            client.kill()
            world.stop()
