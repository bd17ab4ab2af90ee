"""Broker, gateway and simulated controller as processes, and agents in real containers."""

import json
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any

from broker.demo.leftovers import end, marked_processes
from broker.demo.stack import RUN_MARK, Ports, Stack
from tests.e2e.world import controller_of, until
from tests.podman import IMAGE, TestEngine

REPOSITORY = Path(__file__).parents[2]
AGENT = (str(Path(sys.executable).resolve()), str(REPOSITORY / "tests/e2e/boxed_agent.py"))
MEMORY_MIB = 96


@dataclass(slots=True, kw_only=True)
class BoxedStack(Stack):
    """A stack whose pools are containers on the host's network, each with a template of its own by its label."""

    address: str
    engine: TestEngine
    templates: Mapping[str, Mapping[str, object]] = field(default_factory=dict)

    def _config(self) -> dict[str, object]:
        config: dict[str, Any] = Stack._config(self)
        (default,) = config["templates"].values()
        default["env"]["PYTHONPATH"] = str(REPOSITORY)
        mounts = self.engine.mounts(self.root, read_only=(*host_python(), REPOSITORY))
        boxed = {
            **default,
            "image": IMAGE,
            "memory": f"{MEMORY_MIB}Mi",
            "inject": "script",
            "mounts": [f"{m.source}:{m.target}{':ro' if m.read_only else ''}" for m in mounts],
        }
        config["server"]["log"] = {"format": "json"}
        config["backends"] = {"boxes": {"type": "container", "socket": self.address}}
        config["templates"] = {label: {**boxed, **self.templates.get(label, {})} for label in self.pools}
        for label in self.pools:
            config["pools"][label] |= {"backend": "boxes", "network": "host"}
            config["policies"][label]["template"] = label
        return config


def host_python() -> list[Path]:
    """What of this Python the tiny image does not have by its /usr."""
    prefix = Path(sys.base_prefix).resolve()
    return [] if prefix.is_relative_to("/usr") else [prefix]


class BoxedWorld:
    """One broker over one engine; `relay` stands between the two."""

    def __init__(
        self,
        root: Path,
        engine: TestEngine,
        pools: Mapping[str, Mapping[str, object]],
        templates: Mapping[str, Mapping[str, object]] | None = None,
        policy: Mapping[str, object] | None = None,
    ) -> None:
        root.mkdir(parents=True, mode=0o700)
        self.engine = engine
        self.relay = Relay(root / "engine.sock", engine.address)
        ports = Ports()
        self.stack = BoxedStack(
            root=root,
            controller_url=f"http://127.0.0.1:{ports.controller}/",
            pools=pools,
            ports=ports,
            overrides=policy or {},
            address=f"unix://{self.relay.path}",
            engine=engine,
            templates=templates or {},
        )
        self.controller = controller_of(self.stack)

    def start(self) -> None:
        self.relay.start()
        self.stack.start()
        self.controller.start()

    def stop(self) -> None:
        for child in [*self.controller.children(), *self.stack.children]:
            child.stop()
        self.relay.stop()
        end(marked_processes(self.stack.search.marker))
        for told in self.boxes():
            self.engine.remove(told["Id"])

    def boxes(self) -> list[dict[str, Any]]:
        """The containers of this run, as the engine shows them."""
        mark = f"{RUN_MARK}={self.stack.run_id}"
        return [told for told in self.engine.containers("managed-by=agentbroker") if mark in told["Config"]["Env"]]

    def events(self, name: str) -> list[dict[str, Any]]:
        """What the broker's log tells under a name."""
        lines = (self.stack.root / "broker.log").read_text(errors="replace").splitlines()
        told = [json.loads(line) for line in lines if line.startswith("{")]
        return [event for event in told if event.get("event") == name]

    def printed(self) -> list[list[str]]:
        """What each build's step has printed, in lines."""
        return [path.read_text().split() for path in sorted(self.stack.root.glob("build-*.txt"))]

    def results(self) -> list[str | None]:
        return [build.result for build in self.controller.builds()]

    def nothing_is_left(self) -> bool:
        nodes = [name for name in self.controller.nodes() if name != "Built-In Node"]
        return not self.boxes() and not nodes

    def wait_until_nothing_is_left(self) -> None:
        until(self.nothing_is_left)


class Relay:
    """A socket of the test's own before the engine's, that can be taken away and put back."""

    def __init__(self, path: Path, address: str) -> None:
        self.path = path
        self._there = address.removeprefix("unix://")
        self._server: socket.socket | None = None
        self._open: list[socket.socket] = []
        self.asked = bytearray()
        """All that the engine was sent."""

    def start(self) -> None:
        self.path.unlink(missing_ok=True)
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(self.path))
        self._server.listen(64)
        Thread(target=self._accept, args=(self._server,), daemon=True).start()

    def stop(self) -> None:
        """Connections are cut, and nobody listens."""
        for each in [*self._open, *([self._server] if self._server else [])]:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._open.clear()
        self._server = None
        self.path.unlink(missing_ok=True)

    def _accept(self, server: socket.socket) -> None:
        with suppress(OSError):
            while True:
                here, _ = server.accept()
                there = socket.socket(socket.AF_UNIX)
                there.connect(self._there)
                self._open += [here, there]
                Thread(target=_pump, args=(here, there, self.asked), daemon=True).start()
                Thread(target=_pump, args=(there, here), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket, kept: bytearray | None = None) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            if kept is not None:
                kept += data
            sink.sendall(data)
    for each in (source, sink):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


def shell(script: str) -> Sequence[str]:
    """A command that is no agent at all, as the config writes it."""
    return ["/bin/sh", "-c", script.replace("$", "$$"), "no-agent"]
