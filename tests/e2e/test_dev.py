import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import grpc
import yaml

from broker.demo.leftovers import marked_processes
from broker.demo.stack import RUN_MARK
from broker.wire.v1.agents_pb2 import HandshakeRequest
from broker.wire.v1.agents_pb2_grpc import AgentsStub
from tests.e2e.world import until

DEV = [sys.executable, "-m", "broker", "dev", "--controller", "simulated"]


def test_twelve_builds_run_on_an_agent_each_and_nothing_is_left() -> None:
    done = subprocess.run(
        [*DEV, "--builds", "12", "--exit", "-o", "json"], capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["controller"], told["builds"], told["succeeded"]) == ("simulated", 12, 12)
    assert (told["agents_launched"], told["over_provision_ratio"]) == (12, 1.0)
    assert set(told["left_behind"].values()) == {0}
    assert 0 < told["startup_seconds"]["p50"] <= told["startup_seconds"]["p95"]


def test_a_demo_that_is_told_to_end_takes_everything_with_it(tmp_path: Path) -> None:
    output, state = tmp_path / "output", tmp_path / "state"
    with output.open("wb") as file:
        options = ["--builds", "2", "--build-seconds", "300", "--state-dir", str(state)]
        dev = subprocess.Popen([*DEV, *options], stdout=file, stderr=file)
    until(lambda: output.read_text().count("running on") == 2)
    config = yaml.safe_load((state / "broker.yaml").read_text())
    run_id = config["templates"]["default"]["env"][RUN_MARK]
    assert config["gateway"]["tls"]["cert_file"].startswith(str(state))
    assert how_it_ends(config, state, "controller-demo") == "OK"
    assert how_it_ends(config, state, None) == "UNAVAILABLE", "a token without a certificate is not enough"
    assert len(marked_processes(f"{RUN_MARK}={run_id}")) >= 5, "broker, gateway, controller and two agents"
    dev.send_signal(signal.SIGTERM)
    dev.send_signal(signal.SIGINT)  # somebody is impatient
    assert dev.wait(40) == 130
    assert marked_processes(f"{RUN_MARK}={run_id}") == []


def how_it_ends(config: dict[str, Any], state: Path, client: str | None) -> str:
    """The status of a handshake with the right token, over TLS, with the certificate of a client if one is named."""
    tls = state / "tls"
    own = [(tls / f"{client}.{kind}").read_bytes() if client else None for kind in ("key", "crt")]
    trusting = grpc.ssl_channel_credentials((tls / "ca.crt").read_bytes(), *own)
    bearer = [("authorization", f"Bearer {(state / 'token').read_text()}")]
    with grpc.secure_channel(config["server"]["grpc"]["listen"], trusting) as channel:
        stub = AgentsStub(channel)  # type: ignore[no-untyped-call] # generated
        try:
            stub.Handshake(HandshakeRequest(api_version=1, boot_id="another"), metadata=bearer, timeout=10)
        except grpc.RpcError as error:
            return str(error.code().name)
        return "OK"
