"""Connections that say nothing make room for those that do."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from broker.demo.sim.agents import State
from broker.demo.sim.misbehaviour import Behaviour, Kind, Step
from broker.demo.sim.plans import Transport
from tests.integration.gateway.bridge import bridge
from tests.integration.gateway.world import QUICK, until

FEW = replace(QUICK, handshakes=4, newcomer_s=0.0, head_s=30.0)


@pytest.mark.parametrize("agents", list(Transport))
async def test_honest_agents_get_in_while_more_silent_ones_wait_than_may(agents: Transport, tmp_path: Path) -> None:
    async with bridge(tmp_path, agents, agents, limits=FEW) as there:
        address = there.port if agents is Transport.TCP else there.gateway.address.rsplit(":", 1)
        silent = [await asyncio.open_connection(*address) for _ in range(12)]
        for _, writer in silent:
            writer.write(b"\x00\x16Proto" if agents is Transport.TCP else b"GET /c/ma")
        for number in range(3):
            assert (await there.knocks(f"a{number}")).state is State.CONNECTED
        for reader, _ in silent[:8]:
            assert await asyncio.wait_for(reader.read(), 10) == b""
        for _, writer in silent:
            writer.close()


async def test_a_silent_agent_within_tls_makes_room_too(tmp_path: Path) -> None:
    async with bridge(tmp_path, Transport.TCP, Transport.TCP, limits=FEW) as there:
        quiet = Behaviour(kind=Kind.SILENT, step=Step.SECURED)
        known: dict[str, Any] = {
            "url": "",
            "address": there.port,
            "identity": there.identity,
        }  # they do not ask for the port first
        there.swarm.start(there.plan(f"q{number}", misbehaviour=quiet, **known) for number in range(8))
        await until(lambda: there.swarm.counts()[State.FAILED] >= 4, 20)
        assert (await there.knocks("a1")).state is State.CONNECTED
        await until(lambda: there.control.counts().dropped.get("driven_out", 0) >= 4)
