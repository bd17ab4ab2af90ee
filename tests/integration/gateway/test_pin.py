"""Who has not the controller's key gets nothing of an agent: not a byte within TLS."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from broker.demo.sim.agents import State
from broker.demo.sim.plans import Transport
from broker.demo.sim.wire import Wire
from broker.gateway.facts import Facts
from broker.inbound.pinned import server_context
from broker.inbound.preamble import ACK, Protocol, request
from tests.integration.gateway.bridge import IDENTITY, OTHER, bridge
from tests.integration.gateway.world import QUICK, until

VERSIONS = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])


class Impostor:
    """Speaks JNLP4 up to the end of TLS with a key of its own, and keeps what it is told then."""

    def __init__(self, version: ssl.TLSVersion) -> None:
        self.context = server_context(OTHER)
        self.context.minimum_version = self.context.maximum_version = version
        self.heard: list[bytes] = []
        self.port = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Impostor"]:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            listening.setblocking(False)
            self.port = listening.getsockname()[1]
            async with asyncio.TaskGroup() as group:
                task = group.create_task(self._serve(listening), name="impostor")
                try:
                    yield self
                finally:
                    task.cancel()

    async def _serve(self, listening: socket.socket) -> None:
        opening = request(Protocol.JNLP4) + ACK
        while True:
            sock, _ = await asyncio.get_running_loop().sock_accept(listening)
            wire, told = Wire(sock), b""
            while len(told) < len(opening):
                told += await wire.read_some(len(opening) - len(told))
            await wire.send(ACK)
            await wire.start_tls(self.context, server=True)
            heard = b""
            with suppress(OSError):
                while data := await wire.read():
                    heard += data
            self.heard.append(heard)
            wire.close()


@VERSIONS
@pytest.mark.parametrize("agents", list(Transport))
async def test_another_key_hears_nothing_within_tls(agents: Transport, version: ssl.TLSVersion, tmp_path: Path) -> None:
    async with Impostor(version).running() as impostor:
        facts = {"main": Facts(host="127.0.0.1", port=impostor.port, fixed=True)}
        async with bridge(tmp_path, agents, Transport.TCP, pin=IDENTITY.spki, facts=facts) as there:
            agent = await there.knocks("a1")
            assert agent.state is State.REFUSED
            await until(lambda: impostor.heard)
            assert impostor.heard == [b""]
            assert there.controller.shown == []


@VERSIONS
async def test_the_right_key_hears_the_agents_name(version: ssl.TLSVersion, tmp_path: Path) -> None:
    async with Impostor(version).running() as impostor:
        facts = {"main": Facts(host="127.0.0.1", port=impostor.port, fixed=True)}
        limits = replace(QUICK, dial_s=0.5)
        async with bridge(tmp_path, Transport.TCP, Transport.TCP, pin=OTHER.spki, facts=facts, limits=limits) as there:
            await there.knocks("a1")
            await until(lambda: impostor.heard)
            assert b'"Node-Name":"a1"' in impostor.heard[0]
