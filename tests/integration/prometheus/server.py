"""A Prometheus of its own for a test: on loopback, on a port that the system chose, its data in a temporary folder."""

import asyncio
import re
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import yaml

COMMITTED = Path(__file__).parents[3] / "deploy" / "prometheus" / "prometheus.yml"
_LISTENING = re.compile(rb'msg="Listening on" address=127\.0\.0\.1:(\d+)')
_POLL_S = 0.25


def prometheus_version() -> str:
    """What the program says of itself."""
    said = subprocess.run(["prometheus", "--version"], capture_output=True, text=True, check=True, timeout=30)
    found = re.search(r"version (\S+)", said.stdout + said.stderr)
    assert found, said
    return found[1]


def config_for(target: str) -> str:
    """The committed scrape file with another target, scraped each second so that a test is short."""
    config = yaml.safe_load(COMMITTED.read_text())
    config["global"]["scrape_interval"] = "1s"
    [job] = config["scrape_configs"]
    job["static_configs"] = [{"targets": [target]}]
    return yaml.safe_dump(config)


class Prometheus:
    """Asks a running server."""

    def __init__(self, http: aiohttp.ClientSession, port: int) -> None:
        self._http = http
        self._url = f"http://127.0.0.1:{port}"

    async def query(self, expression: str) -> dict[str, float]:
        """The series of an instant query by their labels, those that are not a number left out."""
        async with self._http.get(f"{self._url}/api/v1/query", params={"query": expression}) as answer:
            body: dict[str, Any] = await answer.json()
        assert body["status"] == "success", f"{expression}: {body}"
        values = {str(sorted(row["metric"].items())): float(row["value"][1]) for row in body["data"]["result"]}
        return {labels: value for labels, value in values.items() if value == value}  # noqa: PLR0124 - NaN is not itself

    async def ready(self) -> bool:
        """Whether it has replayed its log and takes queries."""
        async with self._http.get(f"{self._url}/-/ready") as answer:
            return answer.status == 200

    async def answers(self, expression: str, limit_s: float = 60.0) -> dict[str, float]:
        """Asks until there is data. The first series shows 5 to 8 s after the start, whatever the scrape interval."""
        async with asyncio.timeout(limit_s):
            while True:
                if await self.ready() and (found := await self.query(expression)):
                    return found
                await asyncio.sleep(_POLL_S)


@asynccontextmanager
async def running(config: str, folder: Path) -> AsyncIterator[Prometheus]:
    """A server with this config, ended with the block."""
    file = folder / "prometheus.yml"
    file.write_text(config)
    options = [f"--config.file={file}", f"--storage.tsdb.path={folder / 'data'}", "--web.listen-address=127.0.0.1:0"]
    process = await asyncio.create_subprocess_exec("prometheus", *options, stderr=asyncio.subprocess.PIPE)
    assert process.stderr is not None
    try:
        async with asyncio.timeout(30):
            while not (listening := _LISTENING.search(await process.stderr.readline())):
                assert process.returncode is None
        async with asyncio.TaskGroup() as group, aiohttp.ClientSession() as http:
            reading = group.create_task(_read_on(process.stderr), name="prometheus:log")
            try:
                yield Prometheus(http, int(listening[1]))
            finally:
                reading.cancel()
    finally:
        process.kill()
        await process.wait()


async def _read_on(log: asyncio.StreamReader) -> None:
    while await log.read(65536):
        pass
