"""The scripts of the Jenkins side on real Groovy, in a double of Jenkins, against the real broker."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from broker.demo.agent import LAUNCH_LOG
from broker.demo.leftovers import directories_in, end, marked_processes
from broker.demo.stack import Ports, Stack

GROOVY = Path(__file__).parents[3] / "groovy"
CLASS_PATH = f"{GROOVY / 'target/test-classes'}:{GROOVY / 'target/test-lib'}/*"
# Counts its launch by its name, and sleeps.
AGENT = f'while [ "$1" != -name ]; do shift; done; echo "$2" >> "${LAUNCH_LOG}"; exec sleep 300'
T = TypeVar("T")


def until(what: str, look: Callable[[], T], seconds: float = 30) -> T:
    """The first true answer of `look`; an assertion with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (answer := look()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.05)
    return answer


class Double:
    """One controller that is none: obeys lines, and tells its nodes. See Driver.java."""

    def __init__(self, home: Path, log: Path) -> None:
        self._log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                ["java", "-XX:TieredStopAtLevel=1", "-cp", CLASS_PATH, "io.agentbroker.testing.Driver", str(home)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
            )

    def tell(self, *words: object) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\t".join(map(str, words)) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, f"the double has ended: {self.log()[-2000:]}"
        return json.loads(answer)

    def nodes(self) -> dict[str, dict[str, Any]]:
        return dict(self.tell("state")["nodes"])

    def node_log(self, name: str) -> list[str]:
        return str(self.tell("log", name)).splitlines()

    def log(self) -> str:
        return self._log.read_text()

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


class World:
    """Broker and gateway, agents that are programs which only sleep, and a double with our files."""

    def __init__(self, root: Path, agent: str = AGENT, **policy: object) -> None:
        self.root = root
        command = ["/bin/sh", "-c", agent.replace("$", "$$"), "agent"]
        pool = {"command": command, "limits": {"pending": 100, "agents": 100}}
        ports = Ports()
        self.stack = Stack(
            root=root,
            controller_url=f"http://127.0.0.1:{ports.controller}/",
            pools={"linux": pool},
            ports=ports,
            overrides={"labels": ["linux", "docker"], **policy},
        )
        self.double: Double | None = None

    def start(self) -> Double:
        (self.root / "home").mkdir()
        return self.start_in_home()

    def start_in_home(self) -> Double:
        """As `start`, in a home that is there."""
        self.stack.start_broker()
        home = self.root / "home"
        command = [sys.executable, "-m", "broker", "init", "jenkins", "--home", str(home)]
        command += ["--broker", f"127.0.0.1:{self.stack.ports.grpc}", "--token-file", str(self.stack.token_file)]
        subprocess.run(command, check=True, capture_output=True)
        return self.start_double()

    def start_double(self) -> Double:
        self.double = double = Double(self.root / "home", self.root / "double.log")
        until("it has its cloud", lambda: double.tell("state")["clouds"])
        return double

    def stop(self) -> None:
        if self.double:
            self.double.kill()
        self.stack.stop()
        end(marked_processes(self.stack.search.marker))

    def agents(self) -> int:
        """How many agents there are: each has a directory while it lives."""
        return directories_in(self.stack.search.agents_root)
