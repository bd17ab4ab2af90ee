"""The real agent.jar in a real container through a real gateway, told who it is in every way there is."""

import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from broker.domain.ids import AgentId, AgentName
from broker.domain.resources import Resources
from broker.domain.template import Inject, Mount
from broker.inbound.discovery import agent_url
from broker.inbound.http import RequestHead, render
from broker.ports import LaunchSpec
from tests.contract.container_rig import ContainerRig
from tests.integration.gateway.world import FakeController, World, until
from tests.podman import IMAGE, INBOUND_IMAGE

pytestmark = [pytest.mark.agentjar, pytest.mark.component("podman"), pytest.mark.timeout(120)]
A1 = AgentId("id-a1")
JAR = "/opt/agent.jar"


class WithJar(FakeController):
    """A controller whose agent.jar is the real one."""

    def _reply(self, request: RequestHead) -> tuple[bytes, str]:
        if request.target == "/jenkins/jnlpJars/agent.jar":
            jar = Path(os.environ["AGENT_JAR"]).read_bytes()
            return render("HTTP/1.1 200 OK", [("Content-Length", str(len(jar)))]) + jar, ""
        return super()._reply(request)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path)
    world.controller = WithJar(deaf="a1")  # an echo would be no remoting
    async with world.running():
        yield world


def java_home() -> Path:
    """Of the java that runs agents; /usr is in the container anyway."""
    found = os.environ.get("AGENT_JAVA") or shutil.which("java")
    assert found is not None, "AGENT_JAR is given but there is no java: set AGENT_JAVA"
    return Path(found).resolve().parents[1]


def spec_of(rig: ContainerRig, world: World, inject: Inject, image: str, **env: str) -> LaunchSpec:
    assert world.gateway is not None
    home = java_home()
    mounts = [*rig.template().mounts, *([] if home.is_relative_to("/usr") else rig.engine.mounts(home)[-1:])]
    if "JENKINS_AGENT_FILE" in env:
        mounts.append(Mount(source=rig.engine.path(os.environ["AGENT_JAR"]), target=JAR, read_only=True))
    variables = {"JENKINS_JAVA_BIN": f"{home}/bin/java", "JENKINS_JAVA_OPTS": "-XX:+UseSerialGC -Xmx96m", **env}
    template = rig.template(
        image=image,
        inject=inject,
        user="1000:1000",
        mounts=tuple(mounts),
        env=variables,
        resources=Resources(memory_mib=384),
    )
    url = agent_url(f"ws://{world.gateway.address}", "main")
    return replace(rig.spec(), pool=rig.pool(), template=template, name=AgentName("a1"), url=url, secret=world.mint())


async def connect(rig: ContainerRig, world: World, spec: LaunchSpec) -> None:
    ref = await rig.backend.launch(spec)
    try:
        await until(lambda: world.control.live(A1), 40)
    except (AssertionError, TimeoutError) as error:
        raise AssertionError(await rig.instance(ref)) from error
    assert not any("Failed to connect" in line for line in await rig.backend._engine.last_lines(ref))


@pytest.mark.parametrize("inject", [Inject.ENV, Inject.ARGS, Inject.LEGACY])
async def test_an_image_with_an_entrypoint_for_agents_connects(rig: ContainerRig, world: World, inject: Inject) -> None:
    await connect(rig, world, spec_of(rig, world, inject, INBOUND_IMAGE, JENKINS_AGENT_FILE=JAR))


async def test_an_image_with_java_and_the_jar_connects_by_the_script(rig: ContainerRig, world: World) -> None:
    spec = spec_of(rig, world, Inject.SCRIPT, IMAGE, JENKINS_AGENT_FILE=JAR)
    await connect(rig, world, spec)
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not [line for line in lines if spec.secret.encode() in line]


async def test_an_image_with_java_alone_fetches_the_jar_through_the_gateway(rig: ContainerRig, world: World) -> None:
    await connect(rig, world, spec_of(rig, world, Inject.SCRIPT, IMAGE))
    assert any(request.target == "/jenkins/jnlpJars/agent.jar" for request in world.controller.requests)
