"""`agentbroker dev` as a process, and the commands that people type beside it."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.world import until

DEV = [sys.executable, "-m", "broker", "dev", "--controller", "simulated", "--builds", "0"]


class Dev:
    """The demo and the command line beside it."""

    def __init__(self, state: Path, *options: str) -> None:
        self.state = state
        self.output = state.with_suffix(".log")
        with self.output.open("wb") as file:
            self.process = subprocess.Popen([*DEV, *options, "--state-dir", str(state)], stdout=file, stderr=file)
        until(lambda: "running until" in self.output.read_text())
        found = re.search(r"status page (http://\S+?)/\s", self.output.read_text())
        assert found is not None, self.output.read_text()
        self.url = found[1]

    def run(self, *arguments: str) -> tuple[int, str]:
        """Exit code and all that was printed."""
        environment = {**os.environ, "AGENTBROKER_URL": self.url, "COLUMNS": "200"}
        command = [sys.executable, "-m", "broker", *arguments]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=120, check=False, stdin=subprocess.DEVNULL
        )
        return done.returncode, done.stdout + done.stderr

    def says(self, *arguments: str) -> str:
        code, out = self.run(*arguments)
        assert code == 0, (arguments, out)
        return out

    def config(self) -> dict[str, Any]:
        found: dict[str, Any] = yaml.safe_load((self.state / "broker.yaml").read_text())
        return found

    def launches(self) -> int:
        """How many instances were ever made: each process notes its start."""
        log = self.state / "launches.log"
        return len(log.read_text().splitlines()) if log.exists() else 0

    def stop(self) -> None:
        """Ends it; one that has ended stays so."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
