"""The real agent.jar takes what it is given. It finds no gateway here; that way is walked in the end-to-end tests."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from broker.domain.instance import InstanceState
from broker.testing.factories import make_pool, make_spec
from tests.contract.process_rig import ProcessRig

pytestmark = [pytest.mark.agentjar]


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[ProcessRig]:
    rig = ProcessRig(tmp_path)
    yield rig
    await rig.end_all()
    assert rig.marked() == {}
    assert list(rig.root.iterdir()) == []


@pytest.fixture
def java() -> str:
    found = os.environ.get("AGENT_JAVA") or shutil.which("java")
    assert found is not None, "AGENT_JAR is given but there is no java: set AGENT_JAVA"
    return found


async def output_with(rig: ProcessRig, ref: str, text: str) -> str:
    """The agent's output, once `text` is in it."""
    told = ""
    for _ in range(1000):
        told = (rig.root / ref / "output.log").read_text(errors="replace")
        if text in told:
            return told
        await rig.let_time_pass()
    raise AssertionError(f"{text!r} is not in: {told}")


async def test_it_reads_name_url_and_secret_and_is_ended(rig: ProcessRig, java: str) -> None:
    pool = make_pool(options={"java": java, "agent_jar": os.environ["AGENT_JAR"]})
    spec = make_spec(pool=pool, url="http://127.0.0.1:9/c/main/")
    ref = await rig.backend.launch(spec)
    told = await output_with(rig, ref, f"{spec.url}login")
    assert spec.name in told
    assert "Connection refused" in await output_with(rig, ref, "Connection refused")
    instance = await rig.instance(ref)
    assert instance is not None
    assert instance.state is InstanceState.RUNNING
    assert instance.last_lines
    assert (rig.root / ref / "remote" / "remoting").is_dir()
    ((_, words),) = (await rig.agents(ref)).items()
    assert f"-Djava.io.tmpdir={rig.root / ref / 'tmp'}" in words
    assert (rig.root / ref / "tmp").is_dir()
    assert not any(spec.secret in " ".join(words) for words in rig.command_lines().values())


async def test_the_secret_is_read_from_its_file_and_shown_at_the_gateway(rig: ProcessRig, java: str) -> None:
    shown: asyncio.Future[tuple[str, str]] = asyncio.get_running_loop().create_future()

    async def login(_: web.Request) -> web.Response:
        return web.Response()

    async def refuse(request: web.Request) -> web.Response:
        if not shown.done():
            shown.set_result((request.headers["Node-Name"], request.headers["Secret-Key"]))
        return web.Response(status=503)

    app = web.Application()
    app.add_routes([web.get("/c/main/login", login), web.get("/c/main/wsagents/", refuse)])
    async with TestServer(app) as server:
        pool = make_pool(options={"java": java, "agent_jar": os.environ["AGENT_JAR"]})
        spec = make_spec(pool=pool, url=str(server.make_url("/c/main/")))
        ref = await rig.backend.launch(spec)
        async with asyncio.timeout(30):
            assert await shown == (spec.name, spec.secret)
        await rig.end(ref)


def test_its_version_can_be_read(java: str, record_component: Callable[[str, str], None]) -> None:
    words = [java, "-jar", os.environ["AGENT_JAR"], "-version"]
    version = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout.strip()
    assert version
    record_component("agentjar", version)
