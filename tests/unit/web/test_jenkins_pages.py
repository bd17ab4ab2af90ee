"""`/jenkins/`: the files for a controller on another host."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from broker import jenkins_files
from broker.jenkins_files import ARCHIVE, JenkinsFiles
from broker.web.app import serving
from broker.web.jenkins import jenkins_routes

SCRIPT = b"// starts it"


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone with a script, a source and a jar."""
    root = tmp_path / "groovy"
    for name, body in (
        ("init.groovy.d/agentbroker.groovy", SCRIPT),
        ("src/Cloud.groovy", b"class Cloud {}"),
        ("src/test/Secret.groovy", b"not for Jenkins"),
        ("target/agentbroker-client.jar", b"PK"),
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(body)
    monkeypatch.setattr(jenkins_files, "_PACKAGE", tmp_path / "broker")
    return root


@pytest.fixture
async def get(clone: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of the pages."""
    app = web.Application()
    app.add_routes(jenkins_routes(JenkinsFiles()))
    async with serving(app) as port, aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        yield session


async def test_the_list_names_every_file_with_its_sha256_as_sha256sum_reads_it(get: aiohttp.ClientSession) -> None:
    async with get.get("/jenkins/") as reply:
        lines = [line for line in (await reply.text()).splitlines() if not line.startswith("#")]
    names = [ARCHIVE, "agentbroker.groovy", "agentbroker-client.jar", "src/Cloud.groovy"]
    assert [line.split("  ")[1] for line in lines] == names
    assert f"{hashlib.sha256(SCRIPT).hexdigest()}  agentbroker.groovy" in lines


async def test_a_file_comes_with_its_sha256_as_etag_and_only_when_it_has_changed(
    get: aiohttp.ClientSession, clone: Path
) -> None:
    async with get.get("/jenkins/agentbroker.groovy") as reply:
        assert (reply.status, await reply.read()) == (200, SCRIPT)
        etag = reply.headers["ETag"]
    assert etag == f'"{hashlib.sha256(SCRIPT).hexdigest()}"'
    async with get.get("/jenkins/agentbroker.groovy", headers={"If-None-Match": etag}) as reply:
        assert (reply.status, await reply.read(), reply.headers["ETag"]) == (304, b"", etag)
    (clone / "init.groovy.d/agentbroker.groovy").write_bytes(b"// another way")
    async with get.get("/jenkins/agentbroker.groovy", headers={"If-None-Match": etag}) as reply:
        assert (reply.status, await reply.read()) == (200, b"// another way")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("agentbroker-client.jar", "application/java-archive"),
        (ARCHIVE, "application/gzip"),
        ("src/Cloud.groovy", "text/plain"),
    ],
)
async def test_every_file_is_there_with_its_type_and_its_sum_beside_it(
    get: aiohttp.ClientSession, name: str, kind: str
) -> None:
    async with get.get(f"/jenkins/{name}") as reply:
        body = await reply.read()
        assert (reply.status, reply.content_type) == (200, kind)
        assert "Content-Encoding" not in reply.headers
    async with get.get(f"/jenkins/{name}.sha256") as reply:
        assert await reply.text() == f"{hashlib.sha256(body).hexdigest()}  {name}\n"
    async with get.head(f"/jenkins/{name}") as reply:
        assert reply.headers["ETag"] == f'"{hashlib.sha256(body).hexdigest()}"'


@pytest.mark.parametrize(
    "path", ["nothing", "src/test/Secret.groovy", "../broker.db", "%2e%2e/%2e%2e/etc/passwd", "src/", ".sha256"]
)
async def test_nothing_else_is_handed_out(get: aiohttp.ClientSession, path: str) -> None:
    async with get.get(f"/jenkins/{path}") as reply:
        assert reply.status == 404


async def test_a_distribution_without_the_files_says_how_to_build_it(get: aiohttp.ClientSession, clone: Path) -> None:
    (clone / "target/agentbroker-client.jar").unlink()
    async with get.get("/jenkins/") as reply:
        assert reply.status == 503
        assert "make jar" in await reply.text()
