"""`agentbroker gateway` refuses what it would not do."""

import subprocess
import sys
from pathlib import Path

SMALL = """
version: 1
controllers:
  main: {{ url: "http://127.0.0.1:8080/", token_sha256: {token} }}
pools: {{ here: {{ backend: process }} }}
policies: {{ linux: {{ labels: [linux], pools: [here] }} }}
server: {{ state_dir: {state} }}
gateway: {{ websocket: {{ listen: "127.0.0.1:0" }}{more} }}
"""


def run_gateway(tmp_path: Path, more: str) -> subprocess.CompletedProcess[str]:
    config = tmp_path / "broker.yaml"
    config.write_text(SMALL.format(token="a" * 64, state=tmp_path / "state", more=more))
    command = [sys.executable, "-m", "broker", "gateway", "--config", str(config)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_an_invalid_config_ends_with_the_code_of_an_invalid_config(tmp_path: Path) -> None:
    ended = run_gateway(tmp_path, ", websockt: {}")
    assert ended.returncode == 3
    assert "did you mean 'websocket'?" in ended.stderr
