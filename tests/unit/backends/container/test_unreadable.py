"""Answers that are cut, no JSON, or not of an engine's form: the engine's fault, and no end of the broker's work."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from broker.backends.container.engine import Engine
from broker.domain.ids import BackendName
from broker.errors import OutcomeUnknown

ODD = [(200, b'[{"Id": "1f'), (500, b"<html>"), (500, b'{"cause": "none"}')]


@pytest.fixture(params=ODD, ids=["cut", "no JSON", "no message"])
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Engine]:
    """One that knows its version, and answers everything else oddly."""
    status, said = request.param

    async def answer(asked: web.Request) -> web.Response:
        version = asked.path == "/version"
        body = b'{"ApiVersion": "1.41"}' if version else said
        headers = {"Content-Type": "application/json"}
        return web.Response(body=body, headers=headers, status=200 if version else status)

    app = web.Application()
    app.add_routes([web.route("*", "/{any:.*}", answer)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, str(tmp_path / "e.sock")).start()
    engine = Engine(BackendName("here"), f"unix://{tmp_path}/e.sock")
    yield engine
    await engine.close()
    await runner.cleanup()


async def test_an_answer_that_nobody_can_read_leaves_the_outcome_open(engine: Engine) -> None:
    with pytest.raises(OutcomeUnknown, match="Unreadable"):
        await engine.list("a=b")
    with pytest.raises(OutcomeUnknown, match="Unreadable"):
        await engine.create("a", {"Image": "x"})
