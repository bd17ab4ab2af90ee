"""The controller's agent.jar is fetched seldom and never taken for something else."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from broker.backends.process.jars import AgentJars
from broker.domain.ids import ControllerName
from broker.domain.reason import Reason
from broker.errors import BackendRejected, Throttled
from broker.testing.clock import ManualClock

JAR = b"PK\x03\x04 one"
MAIN = ControllerName("main")


@dataclass
class Controller:
    """Serves a jar with an ETag, or what it is told to."""

    body: bytes = JAR
    status: int = 200
    fetched: int = 0
    asked: int = 0
    url: str = field(default="")

    async def serve(self, request: web.Request) -> web.Response:
        self.asked += 1
        etag = f'"{hash(self.body)}"'
        if request.headers.get("If-None-Match") == etag:
            return web.Response(status=304)
        self.fetched += 1
        return web.Response(status=self.status, body=self.body, headers={"ETag": etag})


@pytest.fixture
async def controller() -> AsyncIterator[Controller]:
    controller, app = Controller(), web.Application()
    app.router.add_get("/jenkins/jnlpJars/agent.jar", controller.serve)
    async with TestServer(app) as server:
        controller.url = str(server.make_url("/jenkins/"))
        yield controller


def jars_of(controller: Controller, tmp_path: Path, clock: ManualClock | None = None) -> AgentJars:
    return AgentJars(tmp_path / "cache", {MAIN: controller.url}.get, clock or ManualClock())


async def test_a_burst_of_launches_fetches_the_jar_once(controller: Controller, tmp_path: Path) -> None:
    jars = jars_of(controller, tmp_path)
    async with asyncio.TaskGroup() as group:
        paths = [group.create_task(jars.path(MAIN), name=f"jar-{i}") for i in range(8)]
    (path,) = {task.result() for task in paths}
    assert path.read_bytes() == JAR
    assert controller.asked == 1


async def test_after_ten_minutes_it_asks_whether_the_jar_has_changed(controller: Controller, tmp_path: Path) -> None:
    clock = ManualClock()
    jars = jars_of(controller, tmp_path, clock)
    first = await jars.path(MAIN)
    await clock.advance(601)
    assert await jars.path(MAIN) == first
    assert (controller.asked, controller.fetched) == (2, 1)
    controller.body = b"PK\x03\x04 two"
    await clock.advance(601)
    second = await jars.path(MAIN)
    assert second.read_bytes() == controller.body
    assert first.read_bytes() == JAR


async def test_a_controller_that_goes_away_leaves_the_jar_that_was_fetched(
    controller: Controller, tmp_path: Path
) -> None:
    clock = ManualClock()
    jars = jars_of(controller, tmp_path, clock)
    first = await jars.path(MAIN)
    controller.status, controller.body = 503, b"Jenkins is getting ready"
    await clock.advance(601)
    assert await jars.path(MAIN) == first


async def test_a_controller_that_is_starting_is_asked_later(controller: Controller, tmp_path: Path) -> None:
    controller.status = 503
    with pytest.raises(Throttled, match="503") as caught:
        await jars_of(controller, tmp_path).path(MAIN)
    assert caught.value.reason is Reason.CONTROLLER_UNREACHABLE


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [(404, b"", "AgentJarNotFound"), (403, JAR, "AgentJarNotFound"), (200, b"<html>", "AgentJarInvalid")],
)
async def test_what_is_no_jar_is_not_run(
    controller: Controller, tmp_path: Path, status: int, body: bytes, code: str
) -> None:
    controller.status, controller.body = status, body
    with pytest.raises(BackendRejected, match="is this the URL of a Jenkins") as caught:
        await jars_of(controller, tmp_path).path(MAIN)
    assert (caught.value.code, caught.value.reason) == (code, Reason.SETUP_FAILED)
    assert not (tmp_path / "cache").exists()


async def test_a_deleted_cache_is_filled_again(controller: Controller, tmp_path: Path) -> None:
    jars = jars_of(controller, tmp_path)
    (await jars.path(MAIN)).unlink()
    assert (await jars.path(MAIN)).read_bytes() == JAR


async def test_a_controller_that_is_not_in_the_config_is_said(controller: Controller, tmp_path: Path) -> None:
    with pytest.raises(BackendRejected, match="no controller other"):
        await jars_of(controller, tmp_path).path(ControllerName("other"))
