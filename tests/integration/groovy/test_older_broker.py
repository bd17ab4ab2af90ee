"""Today's client jar at a broker of an older API: what it lacks is said, and harms nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from broker.demo.files import write_private
from tests.integration.groovy.double import GROOVY

pytestmark = [pytest.mark.component("groovy"), pytest.mark.timeout(120)]

SKEW = Path(__file__).parents[1] / "rpc" / "skew"
SCRIPT = """
import io.agentbroker.client.*
def (target, token) = args as List
def client = BrokerClient.connect(target, false, '', '', '', token, 5000)
def greet = {
    def reply = client.handshake('2.568.2', 'http://127.0.0.1/', 'boot-1', [agent_port: 50000])
    println "${reply.controller} [${reply.agent_page}]"
}
greet()
try { client.describeFleet(1000) } catch (BrokerException error) { println error.code }
greet()
client.close()
"""


def test_a_call_that_an_older_broker_lacks_is_told_as_such_and_the_connection_stays(tmp_path: Path) -> None:
    command = ["-m", "grpc_tools.protoc", f"-I{SKEW}", f"--python_out={tmp_path}", f"--grpc_python_out={tmp_path}"]
    subprocess.run([sys.executable, *command, "older_agents.proto"], cwd=SKEW, check=True)
    write_private(tmp_path / "token", "token")
    (tmp_path / "say.groovy").write_text(SCRIPT)
    environment, pipe = {**os.environ, "PYTHONPATH": str(tmp_path)}, subprocess.PIPE
    older = [sys.executable, str(SKEW / "older_broker.py")]
    with subprocess.Popen(older, stdin=pipe, stdout=pipe, env=environment, text=True) as broker:
        assert broker.stdout is not None
        port = broker.stdout.readline().strip()
        class_path = f"{GROOVY / 'target/test-lib'}/*:{GROOVY / 'target/agentbroker-client.jar'}"
        java = ["java", "-cp", class_path, "groovy.ui.GroovyMain", str(tmp_path / "say.groovy")]
        done = subprocess.run(
            [*java, f"127.0.0.1:{port}", str(tmp_path / "token")], capture_output=True, text=True, check=False
        )
        broker.kill()
    assert done.stdout.splitlines() == ["main []", "UNIMPLEMENTED", "main []"], done.stderr
