"""Control plane and gateway as two units, each in a process group and, where one can be made, a cgroup."""

import asyncio
import hashlib
import os
import re
import secrets
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from broker.demo.broker_link import BrokerLink
from broker.demo.model import Controller
from broker.demo.sim.agents import State, Swarm
from broker.demo.sim.controller import SimController
from broker.demo.sim.plans import AgentPlan, Transport
from broker.inbound.identity import Identity
from broker.inbound.secret import node_secret
from tests.integration.gateway.crowd import SEED, free_port
from tests.integration.gateway.world import until

KEY = b"K" * 32
Content = dict[str, Any]
LABEL = "many"
CGROUPS = Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup")
STARTS_S = 60.0


class Unit:
    """One unit: what a service manager would start, with all that it starts itself."""

    def __init__(self, directory: Path, name: str, *arguments: str) -> None:
        self.log = directory / f"{name}.log"
        self.log.touch()
        self._command = [sys.executable, "-m", "broker", *arguments]
        self.cgroup = _cgroup(f"agentbroker-test-{os.getpid()}-{secrets.token_hex(4)}-{name}")
        self.process: asyncio.subprocess.Process | None = None

    async def start(self, says: str) -> float:
        """When it has said so."""
        said = len(re.findall(says, self.log.read_text()))
        with self.log.open("ab") as log:
            process = self.process = await asyncio.create_subprocess_exec(
                *self._command, stdout=log, stderr=log, start_new_session=True
            )
        if self.cgroup is not None:  # before it has come to start anything
            (self.cgroup / "cgroup.procs").write_text(str(process.pid))
        await until(lambda: len(re.findall(says, self.log.read_text())) > said or process.returncode, STARTS_S)
        assert process.returncode is None, self.log.read_text()
        return time.monotonic()

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def pids(self) -> set[int]:
        """All processes of its group and its cgroup."""
        group = {pid for pid in _pids() if _group(pid) == self.pid}
        return group | (set(map(int, (self.cgroup / "cgroup.procs").read_text().split())) if self.cgroup else set())

    def send_away(self, pids: set[int]) -> None:
        """Moves processes out of its cgroup: what it started for somebody else, as a cloud would."""
        if self.cgroup is not None:
            for pid in pids:
                with suppress(ProcessLookupError):
                    (self.cgroup.parent / "cgroup.procs").write_text(str(pid))

    async def kill(self) -> set[int]:
        """SIGKILL to every process of it, all at once where the kernel does that; whom it hit."""
        if self.process is None:
            return set()
        hit = self.pids()
        if self.cgroup is not None:
            (self.cgroup / "cgroup.kill").write_text("1")
        for pid in hit:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await self.process.wait()
        return hit

    async def remove(self) -> None:
        await self.kill()
        if self.cgroup is not None:
            for _ in range(50):
                with suppress(OSError):
                    self.cgroup.rmdir()
                    return
                await asyncio.sleep(0.1)


def _cgroup(name: str) -> Path | None:
    """A new cgroup of version 2, None where this user may make none."""
    for root in CGROUPS:
        made = root / name
        with suppress(OSError):
            if (root / "cgroup.procs").exists():
                made.mkdir()
                if (made / "cgroup.kill").exists():
                    return made
                made.rmdir()
    return None


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


@dataclass
class Planes:
    """Both units, a controller with its own link to the broker, and agents."""

    directory: Path
    plane: Unit
    gateway: Unit
    sim: SimController
    model: Controller
    link: BrokerLink
    swarm: Swarm
    url: str
    bytes_per_s: float
    knocked: set[str] = field(default_factory=set)

    def launched(self) -> dict[str, str]:
        """The secrets of those that the broker has launched, by name."""
        found = {}
        for line in (self.directory / "launches").read_text().splitlines():
            words = line.split()
            file = Path(words[words.index("-secret") + 1].removeprefix("@"))
            with suppress(OSError):
                found[words[words.index("-name") + 1]] = file.read_text().strip()
        return found

    def knock(self, count: int, *, comes_back: bool = False) -> list[str]:
        """So many of the launched ones that have not yet, come to the gateway; half of them over TCP.

        Who does not come back is in at its first knock, or not at all: a knock is held for 25 s.
        """
        names = [name for name in self.launched() if name not in self.knocked][:count]
        assert len(names) == count
        self.knocked |= set(names)
        secrets = self.launched()
        self.swarm.start(
            AgentPlan(
                name=name,
                secret=secrets[name],
                transport=(Transport.WEBSOCKET, Transport.TCP)[number % 2],
                url=self.url,
                stream_seed=SEED,
                bytes_per_s=self.bytes_per_s,
                comes_back=comes_back,
                haste=10.0,
            )
            for number, name in enumerate(names)
        )
        return names

    def received(self) -> int:
        up = sum(traffic.received.count for traffic in self.sim.traffic.values())
        return up + sum(agent.traffic.received.count for agent in self.swarm.agents.values())

    async def mirror(self) -> None:
        """What the controller's door and its model know of each other; builds start on those that are there."""
        while True:
            for name, node in list(self.model.nodes.items()):
                self.sim.nodes.setdefault(name, node_secret(KEY, name))
                live = self.sim.live.get(name)
                if live is not None and node.channel is None:
                    self.model.connected(name, live, "")
                    self.link.changed.set()
                elif live is None and node.channel is not None:
                    self.model.disconnected(name, node.channel)
                    self.link.changed.set()
            if self.model.start_builds():
                self.link.changed.set()
            await asyncio.sleep(0.02)

    def running(self) -> int:
        return sum(node.build is not None for node in self.model.nodes.values())

    def unequal(self, names: list[str]) -> list[str]:
        near, far = self.swarm.hashes(), self.sim.hashes()
        return [name for name in names if near[name] != far.get(name)]

    async def until_in(self, names: list[str], seconds: float) -> None:
        """Waits until all have their first session; TimeoutError says of those that have not, where they are."""
        try:
            await until(lambda: self.cut(names) == [], seconds)
        except TimeoutError:
            agents = [self.swarm.agents[name] for name in self.cut(names)]
            told = [f"{a.plan.name}: {a.state}, {a.sessions} sessions, {a.refusals} refusals, {a.why}" for a in agents]
            raise TimeoutError("; ".join(told)) from None

    def cut(self, names: list[str]) -> list[str]:
        agents = self.swarm.agents
        return [name for name in names if (agents[name].state, agents[name].sessions) != (State.CONNECTED, 1)]


@asynccontextmanager
async def planes(
    directory: Path, *, bytes_per_s: float, change: Callable[[Content, SimController], None] = lambda *_: None
) -> AsyncIterator[Planes]:
    """Both units run; `change` is shown their config before it is written."""
    token = secrets.token_hex(32)
    sim = SimController(identity=Identity.new(), stream_seed=SEED, bytes_per_s=bytes_per_s)
    (directory / "launches").touch()
    async with asyncio.timeout(280), sim.running(), Swarm() as swarm, asyncio.TaskGroup() as group:
        listen, grpc = free_port(), free_port()
        content = _content(directory, sim.url, token, listen, grpc)
        change(content, sim)
        config = directory / "broker.yaml"
        config.write_text(yaml.safe_dump(content))
        config.chmod(0o600)
        plane = Unit(directory, "plane", "serve", "--no-gateway", "--config", str(config))
        gateway = Unit(directory, "gateway", "gateway", "--config", str(config))
        model = Controller()
        link = BrokerLink(model, target=f"127.0.0.1:{grpc}", token=token, secret_key=KEY, url=sim.url)
        made = Planes(
            directory,
            plane,
            gateway,
            sim,
            model,
            link,
            swarm,
            f"http://127.0.0.1:{listen}/c/main/",
            bytes_per_s,
        )
        tasks = []
        try:
            await plane.start("serves controllers on")
            await gateway.start("gateway listens on")
            tasks = [group.create_task(link.run()), group.create_task(made.mirror())]
            await until(lambda: model.synced, STARTS_S)
            yield made
        finally:
            for task in tasks:
                task.cancel()
            swarm.close()
            await plane.remove()
            await gateway.remove()
            _end_agents(directory)


def _content(directory: Path, url: str, token: str, listen: int, grpc: int) -> Content:
    launch = directory / "launch.sh"
    launch.write_text('echo "$@" >> "$LAUNCHES"; exec sleep 600\n')
    return {
        "version": 1,
        "server": {
            "http": {"listen": f"127.0.0.1:{free_port()}"},
            "grpc": {"listen": f"127.0.0.1:{grpc}"},
            "state_dir": str(directory / "state"),
        },
        "controllers": {"main": {"url": url, "token_sha256": hashlib.sha256(token.encode()).hexdigest()}},
        "gateway": {
            "websocket": {"listen": f"127.0.0.1:{listen}"},
            "tcp": {"listen": f"127.0.0.1:{free_port()}"},
        },
        "templates": {"default": {"env": {"LAUNCHES": str(directory / "launches")}}},
        "pools": {"here": {"backend": "process", "command": ["/bin/sh", str(launch)]}},
        "policies": {"many": {"labels": [LABEL], "pools": ["here"], "timeouts": {"connect": "10m"}}},
    }


def _end_agents(directory: Path) -> None:
    """What the broker launched for the agents, known by their directory."""
    mark = f"LAUNCHES={directory / 'launches'}".encode()
    for pid in _pids():
        with suppress(OSError):
            if mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                os.kill(pid, signal.SIGKILL)
