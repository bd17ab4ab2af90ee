"""Real brokers killed for real: one after the other over one state directory, each armed for one agent.

Instances are counted where they are (in /proc, in the engine's list), never by asking the broker.
"""

import asyncio
import hashlib
import json
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import grpc
import grpc.aio
import yaml

from broker.domain.ids import AgentId
from broker.keys import open_keyring
from broker.wire.v1 import agents_pb2 as wire
from broker.wire.v1.agents_pb2_grpc import AgentsStub
from tests.crash.gateway import StandIn
from tests.crash.plans import Cell

_ROOT: Final = Path(__file__).parents[2]
_CONTROLLER: Final = "main"
_CELL_S: Final = 40.0
_SEARCHED: Final = "orphan_found"
"""The log's word for an instance that nothing but the search has ended: it comes after half a minute."""
_STARTS_S, _BUILDS_S, _QUIET_S = 0.3, 0.3, 0.4
"""Of an instance until its agent knocks, of a build, and for which nothing may come back at the end."""


class Ground(Protocol):
    """Where the instances are."""

    def pool(self) -> dict[str, Any]:
        """The pool's keys in the config."""
        ...

    def backends(self) -> dict[str, Any]:
        """The config's backends."""
        ...

    def template(self) -> dict[str, Any]:
        """The template's keys."""
        ...

    async def living(self) -> set[tuple[str, int]]:
        """The instances that exist now: the agent's id and the attempt."""
        ...

    async def stop(self, agent_id: str, attempt: int) -> None:
        """Makes an instance end by itself."""
        ...

    async def remove_all(self) -> None:
        """Ends whatever a test that failed has left."""
        ...

    def starts(self) -> list[str]:
        """Every start of an instance that ever was, by a name that is its own."""
        ...


@dataclass(slots=True)
class Life:
    """What Jenkins knows of one agent, and what was seen of it."""

    name: str
    cell: Cell
    asked: bool = False
    node: bool = False
    built: bool = False
    given_back: bool = False
    online_at: float | None = None
    seen_at: dict[tuple[str, int], float] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)


class Killing:
    """The chain of brokers, with Jenkins and gateway beside it."""

    def __init__(self, root: Path, ground: Ground) -> None:
        self.ground = ground
        self.token = secrets.token_hex(32)
        self.state, self.keys, self.log = root / "state", root / "keys", root / "broker.log"
        self.config = root / "broker.yaml"
        self.config.write_text(yaml.safe_dump(self._config()))
        self.config.chmod(0o600)
        self.gateway = StandIn(self.state / "control.sock", _CONTROLLER)
        self.boot = secrets.token_hex(8)
        self._process: asyncio.subprocess.Process | None = None
        self._pid = 0
        self._ended: int | None = None
        self._stub: Any = None
        self._channel: grpc.aio.Channel | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Killing"]:
        """Ends the last broker and whatever is left of its agents."""
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.crash.killed_broker", str(self.config)),
                cwd=_ROOT,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        async with self.gateway.running():
            try:
                yield self
            finally:
                await self._kill()
                assert self._process.stdin is not None
                self._process.stdin.close()
                await self._process.wait()
                if self._channel is not None:
                    await self._channel.close()
                await self.ground.remove_all()

    async def run(self, cells: Sequence[Cell], *, to_the_end: bool = False) -> dict[Cell, list[str]]:
        """What does not hold, by cell. The broker that takes one cell's agent up is the one that dies in the next.

        Stops at the first cell in which something does not hold, but for `to_the_end`.
        """
        lives = [Life(f"agent-{n:03d}", cell) for n, cell in enumerate(cells)]
        found: dict[Cell, list[str]] = {}
        for life, after in zip(lives, [*lives[1:], None], strict=True):
            if not self._pid:
                await self._start(life)
            found[life.cell] = await self._live(life, after)
            if found[life.cell] and not to_the_end:
                break
        return found

    async def _live(self, life: Life, after: Life | None) -> list[str]:
        died = False
        loop = asyncio.get_running_loop()
        end, quiet_since = loop.time() + _CELL_S, loop.time()
        while loop.time() < end and not life.broken:
            if await self._has_died():
                died = True
                await self._start(after)
            await self._tick(life)
            if not (died and await self._is_over(life)):
                quiet_since = loop.time()
            elif loop.time() - quiet_since >= _QUIET_S:
                return self._judge(life)
            await asyncio.sleep(0.02)
        if not died:
            life.broken.append("the broker was never at this point")
            await self._kill()
            await self._start(after)
        return life.broken or [f"not over: {life}, {await self.ground.living()}"]

    async def _is_over(self, life: Life) -> bool:
        return life.given_back and not life.node and not await self.ground.living()

    def _judge(self, life: Life) -> list[str]:
        starts = self.ground.starts()
        if len(starts) != len(set(starts)):
            life.broken.append(f"an attempt was started twice: {starts}")
        if len(life.seen_at) > life.cell.plan.most_instances:
            life.broken.append(f"too many instances: {list(life.seen_at)}")
        if self.gateway.sessions:
            life.broken.append("a session is left")
        if _SEARCHED in self.log.read_text(errors="replace"):
            life.broken.append("an instance was left to the search for orphans")
        return life.broken

    async def _tick(self, life: Life) -> None:
        now = asyncio.get_running_loop().time()
        living = await self.ground.living()
        for key in living:
            life.seen_at.setdefault(key, now)
        if len({agent_id for agent_id, _ in living}) != len(living) or len(living) > 1:
            life.broken.append(f"more than one instance lives: {living}")
        for agent_id in self.gateway.sessions.keys() - {agent_id for agent_id, _ in living}:
            self.gateway.lose(agent_id)
        for agent_id, attempt in living:
            if agent_id not in self.gateway.sessions and now - life.seen_at[agent_id, attempt] >= _STARTS_S:
                if life.cell.plan.fails is not None and attempt == 1:
                    await self.ground.stop(agent_id, attempt)
                else:
                    self._knock(life, agent_id, attempt)
        try:
            await self._jenkins(life, now)
        except grpc.aio.AioRpcError as error:
            if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                raise

    def _knock(self, life: Life, agent_id: str, attempt: int) -> None:
        keyring = open_keyring(self.keys, None)
        self.gateway.knock(life.name, keyring.mint(AgentId(agent_id), attempt))

    async def _jenkins(self, life: Life, now: float) -> None:
        meta, boot = (("authorization", f"Bearer {self.token}"),), self.boot
        call = {"metadata": meta, "timeout": 2.0}
        if not life.asked:
            secret = hashlib.sha256(life.name.encode()).hexdigest()
            asked = wire.AgentRequest(name=life.name, policy="linux", secret=secret)
            reply = await self._stub.RequestAgents(wire.RequestAgentsRequest(boot_id=boot, agents=[asked]), **call)
            assert reply.answers[0].accepted, reply
            life.asked = life.node = True
        online = any(session.name == life.name for session in self.gateway.sessions.values())
        life.online_at = life.online_at or (now if online else None)
        life.built = life.built or (online and life.online_at is not None and now - life.online_at >= _BUILDS_S)
        busy = life.online_at is not None and not life.built
        node = wire.Node(name=life.name, online=online, accepting=not busy, busy=busy, uses=int(life.built))
        sync = wire.SyncNodesRequest(boot_id=boot, nodes=[node] if life.node else [])
        truth = await self._stub.SyncNodes(sync, **call)
        if life.name in truth.unknown:
            life.broken.append("Jenkins was told that its agent is not known")
        if any(removal.name == life.name for removal in truth.remove):
            life.node, life.given_back = False, life.given_back or life.built
        if life.node and life.built:
            given = wire.AgentRelease(name=life.name, cause=wire.RELEASE_CAUSE_COMPLETED, uses=1)
            await self._stub.ReleaseAgents(wire.ReleaseAgentsRequest(boot_id=boot, agents=[given]), **call)
            life.given_back, life.node = True, False

    # the brokers

    async def _start(self, life: Life | None) -> None:
        point = [life.cell.write, life.cell.column.value, life.name] if life else []
        process = self._process
        assert process is not None
        assert process.stdin is not None
        process.stdin.write(json.dumps(point).encode() + b"\n")
        self._pid, self._ended = int(await self._said("pid")), None
        port = await self._said("port", "ended")
        if self._ended is not None:  # it was at its point before it served
            return
        if self._channel is not None:
            await self._channel.close()
        self._channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        self._stub = AgentsStub(self._channel)  # type: ignore[no-untyped-call] # generated

    async def _said(self, *words: str) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        async with asyncio.timeout(60):
            word, _, value = (await self._process.stdout.readline()).decode().strip().partition(" ")
        assert word in words, f"{word} {value}: {self.log.read_text(errors='replace')[-3000:]}"
        if word == "ended":
            self._ended = int(value)
        return value

    async def _has_died(self) -> bool:
        if self._ended is None:
            try:
                async with asyncio.timeout(0.001):
                    await self._said("ended")
            except TimeoutError:
                return False
        assert self._ended == -signal.SIGKILL, self.log.read_text(errors="replace")[-3000:]
        return True

    async def _kill(self) -> None:
        if self._pid and self._ended is None:
            os.kill(self._pid, signal.SIGKILL)
            await self._said("ended")

    def _config(self) -> dict[str, Any]:
        listen = {"listen": "127.0.0.1:0"}
        retry = {"retry": {"attempts": 3, "backoff": "1s..2s"}}
        return {
            "version": 1,
            "server": {"http": listen, "grpc": listen, "state_dir": str(self.state), "keys_dir": str(self.keys)},
            "controllers": {
                _CONTROLLER: {
                    "url": "http://127.0.0.1:9/",
                    "token_sha256": hashlib.sha256(self.token.encode()).hexdigest(),
                }
            },
            "gateway": {"websocket": listen},
            "backends": self.ground.backends(),
            "pools": {"here": self.ground.pool()},
            "templates": {"here": self.ground.template()},
            "policies": {"linux": {"labels": ["linux"], "template": "here", "pools": ["here"], **retry}},
        }
