"""How long the broker takes from Jenkins' request to the call of a backend."""

import asyncio
import hashlib
import json
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import grpc.aio
import yaml

from broker.wire.v1 import agents_pb2 as wire
from broker.wire.v1 import agents_pb2_grpc
from tests.benchmarks.figures import Benchmark, Figure, percentile
from tests.benchmarks.over_provision import over_provision_step

AGENTS: Final = 100
ROUNDS: Final = 7
_ROUND_S: Final = 30.0
_ASK_S: Final = 0.3
"""Seldom: the answer costs the broker time."""


class _Broker:
    """A running `recording_broker`, seen from Jenkins' side."""

    def __init__(self, process: asyncio.subprocess.Process, channel: grpc.aio.Channel, token: str) -> None:
        self._process = process
        self._token = (("authorization", f"Bearer {token}"),)
        self._stub: Any = agents_pb2_grpc.AgentsStub(channel)  # type: ignore[no-untyped-call] # generated
        self._boot_id = secrets.token_hex(8)

    async def greet(self) -> None:
        request = wire.HandshakeRequest(api_version=1, boot_id=self._boot_id)
        await self._stub.Handshake(request, metadata=self._token)

    async def request(self, names: list[str]) -> int:
        """Asks for all of them in one call; gives the time when it was sent, in monotonic nanoseconds."""
        agents = [wire.AgentRequest(name=n, policy="linux", secret=secrets.token_hex(32)) for n in names]
        request = wire.RequestAgentsRequest(boot_id=self._boot_id, agents=agents)
        sent = time.monotonic_ns()
        reply = await self._stub.RequestAgents(request, metadata=self._token)
        assert all(answer.accepted for answer in reply.answers)
        return sent

    async def launches(self, count: int) -> dict[str, int]:
        """The next launches, by name; TimeoutError when there are not as many in time."""
        seen: dict[str, int] = {}
        async with asyncio.timeout(_ROUND_S):
            while len(seen) < count:
                await asyncio.sleep(_ASK_S)
                seen |= (await self._recorded())["launches"]
        return seen

    async def release(self, names: list[str]) -> None:
        """Gives all of them back, and returns when nothing of them is left."""
        cause = wire.RELEASE_CAUSE_CANCELLED
        given = [wire.AgentRelease(name=name, cause=cause) for name in names]
        request = wire.ReleaseAgentsRequest(boot_id=self._boot_id, agents=given)
        await self._stub.ReleaseAgents(request, metadata=self._token)
        async with asyncio.timeout(_ROUND_S):
            while True:
                await asyncio.sleep(_ASK_S)
                if not (await self._recorded())["instances"]:
                    break
        await asyncio.sleep(1)  # the last rows reach gone

    async def _recorded(self) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"\n")
        recorded: dict[str, Any] = json.loads(await self._process.stdout.readline())
        return recorded


@asynccontextmanager
async def _recording_broker(folder: Path) -> AsyncIterator[_Broker]:
    token = secrets.token_hex(32)
    config = folder / "broker.yaml"
    config.write_text(yaml.safe_dump(_config(folder, token)))
    config.chmod(0o600)
    command = [sys.executable, "-m", "tests.benchmarks.recording_broker", str(config)]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            port = int(await process.stdout.readline())
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            broker = _Broker(process, channel, token)
            await broker.greet()
            yield broker
        process.stdin.close()
        async with asyncio.timeout(10):
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _config(folder: Path, token: str) -> dict[str, object]:
    return {
        "version": 1,
        "server": {
            "http": {"listen": "127.0.0.1:0"},
            "grpc": {"listen": "127.0.0.1:0"},
            "state_dir": str(folder / "state"),
            "shutdown_grace": "1s",
        },
        "controllers": {
            "bench": {"url": "http://127.0.0.1:9/", "token_sha256": hashlib.sha256(token.encode()).hexdigest()}
        },
        "gateway": {"websocket": {"listen": "127.0.0.1:0"}},
        "pools": {"local": {"backend": "process", "command": ["true"]}},
        "policies": {"linux": {"labels": ["linux"], "pools": ["local"]}},
    }


async def _one_round(broker: _Broker, number: int) -> list[float]:
    """Milliseconds from the call's send to the launch, of each agent."""
    names = [f"linux-{number}-{n:03d}" for n in range(AGENTS)]
    sent = await broker.request(names)
    launched = await broker.launches(AGENTS)
    await broker.release(names)
    return [(launched[name] - sent) / 1e6 for name in names]


async def run() -> Mapping[str, Figure]:
    """Several rounds against one broker, after one that is not counted."""
    with tempfile.TemporaryDirectory(prefix="agentbroker-bench-") as folder:
        async with _recording_broker(Path(folder)) as broker:
            await _one_round(broker, 0)
            rounds = [await _one_round(broker, number) for number in range(1, ROUNDS + 1)]
    return {
        "request_to_call_p50_ms_100": _figure(rounds, 50, "<= 60"),
        "request_to_call_p99_ms_100": _figure(rounds, 99, "<= 150"),
        **await over_provision_step(),
    }


def _figure(rounds: list[list[float]], percent: int, target: str) -> Figure:
    each = [percentile(times, percent) for times in rounds]
    how = (
        f"{AGENTS} agents in one RequestAgents over gRPC to a broker in its own process (SQLite, synchronous=FULL); "
        f"from the send to the call of the backend's launch(), each agent; the median of {ROUNDS} rounds "
        f"({min(each):.1f} to {max(each):.1f}), after one not counted"
    )
    return Figure(value=round(statistics.median(each), 3), unit="ms", target=target, how=how)


PROVISIONING: Final = Benchmark(
    name="provisioning",
    summary="from Jenkins' request to the call of a backend, and agents launched for each build",
    run=run,
)
