"""A whole control plane over a fake cloud, and ways to take its database away from it."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import grpc.aio
from sqlalchemy import event

from broker.app import Broker, Wiring, running_broker
from broker.config.load import load
from broker.domain.ids import BackendName
from broker.reconcile.loop import Pace
from broker.store.engine import Database
from broker.testing.backend import FakeBackend, Ledger
from broker.wire.v1 import agents_pb2 as wire
from broker.wire.v1.agents_pb2_grpc import AgentsStub
from tests.integration.rpc.world import TOKEN, bearer, request, sha256
from tests.integration.serve.world import config, write

WAIT_S: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A running broker as the outside sees it."""

    broker: Broker
    ledger: Ledger
    stub: AgentsStub
    http: aiohttp.ClientSession

    async def ask(self, *names: str, **changes: str) -> tuple[grpc.StatusCode, str]:
        """Requests agents; status and text of the answer."""
        try:
            reply = await self.stub.RequestAgents(request(*names, **changes), metadata=bearer(TOKEN), timeout=20)
        except grpc.aio.AioRpcError as error:
            return error.code(), error.details() or ""
        assert isinstance(reply, wire.RequestAgentsReply)
        return grpc.StatusCode.OK, ""

    async def store_line(self) -> str:
        """What /readyz says of the store."""
        async with self.http.get(f"http://127.0.0.1:{self.broker.http_port}/readyz") as reply:
            lines = (await reply.text()).splitlines()
        return next((line for line in lines if line.startswith("store")), str(lines))

    async def alive(self) -> bool:
        async with self.http.get(f"http://127.0.0.1:{self.broker.http_port}/healthz") as reply:
            return reply.status == 200

    async def launched(self, count: int) -> None:
        """Waits for so many launches; more, or one twice, is a failure."""
        await until(lambda: _true(self.ledger.total_created() >= count))
        assert set(self.ledger.created.values()) <= {1}
        assert self.ledger.total_created() == count


async def _true(value: bool) -> bool:
    return value


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not await condition():
        assert time.monotonic() < deadline, "it did not come"
        await asyncio.sleep(0.05)


@asynccontextmanager
async def running_world(root: Path, ledger: Ledger | None = None, **server: Any) -> AsyncIterator[World]:
    """A broker with its state below `root`; the ledger is the cloud, which outlives it."""
    ledger = ledger or Ledger()
    content = config(root, **server)
    content["controllers"]["main"]["token_sha256"] = sha256(TOKEN)
    loaded = load(write(root, content))
    wiring = Wiring(backends={BackendName("process"): FakeBackend(ledger)}, pace=Pace(workers=8, poll_s=0.1))
    async with (
        running_broker(loaded, wiring) as broker,
        grpc.aio.insecure_channel(f"127.0.0.1:{broker.grpc_port}") as channel,
        aiohttp.ClientSession() as http,
    ):
        stub = AgentsStub(channel)  # type: ignore[no-untyped-call] # generated
        yield World(broker=broker, ledger=ledger, stub=stub, http=http)


@contextmanager
def told(database: Database, before: str, after: str) -> Iterator[None]:
    """Has SQLite itself fail: `before` is run on every connection that is used in the block, `after` later on."""
    pool, statement = database._backing.writer.sync_engine.pool, [before]

    def tell(connection: Any, *_: object) -> None:
        cursor = connection.cursor()
        cursor.execute(statement[0])
        cursor.close()

    event.listen(pool, "checkout", tell)
    try:
        yield
    finally:
        statement[0] = after


@asynccontextmanager
async def locked_by_another_process(path: Path) -> AsyncIterator[None]:
    """Another process writes, and does not come to an end."""
    code = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); "
        "c.execute('BEGIN IMMEDIATE'); print('locked', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert await asyncio.to_thread(process.stdout.readline) == "locked\n"
        yield
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()
