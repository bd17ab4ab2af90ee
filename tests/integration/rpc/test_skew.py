"""Controllers of other versions: an older one lives with today's broker, and one too far apart is told of."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import grpc
import pytest
from structlog.testing import capture_logs

from broker.domain.lifecycle import Phase
from broker.domain.versions import too_far_apart
from tests.core import Core, real_secret
from tests.integration.rpc.world import TOKEN, bearer, handshake, running_api, stub

SKEW = Path(__file__).parent / "skew"
NAME = "linux-000001"


async def compiled(folder: Path) -> Path:
    """The stubs of the older API, made now: what is written by hand in the broker has no part in them."""
    command = ["-m", "grpc_tools.protoc", f"-I{SKEW}", f"--python_out={folder}", f"--grpc_python_out={folder}"]
    process = await asyncio.create_subprocess_exec(sys.executable, *command, "older_agents.proto", cwd=SKEW)
    assert await process.wait() == 0
    return folder


async def world_goes_on(core: Core) -> None:
    """The agent connects, and time passes, until the older controller has seen its end."""
    while True:
        for agent in await core.ctx.agents.live():
            if agent.phase in {Phase.LAUNCHING, Phase.BOOTING} and core.sessions.live(agent.id) is None:
                core.sessions.connect(agent)
        await core.advance(0.5)
        await asyncio.sleep(0.02)


async def test_an_older_controller_has_the_whole_life_of_an_agent(tmp_path: Path) -> None:
    stubs = await compiled(tmp_path)
    async with running_api(tmp_path) as api:
        arguments = [str(SKEW / "older_client.py"), str(api.port), TOKEN, NAME, real_secret(NAME)]
        environment = {**os.environ, "PYTHONPATH": str(stubs)}
        process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=PIPE, env=environment)
        async with asyncio.TaskGroup() as group:
            world = group.create_task(world_goes_on(api.core), name="world")
            out, _ = await asyncio.wait_for(process.communicate(), 90)
            world.cancel()
        assert process.returncode == 0
        told = json.loads(out)
        gone = await api.core.agent(NAME)
    assert (told["controller"], told["policies"], told["accepted"]) == ("main", ["linux"], [True])
    assert told["busy"] == [["online", 0, True]] or told["busy"] == [["online", 1, False]], told["busy"]
    assert (told["unknown"], told["removed"]) == ([], [[NAME, "Completed"]])
    assert told["phases"][-1] == "online"
    assert told["events"][-1] == "gone"
    assert (gone.phase, gone.uses) == (Phase.GONE, 1)
    assert api.core.backend.ledger.instances == {}


async def test_a_controller_that_is_too_far_apart_is_told_of_once_a_boot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.intake.VERSION", "1.7.0")
    async with running_api(tmp_path) as api, api.channel() as channel:
        agents = stub(channel)
        with capture_logs() as logs:
            for version in ("1.5.3", "1.9.0", "1.4.9", "1.4.9", "simulated", "2.0.0"):
                request = handshake(client_version=version)
                assert (await agents.Handshake(request, metadata=bearer(TOKEN), timeout=10)).controller == "main"
        told = [entry["message"] for entry in logs if entry["event"] == "controller_too_far_apart"]
        seen = api.core.ctx.presence.heard_of(next(iter(api.core.ctx.definitions.controllers)))
    assert told == [
        "the files in Jenkins are of version 1.4.9, this broker of 1.7.0: more than 2 minor versions apart; "
        "run: agentbroker init jenkins",
        "the files in Jenkins are of version 2.0.0, this broker of 1.7.0: more than 2 minor versions apart; "
        "upgrade the broker",
    ]
    assert seen is not None
    assert seen.client_version == "2.0.0"


@pytest.mark.parametrize(
    ("broker", "client", "told"),
    [
        ("1.4.0", "1.4.7", False),
        ("1.4.0", "1.2.0", False),
        ("1.4.0", "1.6.0-rc1", False),
        ("1.4.0", "1.1.0", True),
        ("1.4.0", "1.7.0", True),
        ("1.0.0", "0.9.0", True),
        ("1.4.0", "simulated", False),
        ("1.4.0", "", False),
        ("1.4.0", "1." + "9" * 60, False),
    ],
)
def test_two_minor_versions_are_near_enough(broker: str, client: str, *, told: bool) -> None:
    assert bool(too_far_apart(broker, client)) == told


async def test_a_newer_controller_meets_a_call_that_this_broker_lacks_and_goes_on(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api, api.channel() as channel:
        newer: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
            "/agentbroker.v1.Agents/CallOfTomorrow"
        )
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await newer(b"", metadata=bearer(TOKEN), timeout=10)
        assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert (await stub(channel).Handshake(handshake(), metadata=bearer(TOKEN), timeout=10)).controller == "main"
