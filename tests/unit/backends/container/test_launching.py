"""What a launch asks of an engine, and what an end is told as."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from broker.backends.container.backend import ContainerBackend
from broker.backends.container.engine import Engine
from broker.backends.container.observe import ending_of, without_secret
from broker.backends.container.ownership import Ownership
from broker.domain.ids import BackendName
from broker.domain.reason import Reason
from broker.errors import Throttled
from broker.testing.clock import ManualClock
from broker.testing.factories import make_pool, make_spec, make_template


class FakeDocker:
    """As much of the Docker API as a launch needs; the image comes by a fetch that tells its progress."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.images: set[str] = set()
        self.bodies: list[dict[str, object]] = []

    def app(self) -> web.Application:
        app = web.Application()
        app.add_routes(
            [
                web.get("/version", self.version),
                web.post("/v1.41/containers/create", self.create),
                web.post("/v1.41/images/create", self.pull),
                web.post("/v1.41/containers/{name}/start", self.start),
                web.get("/v1.41/containers/{name}/json", self.inspect),
            ]
        )
        return app

    async def version(self, _: web.Request) -> web.Response:
        return web.json_response({"ApiVersion": "1.41"})

    async def create(self, request: web.Request) -> web.Response:
        self.calls.append("create")
        body = await request.json()
        if body["Image"] not in self.images:
            return web.json_response({"message": f"No such image: {body['Image']}"}, status=404)
        self.bodies.append(body)
        return web.json_response({"Id": "1f"}, status=201)

    async def pull(self, request: web.Request) -> web.StreamResponse:
        self.calls.append(f"pull {request.query['fromImage']}:{request.query.get('tag', '')}".rstrip(":"))
        reply = web.StreamResponse(headers={"Content-Type": "application/json"})
        await reply.prepare(request)
        await reply.write(b'{"status": "Pulling from acme/agent"}\r\n')
        self.images.add(request.query["fromImage"])
        await reply.write(b'{"status": "Status: Downloaded newer image"}\r\n')
        return reply

    async def start(self, _: web.Request) -> web.Response:
        self.calls.append("start")
        return web.Response(status=204)

    async def inspect(self, _: web.Request) -> web.Response:
        return web.json_response({"message": "No such container"}, status=404)


@pytest.fixture
async def fake(tmp_path: Path) -> AsyncIterator[tuple[FakeDocker, ContainerBackend]]:
    docker = FakeDocker()
    runner = web.AppRunner(docker.app())
    await runner.setup()
    await web.UnixSite(runner, str(tmp_path / "d.sock")).start()
    engine = Engine(BackendName("here"), f"unix://{tmp_path}/d.sock")
    backend = ContainerBackend(engine, Ownership("ours", lambda text: text), ManualClock())
    yield docker, backend
    await backend.close()
    await runner.cleanup()


async def test_an_image_that_is_missing_is_fetched_and_one_that_is_there_is_not(
    fake: tuple[FakeDocker, ContainerBackend],
) -> None:
    docker, backend = fake
    template = make_template(image="acme/agent:1")
    await backend.launch(make_spec(1, template=template))
    await backend.launch(make_spec(2, template=template))
    assert docker.calls == ["create", "pull acme/agent:1", "create", "start", "create", "start"]


async def test_an_engine_that_does_not_get_on_keeps_nobody_waiting_for_long(tmp_path: Path) -> None:
    hangs = asyncio.Event()

    class Hanging(FakeDocker):
        async def create(self, request: web.Request) -> web.Response:
            await hangs.wait()
            return await super().create(request)

    runner = web.AppRunner(Hanging().app())
    await runner.setup()
    await web.UnixSite(runner, str(tmp_path / "d.sock")).start()
    engine = Engine(BackendName("here"), f"unix://{tmp_path}/d.sock", patience_s=0.2)
    async with asyncio.TaskGroup() as group:
        stuck = [group.create_task(engine.create(f"a{n}", {"Image": "x"}), name=f"create-{n}") for n in range(4)]
        await asyncio.sleep(0.1)
        with pytest.raises(Throttled, match="EngineBusy"):
            await engine.create("b", {"Image": "x"})
        for task in stuck:
            task.cancel()
    await engine.close()
    hangs.set()
    await runner.cleanup()


async def test_a_pool_that_pulls_always_asks_for_a_newer_image_first(fake: tuple[FakeDocker, ContainerBackend]) -> None:
    docker, backend = fake
    docker.images.add("acme/agent:1")
    spec = make_spec(template=make_template(image="acme/agent:1"), pool=make_pool(options={"pull": "always"}))
    await backend.launch(spec)
    assert docker.calls == ["pull acme/agent:1", "create", "start"]


async def test_a_container_may_do_nothing_that_an_ordinary_user_may_not(
    fake: tuple[FakeDocker, ContainerBackend],
) -> None:
    docker, backend = fake
    docker.images.add("acme/agent:1")
    await backend.launch(make_spec(template=make_template(image="acme/agent:1")))
    (body,) = docker.bodies
    host = body["HostConfig"]
    assert isinstance(host, dict)
    assert host["CapDrop"] == ["ALL"]
    assert host["CapAdd"] == []
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["PidsLimit"] == 4096
    assert host["Memory"] == host["MemorySwap"] == 512 << 20
    assert "Privileged" not in host
    assert "Entrypoint" not in body


@pytest.mark.parametrize(
    ("state", "limit", "words"),
    [
        ({"ExitCode": 137, "OOMKilled": True}, 64 << 20, "killed (out of memory, its limit is 64 MiB)"),
        (
            {"ExitCode": 137, "OOMKilled": False},
            64 << 20,
            "killed (out of memory, its limit is 64 MiB; or by a person)",
        ),
        ({"ExitCode": 137}, 0, "killed by SIGKILL: by a person, or the machine is out of memory"),
        ({"ExitCode": 1, "Error": "no such device"}, 0, "ended by itself: no such device"),
        (
            {"ExitCode": 0, "StartedAt": "2026-11-22T20:55:48.06Z", "FinishedAt": "2026-11-22T20:55:57.11Z"},
            0,
            "ended by itself 9 s after its start",
        ),
        ({"ExitCode": 0, "StartedAt": "0001-01-01T00:00:00Z", "FinishedAt": ""}, 0, "ended by itself"),
    ],
)
def test_an_end_is_told_in_words(state: dict[str, object], limit: int, words: str) -> None:
    code, reason, message = ending_of({"State": state, "HostConfig": {"Memory": limit}})
    assert (code, reason, message) == (state["ExitCode"], Reason.CONTAINER_EXITED, words)


def test_a_secret_at_the_place_where_a_long_line_is_cut_is_not_told_by_half() -> None:
    secret = "ab12" * 16
    told = {"Config": {"Env": [f"JENKINS_SECRET={secret}"]}}
    [line] = without_secret((f"{'x' * 380}{secret} and more",), told)
    assert line == "x" * 380 + "*** and more"
    [line] = without_secret(("x" * 1000,), told)
    assert line == "x" * 400


async def test_tags_of_the_template_are_labels_of_the_container_and_never_replace_those_that_make_it_ours(
    fake: tuple[FakeDocker, ContainerBackend],
) -> None:
    docker, backend = fake
    tags = {"team": "build", "agentbroker.installation": "somebody-elses"}
    await backend.launch(make_spec(1, template=make_template(image="acme/agent:1", tags=tags)))
    labels = docker.bodies[-1]["Labels"]
    assert isinstance(labels, dict)
    assert (labels["team"], labels["agentbroker.installation"]) == ("build", "ours")
