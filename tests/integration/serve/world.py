"""`agentbroker serve --no-gateway` as a process of its own, on ports that the system chooses."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

START_S = 90.0
"""Long for a busy machine; a start takes about a second."""


def config(root: Path, **server: Any) -> dict[str, Any]:
    """A small config with a pool of processes; `server` replaces keys of that noun."""
    listening = {"http": {"listen": "127.0.0.1:0"}, "grpc": {"listen": "127.0.0.1:0"}}
    return {
        "version": 1,
        "server": {**listening, "state_dir": str(root / "state"), "shutdown_grace": "5s", **server},
        "controllers": {"main": {"url": "http://127.0.0.1:9/", "token_sha256": "0" * 64}},
        "gateway": {"websocket": {"listen": "127.0.0.1:0"}},
        "pools": {"here": {"backend": "process"}},
        "policies": {"linux": {"labels": ["linux"], "pools": ["here"]}},
    }


def write(root: Path, content: Mapping[str, Any] | str, name: str = "broker.yaml") -> Path:
    path = root / name
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(dict(content)))
    path.chmod(0o600)
    return path


class Server:
    """A started control plane; everything that it says goes to one file."""

    def __init__(self, path: Path, *, gateway: bool = False, **environment: str) -> None:
        self.log = path.with_suffix(f".{time.monotonic_ns()}.log")
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "broker",
                    "serve",
                    *([] if gateway else ["--no-gateway"]),
                    "--config",
                    str(path),
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
            )
        self.grpc_port = self.http_port = 0

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)

    def end_gateway(self) -> None:
        """Kills the gateway that it has left behind, with its workers: for a test that has failed."""
        file = self.log.parent / "state" / "gateway.json"
        if file.exists():
            with suppress(ProcessLookupError):
                os.killpg(json.loads(file.read_text())["pid"], signal.SIGKILL)

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def started(self) -> "Server":
        """Returns once it serves."""
        deadline = time.monotonic() + START_S
        while not (found := re.search(r"serves controllers on [^:]+:(\d+), http on [^:]+:(\d+)", self.said())):
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.05)
        self.grpc_port, self.http_port = int(found[1]), int(found[2])
        return self

    def refused(self) -> tuple[int, str]:
        """Its exit code and all that it said; for one that shall not start."""
        return self.process.wait(START_S), self.said()

    def terminate(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, float]:
        """The exit code, and the seconds until it was there."""
        started = time.monotonic()
        self.process.send_signal(number)
        return self.process.wait(START_S), time.monotonic() - started

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of a page."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}/{path}", timeout=10) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
