"""A container that ends while the engine reads about it: podman fails the whole look, and knows when asked again."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from broker.backends.container.engine import Engine
from broker.backends.container.errors import JustEnded
from broker.domain.ids import BackendName

WORDS = "read /proc/8589/cgroup: no such process"


class Podman:
    """Fails so many looks, then answers."""

    def __init__(self, fails: int) -> None:
        self.fails = fails

    async def answer(self, asked: web.Request) -> web.Response:
        """One call of the Docker API."""
        if asked.path == "/version":
            return web.json_response({"ApiVersion": "1.41"})
        if self.fails:
            self.fails -= 1
            return web.json_response({"cause": "no such process", "message": WORDS, "response": 500}, status=500)
        one = {"Id": "1f", "Names": ["/a"]}
        return web.json_response([one] if asked.path.endswith("/containers/json") else one)


@pytest.fixture
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Engine]:
    app = web.Application()
    app.add_routes([web.route("*", "/{any:.*}", Podman(request.param).answer)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, str(tmp_path / "e.sock")).start()
    engine = Engine(BackendName("here"), f"unix://{tmp_path}/e.sock")
    yield engine
    await engine.close()
    await runner.cleanup()


@pytest.mark.parametrize("engine", [2], indirect=True)
async def test_a_listing_is_asked_for_again(engine: Engine) -> None:
    [seen] = await engine.list("a=b")
    assert seen.id == "1f"


@pytest.mark.parametrize("engine", [2], indirect=True)
async def test_an_inspection_is_asked_for_again(engine: Engine) -> None:
    seen = await engine.inspect("a")
    assert seen is not None
    assert seen["Id"] == "1f"


@pytest.mark.parametrize("engine", [1_000], indirect=True)
async def test_an_engine_that_never_knows_is_not_asked_for_ever(engine: Engine) -> None:
    with pytest.raises(JustEnded, match="no such process"):
        await engine.list("a=b")
