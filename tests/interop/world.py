"""Broker, gateway and a real controller, all of whose ways in are open, and real agents: one way at a time."""

import base64
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from broker.demo.leftovers import marked_processes
from broker.demo.ports import free_port
from broker.demo.sim.plans import Transport
from broker.demo.stack import CONTROLLER
from broker.gateway.identity import load_identity
from tests.interop.agent_port import AgentPort
from tests.jenkins.controller import wait_for
from tests.jenkins.policies import FLEET, reload
from tests.jenkins.rig import LABEL, Rig


@dataclass(frozen=True, slots=True)
class Way:
    """How agents reach the gateway, and it the controller."""

    agents: Transport
    controllers: Transport

    def __str__(self) -> str:
        return f"{self.agents.value}-{self.controllers.value}"


WAYS = tuple(Way(agents, controllers) for agents in Transport for controllers in Transport)


class World(Rig):
    """A rig whose gateway and controller can be reached over TCP too; `take` says what agents started next use."""

    def __init__(self, root: Path, **options: Any) -> None:
        super().__init__(root, **options)
        self.agent_port = AgentPort(self.controller, root / "identity")
        self.tcp_port = free_port()
        """Of the gateway."""
        config = self.config()
        config["gateway"]["tcp"] = {"listen": f"127.0.0.1:{self.tcp_port}"}
        self.write(config)

    def config(self) -> Any:
        return yaml.safe_load(self.stack.config_file.read_text())

    def write(self, config: Any) -> None:
        self.stack.config_file.write_text(yaml.safe_dump(config, sort_keys=False))

    def take(self, way: Way) -> None:
        """From now on; the broker runs."""
        config = self.config()
        config["gateway"]["prefer"] = way.agents.value
        config["controllers"][CONTROLLER]["agents"] = way.controllers.value
        self.write(config)
        reload(self)

    def run(self, job: str, command: str, seconds: float = 60) -> dict[str, Any]:
        """The build of a new job, once it has ended."""
        self.controller.create_job(job, LABEL, command)
        self.controller.build(job)
        return self.controller.finished(job, 1, seconds)[0]

    def an_idle_agent(self) -> str:
        """The name of an agent that was launched by hand, is online and waits for a build."""
        name = self.controller.script(FLEET + f"print fleet.launch(fleet.policyNamed('{LABEL}'), 'ana').nodeName")
        wait_for(f"{name} is online", lambda: name in self.noted("online"))
        return name

    def pids_of(self, name: str) -> list[int]:
        """The JVMs of an agent."""
        known = marked_processes(self.stack.search.marker)
        words = {pid: Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") for pid in known}
        return [pid for pid, said in words.items() if b"-jar" in said and name.encode() in said]

    def end(self, name: str) -> None:
        """Returns once an agent is no node any more; one that is none already is a success."""
        self.controller.script(f"jenkins.model.Jenkins.get().getNode('{name}')?.terminate()")
        wait_for(f"{name} is gone", lambda: name not in self.controller.nodes())

    def on(self, name: str, groovy: str) -> Any:
        """What a script gives that runs in the JVM of an agent, where `channel` leads to the controller."""
        inner = f"def channel = hudson.remoting.Channel.current()\n{groovy}"
        return json.loads(self.controller.script(_IN_JVM % (json.dumps(inner).replace("$", "\\$"), name), seconds=120))

    def said_by(self, name: str) -> str:
        """All that the JVMs of an agent have said."""
        return "\n".join(text for text in self.agent_texts() if f"Setting up agent: {name}\n" in text)

    def relayed(self, name: str) -> tuple[int, int]:
        """Bytes from an agent and to it in its last session, which has ended, as the gateway's log tells."""
        ended = wait_for(f"the session of {name} is over", lambda: self.sessions_ended(name))[-1]
        received, sent = (int(re.findall(rf"{key}=(\d+)", ended)[0]) for key in ("received_bytes", "sent_bytes"))
        return received, sent

    def sessions_ended(self, name: str) -> list[str]:
        """A line for each."""
        return [line for line in self.gateway_log() if "session_closed" in line and name in line]

    def gateway_log(self) -> list[str]:
        """Its lines."""
        return (self.root / "gateway.log").read_text().splitlines()

    def broker_log(self) -> list[str]:
        """Its lines."""
        return (self.root / "broker.log").read_text().splitlines()

    def gateway_identity(self) -> str:
        """The key that its port shows, in base64."""
        spki = load_identity(self.root / "state" / "keys" / "gateway-identity.pem").spki
        return base64.b64encode(spki).decode()

    def explain(self, *what: str) -> str:
        """What `agentbroker explain` says."""
        return self.command("explain", *what, "--url", self.stack.http_url)

    def command(self, *words: str, code: int = 0) -> str:
        """What a command of ours prints."""
        command = [sys.executable, "-m", "broker", *words]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout


_IN_JVM = """
def inner = %s
def there = jenkins.model.Jenkins.get().getNode('%s').channel
print hudson.util.RemotingDiagnostics.executeGroovy('print groovy.json.JsonOutput.toJson({ ' + inner + '\\n}())', there)
"""
