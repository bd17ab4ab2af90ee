"""From kill -9 of a broker with many agents online to the next one that serves, and that has looked at all of them."""

import asyncio
import hashlib
import json
import os
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import grpc.aio
import yaml

from broker.domain.ids import AgentId
from broker.keys import open_keyring
from broker.wire.v1 import agents_pb2 as wire
from broker.wire.v1.agents_pb2_grpc import AgentsStub
from tests.crash.gateway import StandIn

_CONTROLLER: Final = "main"
_WAIT_S: Final = 180.0
_BATCH: Final = 200


class _Fleet:
    """A broker's surroundings: a cloud in a file, a gateway, a Jenkins; all of them live on."""

    def __init__(self, root: Path) -> None:
        self.token, self.boot = secrets.token_hex(32), secrets.token_hex(8)
        self.ledger, self.keys, self.config = root / "ledger", root / "keys", root / "broker.yaml"
        listen = {"listen": "127.0.0.1:0"}
        self.config.write_text(
            yaml.safe_dump(
                {
                    "version": 1,
                    "server": {
                        "http": listen,
                        "grpc": listen,
                        "state_dir": str(root / "state"),
                        "keys_dir": str(self.keys),
                    },
                    "controllers": {
                        _CONTROLLER: {
                            "url": "http://127.0.0.1:9/",
                            "token_sha256": hashlib.sha256(self.token.encode()).hexdigest(),
                        }
                    },
                    "gateway": {"websocket": listen},
                    "pools": {"here": {"backend": "process"}},
                    "policies": {"linux": {"labels": ["linux"], "pools": ["here"]}},
                }
            )
        )
        self.config.chmod(0o600)
        self.gateway = StandIn(root / "state" / "control.sock", _CONTROLLER)
        self.names: list[str] = []

    async def start(self) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.benchmarks.fleet_broker", str(self.config), str(self.ledger)),
            stdout=asyncio.subprocess.PIPE,
        )

    async def call(self, stub: Any, method: str, request: Any) -> Any:
        meta = (("authorization", f"Bearer {self.token}"),)
        return await getattr(stub, method)(request, metadata=meta, timeout=60)

    async def ask(self, stub: Any, names: Sequence[str]) -> None:
        agents = [wire.AgentRequest(name=n, policy="linux", secret=secrets.token_hex(32)) for n in names]
        reply = await self.call(stub, "RequestAgents", wire.RequestAgentsRequest(boot_id=self.boot, agents=agents))
        assert all(answer.accepted for answer in reply.answers)
        self.names += names

    async def sync(self, stub: Any) -> Any:
        """Tells that each node whose agent is connected is online."""
        online = {session.name for session in self.gateway.sessions.values()}
        nodes = [wire.Node(name=name, online=name in online, accepting=True) for name in self.names]
        return await self.call(stub, "SyncNodes", wire.SyncNodesRequest(boot_id=self.boot, nodes=nodes))

    def knock(self, phases: dict[str, str]) -> None:
        """Every agent whose instance runs and that is not in asks to come in."""
        keyring, connected = open_keyring(self.keys), self.gateway.sessions.keys()
        for _, agent_id, attempt, name in self.instances():
            if agent_id not in connected and phases.get(name) == "connecting":
                self.gateway.knock(name, keyring.mint(AgentId(agent_id), attempt))

    def instances(self) -> list[list[Any]]:
        """What the cloud has made, by the broker's lines."""
        return [json.loads(line) for line in self.ledger.read_text().splitlines()] if self.ledger.exists() else []


async def recover(agents: int) -> tuple[float, float, float]:
    """Seconds from the kill until the next broker serves gRPC, and until it has looked at all agents.

    The third number is the CPU time that it had taken when it served: on a busy machine that is what counts.
    """
    with tempfile.TemporaryDirectory(prefix="agentbroker-recovery-") as folder:
        fleet = _Fleet(Path(folder))
        async with asyncio.timeout(_WAIT_S), fleet.gateway.running():
            first = await fleet.start()
            try:
                await _fill(fleet, await _said(first, "serving"), agents)
                killed = time.monotonic()
                first.send_signal(signal.SIGKILL)
                await first.wait()
            finally:
                if first.returncode is None:
                    first.kill()
            second = await fleet.start()
            try:
                return await _measure(fleet, second, killed, agents)
            finally:
                second.kill()
                await second.wait()


async def _measure(
    fleet: _Fleet, broker: asyncio.subprocess.Process, killed: float, agents: int
) -> tuple[float, float, float]:
    port = await _said(broker, "serving")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = AgentsStub(channel)  # type: ignore[no-untyped-call] # generated
        greeting = wire.HandshakeRequest(api_version=1, boot_id=fleet.boot)
        await fleet.call(stub, "Handshake", greeting)
        serving, cpu = time.monotonic() - killed, _cpu_s(broker.pid)
        truth = await fleet.sync(stub)
        assert len(truth.agents) == agents, "every agent is still there"
        assert await _said(broker, "reconciled") == agents
        reconciled = time.monotonic() - killed
        truth = await fleet.sync(stub)
        assert {agent.phase for agent in truth.agents} == {"online"}, "none was touched"
        return serving, reconciled, cpu


def _cpu_s(pid: int) -> float:
    """User and system time of a process so far (proc(5), fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _fill(fleet: _Fleet, port: int, agents: int) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = AgentsStub(channel)  # type: ignore[no-untyped-call] # generated
        await fleet.sync(stub)
        for start in range(0, agents, _BATCH):
            end = min(start + _BATCH, agents)
            await fleet.ask(stub, [f"agent-{n:05d}" for n in range(start, end)])
            while len(fleet.instances()) < end:  # noqa: ASYNC110 - the file is another process's
                await asyncio.sleep(0.2)
        while True:
            truth = await fleet.sync(stub)
            phases = {agent.name: agent.phase for agent in truth.agents}
            if list(phases.values()).count("online") == agents:
                return
            fleet.knock(phases)
            await asyncio.sleep(1.0)


async def _said(process: asyncio.subprocess.Process, word: str) -> int:
    assert process.stdout is not None
    while line := (await process.stdout.readline()).decode().split():
        if line[0] == word:
            return int(line[1])
    raise AssertionError(f"it ended before it said {word}")
