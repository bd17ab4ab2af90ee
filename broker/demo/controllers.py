"""What a demo wants of a controller, and the simulated one that gives it."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from broker.demo.files import write_private
from broker.demo.http import get_json, post_json, status
from broker.demo.processes import Child
from broker.demo.secured import ClientTls


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildView:
    """A build as people see it. Times are seconds of the wall clock; `result` is Jenkins' word, None until it ends."""

    name: str
    node: str
    queued_at: float
    started_at: float | None
    result: str | None
    why: str = ""
    """The broker's no to what it asks for itself, while it waits; a real controller writes that into its log."""

    @property
    def state(self) -> str:
        """One word: queued, running, or how it ended."""
        return self.result.lower() if self.result else "queued" if self.started_at is None else "running"


class DemoController(Protocol):
    """A Jenkins, simulated or real, that a demo has its builds from."""

    kind: str
    url: str

    def start(self) -> None:
        """Returns when it is up and has shaken hands with the broker; raises DemoFailed."""
        ...

    def queue(self, count: int, *, label: str, seconds: float) -> None:
        """Queues builds for a label that run for some seconds."""
        ...

    def builds(self) -> list[BuildView]:
        """All builds that were queued, in that order; raises OSError while it does not answer."""
        ...

    def children(self) -> list[Child]:
        """The processes that it was started as."""
        ...


class SimulatedController:
    """`broker.demo.controller` as a process of its own. Killed and started again it is the same controller."""

    kind = "simulated"

    def __init__(
        self,
        root: Path,
        *,
        port: int,
        grpc_port: int,
        token_file: Path,
        environment: Mapping[str, str],
        tls: ClientTls | None = None,
        name: str = "controller",
    ) -> None:
        """Makes the key that its agents' secrets come from. Its files in `root` begin with its `name`."""
        self.url = f"http://127.0.0.1:{port}/"
        self._root, self._environment, self._name = root, environment, name
        key = root / f"{name}.key"
        self._arguments = ["--port", str(port), "--broker", f"127.0.0.1:{grpc_port}", "--token-file", str(token_file)]
        self._arguments += ["--secret-key-file", str(key)]
        if tls is not None:
            own = tls.pair
            self._arguments += ["--ca", str(tls.ca), "--cert", str(own.certificate), "--key", str(own.key)]
        write_private(key, os.urandom(32))
        self._child: Child | None = None

    def serve_jar(self, jar: Path) -> None:
        """From its next start on agents may fetch this file as agent.jar."""
        self._arguments += ["--agent-jar", str(jar)]

    def open_port(self, port: int) -> None:
        """From its next start on agents may come over TCP too."""
        identity = self._root / f"{self._name}-identity.pem"
        self._arguments += ["--agent-port", str(port), "--identity-file", str(identity)]

    def start(self) -> None:
        """Returns when it answers and has synced."""
        command = [sys.executable, "-m", "broker.demo.controller", *self._arguments]
        self._child = Child(self._name, command, self._root / f"{self._name}.log", self._environment)
        self._child.wait_until(self._is_synced, seconds=90)

    def _is_synced(self) -> bool:
        return status(self.url + "login") == 200 and self.syncs() > 0

    def syncs(self) -> int:
        """How often the broker has answered its syncs since it was started."""
        return int(get_json(self.url + "demo/builds")["syncs"])

    def queue(self, count: int, *, label: str, seconds: float) -> None:
        """Queues builds for a label expression of simple names joined by &&."""
        post_json(self.url + "demo/builds", {"label": label, "seconds": seconds, "count": count})

    def cancel(self, name: str) -> None:
        """Takes a build out of the queue, by its name in `builds()`."""
        post_json(self.url + "demo/builds/cancel", {"number": int(name.rpartition("-")[2])})

    def nodes(self) -> dict[str, bool]:
        """Its nodes: whether each is online."""
        computers = get_json(self.url + "computer/api/json")["computer"]
        return {computer["displayName"]: not computer["offline"] for computer in computers}

    def builds(self) -> list[BuildView]:
        """All builds of this boot."""
        found = get_json(self.url + "demo/builds")["builds"]
        return [
            BuildView(
                name=f"demo-{build['number']}",
                node=build["node"],
                queued_at=build["queued_at"],
                started_at=build["started_at"],
                result=build["result"],
                why=build["why"],
            )
            for build in found
        ]

    def children(self) -> list[Child]:
        """Its one process."""
        return [self._child] if self._child else []
