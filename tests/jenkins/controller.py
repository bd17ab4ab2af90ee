"""A real controller in a directory of its own, on loopback, without security and setup wizard."""

import base64
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

PREPARE = """
import jenkins.model.Jenkins
Jenkins.get().crumbIssuer = null
Jenkins.get().numExecutors = 0
jenkins.model.JenkinsLocationConfiguration.get().url = '%s'
"""

JOB = """<project><description/><keepDependencies>false</keepDependencies>
<properties><hudson.model.ParametersDefinitionProperty><parameterDefinitions><hudson.model.StringParameterDefinition>
<name>n</name></hudson.model.StringParameterDefinition></parameterDefinitions></hudson.model.ParametersDefinitionProperty></properties>
<scm class="hudson.scm.NullSCM"/>{assigned}<disabled>false</disabled><triggers/>
<concurrentBuild>true</concurrentBuild><builders><hudson.tasks.Shell><command>{command}</command></hudson.tasks.Shell>
</builders><publishers/><buildWrappers/></project>"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(what: str, look: Callable[[], T], seconds: float = 60, every: float = 0.1) -> T:
    """The first true answer of `look`; an assertion with `what` after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        if answer := look():
            return answer
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(every)


class Controller:
    """Started and stopped any number of times; home and port stay."""

    def __init__(self, home: Path, *, java: str, war: Path, exploded: Path | None = None) -> None:
        self.home = home
        self.java = java
        self.war = war
        self.exploded = exploded or home / "war"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        self.process: subprocess.Popen[bytes] | None = None
        self.boots = 0
        self.user: tuple[str, str] | None = None
        """Name and password to ask with, once the test has secured it."""
        self.session: dict[str, str] = {}
        """Headers of a browser's session with its crumb, once `take_crumb` was called."""
        self.init("a_prepare", PREPARE % self.url)

    def init(self, name: str, script: str) -> None:
        """Lays an init script of the test down; its name becomes a class name."""
        folder = self.home / "init.groovy.d"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.groovy").write_text(script)

    @property
    def log_file(self) -> Path:
        return self.home.parent / f"{self.home.name}-{self.boots}.log"

    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def start(self) -> None:
        self.boots += 1
        options = ["-Xmx700m", "-Djava.awt.headless=true", "-Djenkins.install.runSetupWizard=false"]
        options += ["-Dhudson.model.UpdateCenter.never=true", "-Dhudson.model.DownloadService.never=true"]
        options += ["-Djenkins.model.Jenkins.slaveAgentPort=-1"]  # else it listens on all interfaces
        options += ["-Djenkins.websocket.pingInterval=4"]  # a stalled first frame was seen to wait for half of it
        command = [self.java, *options, "-jar", str(self.war), f"--webroot={self.exploded}"]
        command += ["--httpListenAddress=127.0.0.1", f"--httpPort={self.port}"]
        environment = {**os.environ, "JENKINS_HOME": str(self.home)}
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self.wait_until_up()

    def wait_until_up(self) -> None:
        wait_for("the controller is up", self.is_up, seconds=90)

    def is_up(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"the controller ended: {self.log()[-3000:]}"
        if "fully up and running" not in self.log():
            return False
        try:
            self.get("api/json")
        except (OSError, http.client.HTTPException):
            return False
        return True

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def _end(self, number: int) -> None:
        if self.process is None:
            return
        if self.process.poll() is None:
            os.kill(self.process.pid, number)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
        self.process = None

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self._request(path), timeout=20) as reply:
            return json.loads(reply.read())

    def _request(self, path: str, body: bytes | None = None, content_type: str = "") -> urllib.request.Request:
        request = urllib.request.Request(self.url + path, data=body, method="GET" if body is None else "POST")
        for header, value in self.session.items():
            request.add_header(header, value)
        if body is not None:
            request.add_header("Content-Type", content_type)
        if self.user:
            request.add_header("Authorization", "Basic " + base64.b64encode(":".join(self.user).encode()).decode())
        return request

    def take_crumb(self) -> None:
        """From now on no POST without a crumb; ours have one, as a browser's have."""
        self.script("jenkins.model.Jenkins.get().crumbIssuer = new hudson.security.csrf.DefaultCrumbIssuer(true)")
        with urllib.request.urlopen(self._request("crumbIssuer/api/json"), timeout=20) as reply:
            cookies = [cookie.partition(";")[0] for cookie in reply.headers.get_all("Set-Cookie") or []]
            crumb = json.loads(reply.read())
        self.session = {"Cookie": "; ".join(cookies), crumb["crumbRequestField"]: crumb["crumb"]}

    def page(self, path: str) -> str:
        """What a person sees at a path; raises urllib.error.HTTPError."""
        with urllib.request.urlopen(self._request(path), timeout=30) as reply:
            return str(reply.read().decode())

    def press(self, path: str, **fields: str) -> None:
        """Sends a form, as a button does."""
        self.post(path, urllib.parse.urlencode(fields).encode())

    def version(self) -> str:
        with urllib.request.urlopen(self._request("api/json"), timeout=20) as reply:
            return str(reply.headers["X-Jenkins"])

    def post(
        self, path: str, body: bytes = b"", content_type: str = "application/x-www-form-urlencoded", seconds: float = 30
    ) -> str:
        try:
            with urllib.request.urlopen(self._request(path, body, content_type), timeout=seconds) as reply:
                return str(reply.read().decode())
        except urllib.error.HTTPError as error:
            if error.code in {301, 302, 303}:
                return ""
            raise AssertionError(f"{path}: {error.code} {error.read()[:40_000]!r}") from error

    def script(self, groovy: str, seconds: float = 30) -> str:
        """What a script prints, run in the script console."""
        body = urllib.parse.urlencode({"script": groovy + "\nnull"}).encode()
        return self.post("scriptText", body, seconds=seconds).strip()

    def create_job(self, name: str, label: str | None, command: str = "true") -> None:
        assigned = "<canRoam>true</canRoam>"
        if label is not None:
            escaped = label.replace("&", "&amp;")
            assigned = f"<assignedNode>{escaped}</assignedNode><canRoam>false</canRoam>"
        shell = command.replace("&", "&amp;").replace("<", "&lt;")
        body = JOB.format(assigned=assigned, command=shell)
        self.post(f"createItem?name={name}", body.encode(), "application/xml")

    def build(self, job: str, times: int = 1) -> None:
        """Queues builds that do not merge into one another, at one moment."""
        self.script(
            "import hudson.model.*\n"
            f"def job = jenkins.model.Jenkins.get().getItem('{job}')\n"
            "def unique = { new ParametersAction(new StringParameterValue('n', UUID.randomUUID().toString())) }\n"
            f"{times}.times {{ job.scheduleBuild2(0, new Cause.UserIdCause(), unique()) }}"
        )

    def builds(self, job: str) -> list[dict[str, Any]]:
        reply = self.get(f"job/{job}/api/json?tree=builds[number,result,builtOn,duration]")
        return sorted(reply["builds"], key=lambda build: int(build["number"]))

    def finished(self, job: str, count: int, seconds: float = 120) -> list[dict[str, Any]]:
        """The builds of a job once `count` have ended."""

        def look() -> list[dict[str, Any]]:
            builds = self.builds(job)
            return builds if sum(build["result"] is not None for build in builds) >= count else []

        return wait_for(f"{count} builds of {job} have ended", look, seconds, every=0.3)

    def console(self, job: str, number: int) -> str:
        with urllib.request.urlopen(self._request(f"job/{job}/{number}/consoleText"), timeout=20) as reply:
            return str(reply.read().decode())

    def node_log(self, name: str) -> str:
        """What a node's log page shows; empty once the node is gone."""
        try:
            with urllib.request.urlopen(self._request(f"computer/{name}/logText/progressiveText"), timeout=20) as reply:
                return str(reply.read().decode()).replace("\r\n", "\n")
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            return ""

    def nodes(self) -> dict[str, dict[str, Any]]:
        """All computers but the built-in node, by name: what is behind a colon is how far an agent of ours is."""
        reply = self.get("computer/api/json?tree=computer[displayName,offline,offlineCauseReason,idle]")
        return {c["displayName"].partition(":")[0]: c for c in reply["computer"] if c["displayName"] != "Built-In Node"}

    def queue(self) -> int:
        return len(self.get("queue/api/json?tree=items[id]")["items"])

    def add_static_node(self, name: str, label: str) -> str:
        """Makes a node that an agent of the test connects to; returns its secret."""
        return self.script(
            "import hudson.slaves.*; import jenkins.model.Jenkins\n"
            f"def node = new DumbSlave('{name}', '{self.home.parent}/{name}', new JNLPLauncher())\n"
            f"node.labelString = '{label}'; node.numExecutors = 1; node.mode = hudson.model.Node.Mode.EXCLUSIVE\n"
            "Jenkins.get().addNode(node); print node.toComputer().jnlpMac"
        )

    def lines(self, logger: str, *levels: str) -> list[str]:
        """The lines of a logger at these levels in the log of the current boot; all levels if none is given."""
        found = re.findall(r"^\d{4}-.*?\[id=\d+\]\s+(\w+)\s+(\S+?)[:#](.*)$", self.log(), re.M)
        return [text.strip() for level, name, text in found if logger in name and (not levels or level in levels)]
