"""The real agent.jar at a gateway whose certificate is of a private CA, as a pool of processes starts it."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from broker.backends.bootstrap import start_of
from broker.backends.process.command import agent_arguments
from broker.backends.process.workplace import Workplace
from broker.demo.authority import Authority
from broker.domain.ids import InstanceRef
from broker.domain.template import Inject
from broker.ports import LaunchSpec
from broker.testing.factories import make_spec, make_template
from broker.tls import authorities_in
from tests.integration.gateway.world import World, until

pytestmark = [pytest.mark.agentjar, pytest.mark.timeout(120)]
NAME = "linux-000001"


@asynccontextmanager
async def running(words: list[str], log: Path, environment: dict[str, str] | None = None) -> AsyncIterator[None]:
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *words, stdout=output, stderr=output, env={**os.environ, **(environment or {})}
        )
    try:
        yield
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def gateway_of(authority: Authority, directory: Path) -> AsyncIterator[World]:
    pair = authority.issue(directory / "gateway", "gateway")
    world = World(directory)
    async with world.running(tls_cert=pair.certificate, tls_key=pair.key):
        yield world


def spec_at(world: World, file: Path | None, **template: object) -> LaunchSpec:
    host, port = world.address
    url = f"https://{host}:{port}/c/main/"
    made = make_template(image="image", remote_fs=str(world.socket.parent), **template)
    return make_spec(url=url, secret=world.mint(NAME), authorities=authorities_in(file)(), template=made)


def command(spec: LaunchSpec, directory: Path) -> list[str]:
    place = Workplace(directory, InstanceRef("a-1"))
    place.remote.mkdir(parents=True, exist_ok=True)
    place.secret_file.write_text(spec.secret)
    return [os.environ.get("AGENT_JAVA", "java"), "-jar", os.environ["AGENT_JAR"], *agent_arguments(spec, place)]


async def test_the_agent_trusts_a_gateway_of_the_ca_that_it_is_given(tmp_path: Path) -> None:
    authority, log = Authority("ours"), tmp_path / "agent.log"
    async with gateway_of(authority, tmp_path) as world:
        spec = spec_at(world, authority.write(tmp_path / "ca.crt"))
        async with running(command(spec, tmp_path), log):
            await until(lambda: world.controller.writers, 30)
            await until(lambda: "WebSocket connection open" in log.read_text(), 30)


async def test_the_ca_may_be_the_second_of_a_bundle(tmp_path: Path) -> None:
    authority, log, bundle = Authority("ours"), tmp_path / "agent.log", tmp_path / "ca.crt"
    bundle.write_bytes(Authority("another").pem + authority.pem)
    async with gateway_of(authority, tmp_path) as world, running(command(spec_at(world, bundle), tmp_path), log):
        await until(lambda: world.controller.writers, 30)


@pytest.mark.parametrize("given", ["another", None])
async def test_with_the_wrong_ca_or_none_the_agent_does_not_come_in(tmp_path: Path, given: str | None) -> None:
    log = tmp_path / "agent.log"
    async with gateway_of(Authority("ours"), tmp_path) as world:
        file = Authority(given).write(tmp_path / "ca.crt") if given else None
        async with running(command(spec_at(world, file), tmp_path), log):
            await until(lambda: "PKIX path building failed" in log.read_text(), 30)
            await asyncio.sleep(2)
            assert world.controller.writers == []


async def test_the_script_of_an_image_hands_the_ca_on_too(tmp_path: Path) -> None:
    authority, log = Authority("ours"), tmp_path / "agent.log"
    async with gateway_of(authority, tmp_path) as world:
        spec = spec_at(world, authority.write(tmp_path / "ca.crt"), inject=Inject.SCRIPT)
        start = start_of(spec, (os.environ.get("AGENT_JAVA", "java"), "-jar", os.environ["AGENT_JAR"]))
        environment = {**start.environment, "TMPDIR": str(tmp_path)}
        async with running([*(start.entrypoint or ()), *start.arguments], log, environment):
            await until(lambda: world.controller.writers, 30)
