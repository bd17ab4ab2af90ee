"""An ECS API whose tasks are real containers, written by others: ministack, over the engine of the tests.

What a request of ours becomes there: the image, the container's environment with the overrides of RunTask, its
command, binds (`volumes` with a host path) and the network mode are the container's. ministack leaves aside
`entryPoint`, `user`, `readonlyRootFilesystem`, sizes and limits, `clientToken`, placement and the subnets of a call; it
knows every cluster by name and has neither quotas nor throttles. So an image with an entrypoint of its own runs here.
"""

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiobotocore.session import get_session

from broker.domain.ids import AgentId
from broker.inbound.discovery import agent_url
from tests.emulators import credentials, ministack_server, version_of
from tests.integration.gateway.world import World, until
from tests.podman import INBOUND_IMAGE, TestEngine

pytestmark = [pytest.mark.component("podman"), pytest.mark.component("ministack"), pytest.mark.timeout(120)]

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def ministack(
    container_engine: TestEngine, tmp_path: Path, record_component: Callable[[str, str], None]
) -> Iterator[str]:
    record_component("ministack", version_of("ministack"))
    with ministack_server(tmp_path, container_engine.address) as url:
        yield url


@pytest.fixture
def bridge(container_engine: TestEngine) -> Iterator[str]:
    with container_engine.bridge() as address:
        yield address


@pytest.fixture
async def ecs(ministack: str) -> AsyncIterator[Any]:
    async with get_session().create_client("ecs", endpoint_url=ministack, **credentials()) as client:
        yield client


@asynccontextmanager
async def gateway(directory: Path, address: str) -> AsyncIterator[World]:
    """A gateway that containers on the bridge find at `address`."""
    world = World(directory)
    world.controller.deaf = "a1"  # an echo would be no build
    async with world.running(listen_host=address):
        yield world


def definition(engine: TestEngine, shared: Path) -> dict[str, Any]:
    """A task whose container has this machine's programs, the repository, and a directory that the test reads."""
    mounts = engine.mounts(shared, read_only=(REPOSITORY, Path(sys.base_prefix).resolve()))
    names = {mount.target: f"volume-{n}" for n, mount in enumerate(mounts)}
    container = {
        "name": "agent",
        "image": INBOUND_IMAGE,
        "essential": True,
        "memory": 256,
        "environment": [
            {"name": "PYTHONPATH", "value": str(REPOSITORY)},
            {"name": "JENKINS_JAVA_BIN", "value": f"{Path(sys.executable).resolve()} -m broker.demo.agent"},
        ],
        "mountPoints": [
            {"sourceVolume": names[mount.target], "containerPath": mount.target, "readOnly": mount.read_only}
            for mount in mounts
        ],
    }
    volumes = [{"name": names[mount.target], "host": {"sourcePath": mount.source}} for mount in mounts]
    return {
        "family": "agentbroker-test",
        "networkMode": "bridge",
        "containerDefinitions": [container],
        "volumes": volumes,
    }


async def test_a_task_is_a_real_container_whose_agent_comes_in_through_the_gateway(
    ecs: Any, bridge: str, container_engine: TestEngine, tmp_path: Path
) -> None:
    registered = await ecs.register_task_definition(**definition(container_engine, tmp_path))
    arn = registered["taskDefinition"]["taskDefinitionArn"]
    async with gateway(tmp_path, bridge) as world:
        environment = {
            "JENKINS_URL": agent_url(f"ws://{world.gateway.address}", "main"),  # type: ignore[union-attr]
            "JENKINS_AGENT_NAME": "a1",
            "JENKINS_SECRET": world.mint(),
            "JENKINS_WEB_SOCKET": "true",
        }
        override = {"name": "agent", "environment": [{"name": n, "value": v} for n, v in environment.items()]}
        ran = await ecs.run_task(
            taskDefinition=arn,
            cluster="ci",
            startedBy="agentbroker/test",
            tags=[{"key": "agentbroker:launch", "value": "l1"}],
            overrides={"containerOverrides": [override]},
        )
        [task] = ran["tasks"]
        await until(lambda: world.control.live(AgentId("id-a1")), 20)
        listed = await ecs.list_tasks(cluster="ci", startedBy="agentbroker/test")
        assert listed["taskArns"] == [task["taskArn"]]
        await ecs.stop_task(cluster="ci", task=task["taskArn"], reason="over")
    told = await ecs.describe_tasks(cluster="ci", tasks=[task["taskArn"]], include=["TAGS"])
    assert told["tasks"][0]["lastStatus"] == "STOPPED"
    assert told["tasks"][0]["tags"] == [{"key": "agentbroker:launch", "value": "l1"}]
