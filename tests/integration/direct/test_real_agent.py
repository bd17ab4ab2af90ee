"""The real agent.jar in direct mode: as a pool of processes starts it, in every way that the config has."""

import asyncio
import base64
import os
from pathlib import Path

import pytest

from broker.backends.process.command import agent_arguments
from broker.backends.process.workplace import Workplace
from broker.config.load import parse
from broker.demo.sim.controller import SimController
from broker.domain.ids import InstanceRef, PoolName
from broker.testing.factories import make_spec
from tests.integration.sim.test_sessions import IDENTITY, until

pytestmark = [pytest.mark.agentjar, pytest.mark.timeout(120)]
SPKI = base64.b64encode(IDENTITY.spki).decode()


@pytest.mark.parametrize(
    ("keys", "shown"),
    [
        ("url: URL", "Trying protocol: JNLP4-connect"),
        ("url: URL, websocket: true", "WebSocket connection open"),
        ('tunnel: "HOST:PORT"', "Trying protocol: JNLP4-connect"),
        ('tunnel: ":PORT"', "Trying protocol: JNLP4-connect"),
        (f'tunnel: "HOST:PORT", instance_identity: {SPKI}', "Trying protocol: JNLP4-connect"),
    ],
)
async def test_the_real_agent_connects_to_jenkins_itself(keys: str, shown: str, tmp_path: Path) -> None:
    controller = SimController(identity=IDENTITY)
    async with controller.running():
        host, port = controller.address
        keys = keys.replace("URL", controller.url).replace("HOST", host).replace("PORT", str(port))
        config = f"version: 1\npools:\n  here: {{ backend: process, connect: direct, direct: {{ {keys} }} }}\n"
        direct = parse(config, env={}, starting=True).definitions.pools[PoolName("here")].direct
        assert direct is not None
        spec = make_spec(
            url=direct.url or controller.url,
            secret=controller.add("linux-000001"),
            websocket=direct.websocket,
            tunnel=direct.tunnel,
            identity=direct.instance_identity,
        )
        place = Workplace(tmp_path, InstanceRef("a-1"))
        place.remote.mkdir(parents=True)
        place.secret_file.write_text(spec.secret)
        log = tmp_path / "agent.log"
        words = [os.environ.get("AGENT_JAVA", "java"), "-jar", os.environ["AGENT_JAR"], *agent_arguments(spec, place)]
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(*words, stdout=output, stderr=output)
        try:
            await until(lambda: controller.sessions["linux-000001"] == 1)
            await until(lambda: shown in log.read_text())
            assert controller.shown[0].secret == spec.secret
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
