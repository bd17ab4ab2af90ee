"""A real controller for the demo: a fresh JENKINS_HOME with our files in it, or one that runs already."""

import subprocess
import sys
import time
import urllib.error
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote
from xml.sax.saxutils import escape

from broker.demo.controllers import BuildView
from broker.demo.http import Client
from broker.demo.processes import Child, DemoFailed
from broker.demo.secured import ClientTls
from broker.demo.stack import QUICK_JVM

_BOOT_S: Final = 300.0
_JVM: Final = (
    *QUICK_JVM,
    "-Djava.awt.headless=true",
    "-Djenkins.install.runSetupWizard=false",
    "-Djenkins.model.Jenkins.slaveAgentPort=-1",  # a fresh home opens that port on all interfaces
    "-Djenkins.websocket.pingInterval=4",
    "-Dhudson.model.UpdateCenter.never=true",
    "-Dhudson.model.UsageStatistics.disabled=true",
)
_TREE: Final = "api/json?tree=jobs[name,lastBuild[result,builtOn,timestamp]]"
_JOB: Final = """\
<?xml version="1.1" encoding="UTF-8"?>
<project>
  <assignedNode>{label}</assignedNode>
  <canRoam>false</canRoam>
  <builders><hudson.tasks.Shell><command>sleep {seconds:g}</command></hudson.tasks.Shell></builders>
</project>
"""


class JenkinsOverHttp:
    """A controller that runs already and has our files: one freestyle job a build, made and started over HTTP.

    Anonymous must be allowed to do that, as it is where the setup wizard was switched off.
    """

    kind = "jenkins"

    def __init__(self, url: str) -> None:
        """`url` ends in a slash. The jobs stay, named after the time, for people to look at."""
        self._prefix = f"demo-{int(time.time())}"
        self.url = url
        self._client = Client()
        self._queued: dict[str, float] = {}

    def start(self) -> None:
        """Checks that it answers."""
        if self._client.status(self.url + "login") != 200:
            raise DemoFailed(f"no Jenkins answers at {self.url}login")

    def queue(self, count: int, *, label: str, seconds: float) -> None:
        """Makes jobs, and starts each at once."""
        headers = self._crumb()
        for _ in range(count):
            name = f"{self._prefix}-{len(self._queued) + 1}"
            job = _JOB.format(label=escape(label), seconds=seconds).encode()
            self._client.post(
                f"{self.url}createItem?name={quote(name)}", job, {**headers, "Content-Type": "application/xml"}
            )
            self._queued[name] = time.time()
            self._client.post(f"{self.url}job/{quote(name)}/build?delay=0sec", b"", headers)

    def _crumb(self) -> dict[str, str]:
        try:
            crumb = self._client.get_json(self.url + "crumbIssuer/api/json")
        except urllib.error.HTTPError:
            return {}  # no crumbs are issued, so none is asked for
        return {str(crumb["crumbRequestField"]): str(crumb["crumb"])}

    def builds(self) -> list[BuildView]:
        """The builds of the jobs that were made here."""
        last = {job["name"]: job["lastBuild"] or {} for job in self._client.get_json(self.url + _TREE)["jobs"]}
        return [
            BuildView(
                name=name,
                node=last.get(name, {}).get("builtOn", ""),
                queued_at=queued_at,
                started_at=last[name]["timestamp"] / 1000 if last.get(name) else None,
                result=last.get(name, {}).get("result"),
            )
            for name, queued_at in self._queued.items()
        ]

    def children(self) -> list[Child]:
        """None: somebody else started it."""
        return []


class JenkinsFromWar(JenkinsOverHttp):
    """A fresh controller, run from its war with the setup wizard off and our files in its home."""

    def __init__(  # noqa: PLR0913  # what a war is run with, once
        self,
        war: Path,
        *,
        java: str,
        home: Path,
        port: int,
        broker: str,
        token_file: Path,
        environment: Mapping[str, str],
        tls: ClientTls | None = None,
    ) -> None:
        """`broker` is host:port of the API, plaintext without `tls`."""
        super().__init__(f"http://127.0.0.1:{port}/")
        self._prefix = "demo"
        self._war, self._java, self._home, self._port = war, java, home, port
        self._broker, self._token_file, self._environment = broker, token_file, environment
        self._tls = tls
        self._child: Child | None = None

    def start(self) -> None:
        """Installs our files, boots, and returns when the log says that the Cloud has shaken hands."""
        self._install()
        command = [self._java, *_JVM, "-jar", str(self._war)]
        command += [f"--httpPort={self._port}", "--httpListenAddress=127.0.0.1"]
        environment = {**self._environment, "JENKINS_HOME": str(self._home)}
        self._child = Child("jenkins", command, self._home.parent / "jenkins.log", environment)
        self._child.wait_until(self._is_connected, seconds=_BOOT_S)

    def _install(self) -> None:
        self._home.mkdir(mode=0o700, exist_ok=True)
        command = [sys.executable, "-m", "broker", "init", "jenkins", "--home", str(self._home)]
        command += ["--broker", self._broker, "--token-file", str(self._token_file)]
        if self._tls is not None:
            own = self._tls.pair
            command += ["--tls", "--ca", str(self._tls.ca), "--cert", str(own.certificate), "--key", str(own.key)]
        done = subprocess.run(command, env=dict(self._environment), capture_output=True, text=True, check=False)
        if done.returncode:
            raise DemoFailed(f"agentbroker init jenkins ended with {done.returncode}:\n{done.stdout}{done.stderr}")

    def _is_connected(self) -> bool:
        said = self._child.log.read_text(errors="replace") if self._child else ""
        return "agentbroker: connected" in said and self._client.status(self.url + "login") == 200

    def children(self) -> list[Child]:
        """Its JVM."""
        return [self._child] if self._child else []
