"""Broker, gateway and simulated controller as processes, and agents in tasks of an ECS that runs real containers."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from broker.demo.leftovers import end, marked_processes
from broker.demo.stack import RUN_MARK, Ports, Stack
from tests.e2e.containers import REPOSITORY, host_python
from tests.e2e.world import controller_of
from tests.podman import INBOUND_IMAGE, TestEngine

AGENT = f"{Path(sys.executable).resolve()} {REPOSITORY / 'tests/e2e/boxed_agent.py'}"
STEP = """
hostname
cat /proc/self/cgroup
"""
CLUSTER = "ci"
TASK_ARN = "com.amazonaws.ecs.task-arn"
"""The label by which a container tells its task."""


@dataclass(slots=True, kw_only=True)
class TaskStack(Stack):
    """A stack whose pools are tasks on the engine's bridge; `address` is where this machine is found from there."""

    ecs: str
    address: str
    engine: TestEngine
    backend: Mapping[str, object] = field(default_factory=dict)
    """More keys of the backend."""
    env: Mapping[str, str] = field(default_factory=dict)
    """What says how the agent starts; nothing: it is the simulated one, whose builds print where they run."""
    shown: Sequence[Path] = ()
    """Directories of this machine that the agents find too."""

    def gateway_url_of(self, controller: str) -> str:
        return f"http://{self.address}:{self.ports.agents}/c/{controller}/"

    def _config(self) -> dict[str, object]:
        config: dict[str, Any] = Stack._config(self)
        (default,) = config["templates"].values()
        mounts = self.engine.mounts(self.root, read_only=(*host_python(), REPOSITORY, *self.shown))
        names = {mount.target: f"volume-{n}" for n, mount in enumerate(mounts)}
        config["server"]["log"] = {"format": "json"}
        config["gateway"]["websocket"]["listen"] = f"{self.address}:{self.ports.agents}"
        keys = {"access_key_id": "test", "secret_access_key": "test", "region": "eu-west-1"}
        config["backends"] = {
            "ecs": {"type": "aws-ecs", "cluster": CLUSTER, "endpoint_url": self.ecs, **keys, **self.backend}
        }
        simulated = {"PYTHONPATH": str(REPOSITORY), "JENKINS_JAVA_BIN": AGENT, "BUILD_STEP": STEP}
        variables = self.env or simulated
        config["templates"]["default"] = {
            "image": INBOUND_IMAGE,
            "cpu": 0.25,
            "memory": "512Mi",
            "inject": "env",
            "env": {name: value.replace("$", "$$") for name, value in {**default["env"], **variables}.items()},
            "ecs": {
                "volumes": [{"name": names[m.target], "host": {"source_path": m.source}} for m in mounts],
                "mount_points": [
                    {"source_volume": names[m.target], "container_path": m.target, "read_only": m.read_only}
                    for m in mounts
                ],
            },
        }
        for label in self.pools:
            config["pools"][label] |= {"backend": "ecs", "capacity_provider": "instances", "network_mode": "bridge"}
            config["policies"][label]["template"] = "default"
        return config


class TaskWorld:
    """One broker, one cluster of real containers."""

    def __init__(self, root: Path, engine: TestEngine, ecs: str, address: str, label: str, **backend: object) -> None:
        root.mkdir(parents=True, mode=0o700)
        self.engine = engine
        ports = Ports()
        self.stack = TaskStack(
            root=root,
            controller_url=f"http://127.0.0.1:{ports.controller}/",
            pools={label: {}},
            ports=ports,
            ecs=ecs,
            address=address,
            engine=engine,
            backend=backend,
        )
        self.controller = controller_of(self.stack)

    def start(self) -> None:
        self.stack.start()
        self.controller.start()

    def stop(self) -> None:
        for child in [*self.controller.children(), *self.stack.children]:
            child.stop()
        end(marked_processes(self.stack.search.marker))
        for told in self.boxes():
            self.engine.remove(told["Id"])

    def boxes(self) -> list[dict[str, Any]]:
        """The containers of this run's tasks, ended ones too, as the engine shows them."""
        mark = f"{RUN_MARK}={self.stack.run_id}"
        return [told for told in self.engine.containers(TASK_ARN) if mark in told["Config"]["Env"]]

    def printed(self) -> list[list[str]]:
        """What each build's step has printed, in lines."""
        return [path.read_text().splitlines() for path in sorted(self.stack.root.glob("build-*.txt"))]

    def results(self) -> list[str | None]:
        return [build.result for build in self.controller.builds()]

    def events(self, name: str) -> list[dict[str, Any]]:
        """What the broker's log tells under a name."""
        lines = (self.stack.root / "broker.log").read_text(errors="replace").splitlines()
        told = [json.loads(line) for line in lines if line.startswith("{")]
        return [event for event in told if event.get("event") == name]

    def nothing_is_left(self) -> bool:
        nodes = [name for name in self.controller.nodes() if name != "Built-In Node"]
        return not self.boxes() and not nodes
