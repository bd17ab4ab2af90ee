"""Broker and gateway of a demo, in a directory of their own: config, token, ports, processes."""

import hashlib
import os
import secrets
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import yaml

from broker.demo.agent import LAUNCH_LOG
from broker.demo.files import write_private
from broker.demo.http import status
from broker.demo.leftovers import Search
from broker.demo.ports import free_port
from broker.demo.processes import Child
from broker.demo.secured import Secured

RUN_MARK: Final = "AGENTBROKER_DEV_RUN"
"""Environment variable that every process of one run carries, its agents and their builds too."""
CONTROLLER: Final = "demo"
SIMULATED_AGENT: Final = (sys.executable, "-m", "broker.demo.agent")

QUICK_JVM: Final = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
"""Options that make a short-lived JVM start sooner."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Ports on 127.0.0.1."""

    http: int = field(default_factory=free_port)
    grpc: int = field(default_factory=free_port)
    agents: int = field(default_factory=free_port)
    controller: int = field(default_factory=free_port)

    @classmethod
    def beginning_at(cls, port: int) -> "Ports":
        """The ports that the example config has, moved: page, API, agents; the controller comes last."""
        return cls(http=port, grpc=port + 1, agents=port + 3, controller=port + 10)


@dataclass(slots=True, kw_only=True)
class Stack:
    """Everything of one run beside its controller. `pools` holds the options of a pool by its label."""

    root: Path
    controller_url: str
    pools: Mapping[str, Mapping[str, object]]
    ports: Ports = field(default_factory=Ports)
    run_id: str = field(default_factory=lambda: f"run-{secrets.token_hex(8)}")  # a text to YAML, whatever the digits
    token: str = field(default_factory=lambda: secrets.token_hex(32))
    overrides: Mapping[str, object] = field(default_factory=dict)
    """Keys of every policy, such as timeouts."""
    others: Mapping[str, str] = field(default_factory=dict)
    """More controllers by name, with their URLs."""
    controller_keys: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    """More keys of controllers by name, such as `path`."""
    secured: Secured | None = None
    """TLS; without it all is plaintext on loopback."""
    known_nodes: frozenset[str] = frozenset()
    """Nodes that the controller had before the run."""
    broker_module: str = "broker"
    """What the control plane is run with: a test may put a module of its own around the command."""
    broker: Child | None = None
    gateway: Child | None = None

    def __post_init__(self) -> None:
        """Writes the config and the token; of a run before it keeps the token and forgets the launches."""
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self.token_file.exists():
            self.token = self.token_file.read_text().strip()
        self.launch_log.unlink(missing_ok=True)
        write_private(self.token_file, self.token)
        for name in self.others:
            write_private(self.token_file_of(name), secrets.token_hex(32))
        write_private(self.config_file, yaml.safe_dump(self._config(), sort_keys=False))

    @property
    def token_file(self) -> Path:
        """The controller's token; 0600."""
        return self.root / "token"

    def token_file_of(self, controller: str) -> Path:
        """The token of any controller of the run; 0600."""
        return self.token_file if controller == CONTROLLER else self.root / f"token-{controller}"

    @property
    def config_file(self) -> Path:
        """The generated broker.yaml."""
        return self.root / "broker.yaml"

    @property
    def launch_log(self) -> Path:
        """One line for each agent that was started, written by the agents."""
        return self.root / "launches.log"

    @property
    def http_url(self) -> str:
        """Status page, metrics and health."""
        return f"http://127.0.0.1:{self.ports.http}/"

    @property
    def gateway_url(self) -> str:
        """What agents of the first controller dial."""
        return self.gateway_url_of(CONTROLLER)

    def gateway_url_of(self, controller: str) -> str:
        """What agents of a controller dial."""
        path = self.controller_keys.get(controller, {}).get("path", f"/c/{controller}/")
        return f"{'https' if self.secured else 'http'}://127.0.0.1:{self.ports.agents}{path}"

    @property
    def environment(self) -> dict[str, str]:
        """What every process of the run gets."""
        return {**os.environ, RUN_MARK: self.run_id, "PYTHONUNBUFFERED": "1"}

    @property
    def search(self) -> Search:
        """Where to look for what is left behind."""
        return Search(
            marker=f"{RUN_MARK}={self.run_id}",
            gateway_port=self.ports.agents,
            agents_root=self.agents_root,
            controller_url=self.controller_url,
            known_nodes=self.known_nodes,
            other_urls=tuple(self.others.values()),
            tasks=self.tasks_left,
            machines=self.machines_left,
        )

    @property
    def agents_root(self) -> Path:
        """Where each running agent has a directory."""
        return self.root / "state" / "process" / "process" / "agents"

    def told(self) -> list[str]:
        """What people may want to know of it beside its addresses, a line each; once it runs."""
        return []

    def check(self) -> None:
        """Raises DemoFailed for what is wrong and shows in no build: nothing here."""

    def tasks_left(self) -> int | None:
        """How many agents live in a cloud; None: there is no cloud."""
        return None

    def machines_left(self) -> int | None:
        """How many virtual machines live in a cloud; None: there is no such cloud."""
        return None

    @property
    def children(self) -> list[Child]:
        """The processes that were started, in the order in which they end."""
        return [child for child in (self.broker, self.gateway) if child]

    def start(self) -> None:
        """Starts both and returns when both answer; raises DemoFailed."""
        self.broker, self.gateway = self._broker(), self._gateway()
        self._wait_for_broker(self.broker)
        self._wait_for_gateway(self.gateway)

    def start_broker(self) -> None:
        """Starts the control plane alone; returns when it is ready."""
        self.broker = self._broker()
        self._wait_for_broker(self.broker)

    def start_gateway(self) -> None:
        """Starts the gateway alone; returns when it answers agents."""
        self.gateway = self._gateway()
        self._wait_for_gateway(self.gateway)

    def _broker(self) -> Child:
        return self._child("broker", "serve", "--no-gateway", module=self.broker_module)

    def _gateway(self) -> Child:
        return self._child("gateway", "gateway", ends_by=signal.SIGINT)

    def _wait_for_broker(self, child: Child) -> None:
        child.wait_until(lambda: status(self.http_url + "healthz") == 200, seconds=90)

    def _wait_for_gateway(self, child: Child) -> None:
        tls = self.secured.context() if self.secured else None
        child.wait_until(lambda: status(self.gateway_url + "login", tls) != 0, seconds=90)

    def stop(self) -> None:
        """Ends both; agents stay."""
        for child in self.children:
            child.stop()

    def launched(self) -> list[str]:
        """The names of the agents that were started, in order; a name twice was started twice."""
        return (
            [line.split()[0] for line in self.launch_log.read_text().splitlines()] if self.launch_log.exists() else []
        )

    def _child(
        self, name: str, *arguments: str, module: str = "broker", ends_by: signal.Signals = signal.SIGTERM
    ) -> Child:
        command = [sys.executable, "-m", module, *arguments, "--config", str(self.config_file)]
        return Child(name, command, self.root / f"{name}.log", self.environment, ends_by)

    def _config(self) -> dict[str, object]:
        agent_environment = {RUN_MARK: self.run_id, LAUNCH_LOG: str(self.launch_log)}
        grpc: dict[str, object] = {"listen": f"127.0.0.1:{self.ports.grpc}"}
        gateway: dict[str, object] = {"websocket": {"listen": f"127.0.0.1:{self.ports.agents}"}}
        if self.secured:
            grpc["tls"] = self.secured.grpc_keys()
            gateway["tls"] = self.secured.gateway_keys()
            agent_environment["SSL_CERT_FILE"] = str(self.secured.ca)
        urls = {CONTROLLER: self.controller_url, **self.others}
        return {
            "version": 1,
            "server": {
                "http": {"listen": f"127.0.0.1:{self.ports.http}"},
                "grpc": grpc,
                "state_dir": str(self.root / "state"),
            },
            "controllers": {name: self._controller(name, url) for name, url in urls.items()},
            "gateway": gateway,
            "templates": {"default": {"env": agent_environment}},
            "pools": {label: {"backend": "process", **options} for label, options in self.pools.items()},
            "policies": {label: {"labels": [label], "pools": [label], **self.overrides} for label in self.pools},
        }

    def _controller(self, name: str, url: str) -> dict[str, object]:
        token = self.token_file_of(name).read_text().strip()
        digest = hashlib.sha256(token.encode()).hexdigest()
        return {"url": url, "token_sha256": digest, **self.controller_keys.get(name, {})}


def simulated_pool(*extra: str) -> dict[str, object]:
    """The options of a pool of simulated agents; `extra` goes before the arguments that agent.jar would get."""
    return {"command": [*SIMULATED_AGENT, *extra]}


def java_pool(java: str, directory: Path, launch_log: Path, options: Sequence[str] = ()) -> dict[str, object]:
    """The options of a pool of real agents, whose java is a script that counts the launch before it becomes java.

    `options` are more of the JVM.
    """
    wrapper = directory / "java"
    lines: Sequence[str] = (
        "#!/bin/sh",
        "# Appends a line to the launch log, then becomes the real java.",
        'name=; for word in "$@"; do [ "$previous" = -name ] && name=$word; previous=$word; done',
        f'[ -z "$name" ] || printf \'%s %s\\n\' "$name" "$$" >> {_quoted(launch_log)}',
        f'exec {_quoted(java)} {" ".join([*QUICK_JVM, *map(_quoted, options)])} "$@"',
    )
    wrapper.write_text("\n".join(lines) + "\n")
    wrapper.chmod(0o700)
    return {"java": str(wrapper)}


def _quoted(word: object) -> str:
    return "'" + str(word).replace("'", "'\\''") + "'"
