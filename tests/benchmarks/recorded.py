"""A running `recording_broker`, seen from Jenkins' side."""

import asyncio
import hashlib
import json
import secrets
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import grpc.aio
import yaml

from broker.wire.v1 import agents_pb2 as wire
from broker.wire.v1 import agents_pb2_grpc

_LAUNCHED_S: Final = 30.0
_ASK_S: Final = 0.3
"""Seldom: the answer costs the broker time."""
_MOST_A_CALL: Final = 1000
DEAD: Final = ("hanging", "refusing")
"""Policies with a pool and a backend each: the first dies and lives as it is told, the second refuses everything."""


class Recorded:
    """Asks for agents and gives them back; tells when which was launched, in monotonic nanoseconds."""

    def __init__(self, process: asyncio.subprocess.Process, channel: grpc.aio.Channel, token: str) -> None:
        """Of a broker that runs."""
        self._process = process
        self._token = (("authorization", f"Bearer {token}"),)
        self._stub: Any = agents_pb2_grpc.AgentsStub(channel)  # type: ignore[no-untyped-call] # generated
        self._boot_id = secrets.token_hex(8)
        self.gone: dict[str, int] = {}
        """When the backend has first said that an agent's instance is no more."""

    async def greet(self) -> None:
        """The handshake."""
        request = wire.HandshakeRequest(api_version=1, boot_id=self._boot_id)
        await self._stub.Handshake(request, metadata=self._token)

    async def request(self, names: Sequence[str], policy: str = "linux") -> int:
        """Asks for all of them, in as few calls as may be; gives the time when the first was sent."""
        sent = time.monotonic_ns()
        for start in range(0, len(names), _MOST_A_CALL):
            some = names[start : start + _MOST_A_CALL]
            agents = [wire.AgentRequest(name=n, policy=policy, secret=secrets.token_hex(32)) for n in some]
            request = wire.RequestAgentsRequest(boot_id=self._boot_id, agents=agents)
            reply = await self._stub.RequestAgents(request, metadata=self._token)
            refused = [answer for answer in reply.answers if not answer.accepted]
            assert not refused, refused[:3]
        return sent

    async def launches(self, count: int, within_s: float = _LAUNCHED_S, every_s: float = _ASK_S) -> dict[str, int]:
        """The next launches, by name; TimeoutError when there are not as many in time."""
        seen: dict[str, int] = {}
        async with asyncio.timeout(within_s):
            while len(seen) < count:
                await asyncio.sleep(every_s)
                seen |= (await self._recorded())["launches"]
        return seen

    async def give_back(self, names: Sequence[str]) -> int:
        """Releases them; gives the time when that was sent."""
        cause = wire.RELEASE_CAUSE_CANCELLED
        given = [wire.AgentRelease(name=name, cause=cause) for name in names]
        request = wire.ReleaseAgentsRequest(boot_id=self._boot_id, agents=given)
        sent = time.monotonic_ns()
        await self._stub.ReleaseAgents(request, metadata=self._token)
        return sent

    async def release(self, names: Sequence[str]) -> None:
        """Gives all of them back, and returns when no instance is left."""
        await self.give_back(names)
        async with asyncio.timeout(_LAUNCHED_S):
            while True:
                await asyncio.sleep(_ASK_S)
                if not (await self._recorded())["instances"]:
                    break
        await asyncio.sleep(1)  # the last rows reach gone

    async def die(self) -> None:
        """From now on the backend of policy `hanging` gives no answer."""
        await self._recorded(b"die\n")

    async def revive(self) -> None:
        """It answers again."""
        await self._recorded(b"revive\n")

    async def mortals(self, count: int, within_s: float = _LAUNCHED_S) -> None:
        """Returns when so many instances of policy `hanging` exist."""
        async with asyncio.timeout(within_s):
            while True:
                if (await self._recorded())["mortal"] == count:
                    break
                await asyncio.sleep(_ASK_S)

    async def profile(self) -> None:
        """Begins a profile of the broker, or tells it on stderr."""
        await self._recorded(b"profile\n")

    async def _recorded(self, line: bytes = b"\n") -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line)
        recorded: dict[str, Any] = json.loads(await self._process.stdout.readline())
        self.gone |= recorded["gone"]
        return recorded


@asynccontextmanager
async def recorded(folder: Path, policy: Mapping[str, object] | None = None) -> AsyncIterator[Recorded]:
    """A broker whose one policy, `linux`, has these keys too; it has ended when this returns."""
    token = secrets.token_hex(32)
    config = folder / "broker.yaml"
    config.write_text(yaml.safe_dump(_config(folder, token, policy or {})))
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
            broker = Recorded(process, channel, token)
            await broker.greet()
            yield broker
        process.stdin.close()
        async with asyncio.timeout(30):
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _config(folder: Path, token: str, policy: Mapping[str, object]) -> dict[str, object]:
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
        "backends": {name: {"type": "container"} for name in DEAD},
        "templates": {"dead": {"image": "none"}},
        "pools": {
            "local": {"backend": "process", "command": ["true"]},
            **{name: {"backend": name} for name in DEAD},
        },
        "policies": {
            "linux": {"labels": ["linux"], "pools": ["local"], **policy},
            **{name: {"labels": [name], "pools": [name], "template": "dead"} for name in DEAD},
        },
    }
