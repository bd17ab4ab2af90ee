"""A demo whose agents are tasks of a cloud: the stack of `agentbroker dev --clouds fake`."""

import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, Final

from broker.demo.clouds.machine_pool import IMAGE, SSH_KEY, address_in, machine_backend, machine_pool, new_ssh_key
from broker.demo.clouds.remote import ALIBABA_FILE, CLUSTER, FILE, LOG_GROUP, REGION, Control, youngest
from broker.demo.files import write_private
from broker.demo.ports import free_port
from broker.demo.processes import Child, DemoFailed
from broker.demo.stack import Stack


@dataclass(slots=True, kw_only=True)
class CloudStack(Stack):
    """A stack whose pools are tasks on Fargate: spot capacity first, on-demand where there is none.

    Where that has none either, agents go to virtual machines of another cloud, if this machine can have any: `block`
    has the addresses of those. Both clouds are strict fakes, in one process. Their images run simulated agents; with
    `java` that program runs the agent.jar which it fetches through the gateway.
    """

    java: str = ""
    block: IPv4Network | None = None
    lacks: str = ""
    """Why there is no block."""
    cloud_port: int = field(default_factory=free_port)
    alibaba_port: int = field(default_factory=free_port)
    pool_keys: Mapping[str, object] = field(default_factory=dict)
    """More keys of the pools, such as `secret_delivery`."""
    cloud: Child | None = None

    def __post_init__(self) -> None:
        """Makes the keys, which only the broker and the fake know."""
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(self.root / "aws-access-key", "AKIA" + secrets.token_hex(8).upper())
        write_private(self.root / "aws-secret-key", secrets.token_urlsafe(30))
        if self.block:
            write_private(self.root / SSH_KEY, new_ssh_key())
        Stack.__post_init__(self)

    @property
    def children(self) -> list[Child]:
        """The cloud ends last."""
        return [child for child in (self.broker, self.gateway, self.cloud) if child]

    @property
    def control(self) -> Control:
        """The running fake; raises OSError while there is none."""
        return Control.of(self.root)

    def start(self) -> None:
        """The cloud first; raises DemoFailed."""
        self.start_cloud()
        Stack.start(self)

    def start_cloud(self) -> None:
        """Starts the cloud alone, with nothing in it; returns when it serves."""
        for name in (FILE, ALIBABA_FILE):
            (self.root / name).unlink(missing_ok=True)
        files = ("--access-key-file", self.root / "aws-access-key", "--secret-key-file", self.root / "aws-secret-key")
        words = ["--root", self.root, "--port", self.cloud_port, *files]
        if self.block:
            words += ["--block", self.block, "--alibaba-port", self.alibaba_port, "--machine-java", self.java]
        command = [sys.executable, "-m", "broker.demo.clouds.serve", *map(str, words)]
        self.cloud = Child("cloud", command, self.root / "cloud.log", self.environment)
        self.cloud.wait_until((self.root / FILE).exists, seconds=30)

    @property
    def alibaba(self) -> Control | None:
        """The running fake of Alibaba Cloud; None: there is to be none. Raises OSError while it does not run."""
        return Control.of(self.root, ALIBABA_FILE) if self.block else None

    def gateway_url_of(self, controller: str) -> str:
        """What agents of a controller dial, those on virtual machines too."""
        return Stack.gateway_url_of(self, controller).replace("127.0.0.1", self._here)

    @property
    def _here(self) -> str:
        return address_in(self.block) if self.block else "127.0.0.1"

    @property
    def agents_root(self) -> Path:
        """Where each running task has a directory."""
        return self.root / "tasks"

    def told(self) -> list[str]:
        """Where the cloud is, and how to make it misbehave."""
        control = self.control
        where = "" if youngest() == self.root else f" --state-dir {self.root}"
        said = [
            f"agents are tasks of a cloud that is played here: {control.url}, its account in {self.root / 'cloud.log'}",
            f"to see it fail:  agentbroker dev fault aws RunTask ThrottlingException --times 5{where}",
        ]
        if not self.block:
            return [*said, f"no virtual machines, which would be next in line: this machine lacks {self.lacks}"]
        return [
            *said,
            f"next in line are virtual machines of Alibaba Cloud, which is played here too, in {self.block}",
            f"to see agents there:  agentbroker dev fault aws no-capacity{where}",
        ]

    def check(self) -> None:
        """Raises DemoFailed when the fake was asked what it does not know, or gave a reply that no SDK would take."""
        asked = [control.ask("state") for control in (self.control, self.alibaba) if control]
        if problems := [words for state in asked for words in state["problems"]]:
            raise DemoFailed(f"the fake cloud was wrong: {problems[0]} (and {len(problems) - 1} more)")

    def tasks_left(self) -> int | None:
        """How many tasks live in the cloud."""
        return len(self.control.ask("state")["tasks"])

    def machines_left(self) -> int | None:
        """How many instances live in the other cloud, and machines of such that do not."""
        if (control := self.alibaba) is None:
            return None
        state = control.ask("state")
        return len({*(one["id"] for one in state["instances"]), *state["machines"]})

    def _config(self) -> dict[str, object]:
        config: dict[str, Any] = Stack._config(self)
        config["backends"] = {
            "aws": {
                "type": "aws-ecs",
                "region": REGION,
                "cluster": CLUSTER,
                "endpoint_url": f"http://127.0.0.1:{self.cloud_port}",
                "access_key_id_file": str(self.root / "aws-access-key"),
                "secret_access_key_file": str(self.root / "aws-secret-key"),
                "poll_interval": "1s",
                "leave_grace": "3s",
            }
        }
        default = config["templates"]["default"]
        default |= _TEMPLATE
        if self.java:
            default["inject"] = "script"
            default["env"]["JENKINS_JAVA_BIN"] = self.java
        network = {
            "subnets": [f"subnet-{letter * 17}" for letter in "abc"],
            "security_groups": [f"sg-{'a' * 17}"],
            "execution_role_arn": "arn:aws:iam::111122223333:role/ecsTaskExecutionRole",
            **self.pool_keys,
        }
        pools: dict[str, object] = {}
        for label in self.pools:
            spot, on_demand = {"capacity_provider": "FARGATE_SPOT"}, {"capacity_provider": "FARGATE"}
            pools |= {f"{label}-spot": {"backend": "aws", **spot, **network}}
            pools |= {label: {"backend": "aws", **on_demand, **network}}
            config["policies"][label]["pools"] = [f"{label}-spot", label]
            if self.block:
                pools[f"{label}-vm"] = machine_pool(self.root)
                when = ["InsufficientCapacity", "PoolCoolingDown"]
                config["policies"][label]["fallback"] = [{"pool": f"{label}-vm", "when": when}]
        config["pools"] = pools
        if self.block:
            config["gateway"]["websocket"]["listen"] = f"{self._here}:{self.ports.agents}"
            keys = (self.root / "aws-access-key", self.root / "aws-secret-key")
            config["backends"]["ali"] = machine_backend(f"http://127.0.0.1:{self.alibaba_port}", *keys)
        return config


_TEMPLATE: Final[dict[str, object]] = {
    "image": IMAGE,
    "cpu": 0.25,
    "memory": "512Mi",
    "remote_fs": "work",
    "ecs": {
        "log_configuration": {
            "log_driver": "awslogs",
            "options": {"awslogs-group": LOG_GROUP, "awslogs-region": REGION, "awslogs-stream-prefix": "agent"},
        }
    },
}
