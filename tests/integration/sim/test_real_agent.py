"""The real agent.jar against a simulated controller, as far as one that speaks no remoting can go."""

import asyncio
import base64
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from broker.demo.sim.controller import SimController
from broker.demo.sim.misbehaviour import Behaviour, Kind
from broker.demo.sim.plans import Transport
from tests.integration.sim.test_sessions import BOTH, IDENTITY, until

pytestmark = [pytest.mark.agentjar, pytest.mark.timeout(120)]


@asynccontextmanager
async def agent_jar(controller: SimController, directory: Path, *options: str) -> AsyncIterator[Path]:
    """Runs the real agent; gives the file that it logs to."""
    secret = directory / "secret"
    secret.write_text(controller.add("a1"))
    words = [os.environ.get("AGENT_JAVA", "java"), "-jar", os.environ["AGENT_JAR"], "-name", "a1"]
    log = directory / "agent.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *words, "-secret", f"@{secret}", *options, stdout=output, stderr=output
        )
    try:
        async with asyncio.timeout(100):
            yield log
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def how(controller: SimController, transport: Transport) -> list[str]:
    return ["-url", controller.url, *(["-webSocket"] if transport is Transport.WEBSOCKET else [])]


@BOTH
async def test_the_real_agent_gets_in_and_takes_over_from_itself(transport: Transport, tmp_path: Path) -> None:
    controller = SimController(identity=IDENTITY)
    async with controller.running(), agent_jar(controller, tmp_path, *how(controller, transport)) as log:
        await until(lambda: "INFO: Connected" in log.read_text())
        await until(lambda: controller.sessions["a1"] == 1)
        cookie = controller.live["a1"].cookie
        assert controller.shown[0].cookie == ""
        controller.cut()
        await until(lambda: controller.sessions["a1"] == 2)
        assert controller.shown[-1].cookie == cookie
        if transport is Transport.TCP:
            confirmed = f"Remote identity confirmed: {IDENTITY.fingerprint}"
            await until(lambda: log.read_text().count(confirmed) == 2)


async def test_the_real_agent_logs_why_it_is_refused(tmp_path: Path) -> None:
    controller = SimController(identity=IDENTITY, behaviour=Behaviour(kind=Kind.REFUSES, text="come back in spring"))
    async with controller.running(), agent_jar(controller, tmp_path, *how(controller, Transport.TCP)) as log:
        await until(lambda: "come back in spring" in log.read_text())
        await until(lambda: "reconnect rejected, sleeping 10s" in log.read_text())
        assert "Terminated" not in log.read_text()


async def test_the_real_agent_names_the_proxy_protocol_first_when_it_is_started_with_direct(tmp_path: Path) -> None:
    controller = SimController(identity=IDENTITY)
    async with controller.running():
        host, port = controller.address
        identity = ["-instanceIdentity", base64.b64encode(IDENTITY.spki).decode()]
        async with agent_jar(controller, tmp_path, "-direct", f"{host}:{port}", *identity) as log:
            await until(lambda: controller.sessions["a1"] == 1)
            assert "JNLP4-connect-proxy" in log.read_text()


async def test_the_real_agent_does_not_notice_a_close_notify(tmp_path: Path) -> None:
    notifies = Behaviour(kind=Kind.CLOSE_NOTIFY, pause_s=1)
    controller = SimController(identity=IDENTITY, behaviour=notifies)
    async with controller.running(), agent_jar(controller, tmp_path, *how(controller, Transport.TCP)) as log:
        await until(lambda: controller.sessions["a1"] == 1)
        await until(lambda: not controller.live)
        await asyncio.sleep(3)
        assert "Terminated" not in log.read_text()
