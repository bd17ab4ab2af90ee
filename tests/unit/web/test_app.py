"""The pages for monitoring, asked over a real socket."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence

import aiohttp
import pytest

from broker.domain.lifecycle import Phase
from broker.errors import StoreUnavailable
from broker.telemetry.metrics import Metrics
from broker.telemetry.readings import AgentCount, Readings
from broker.testing import factories
from broker.testing.clock import ManualClock
from broker.web import app as web_app
from broker.web.api.routes import PREFIX, ROUTES
from broker.web.app import CannotListen, Check, create_app, serving

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


@pytest.fixture
def metrics() -> Metrics:
    metrics = Metrics(ManualClock())
    metrics.define(factories.make_definitions())
    return metrics


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def ready() -> Sequence[Check]:
    return [Check(name="store", ok=True), Check(name="rpc", ok=True, detail="127.0.0.1:7071")]


async def get(http: aiohttp.ClientSession, port: int, path: str, accept: str = "*/*") -> tuple[int, str, str]:
    async with http.get(f"http://127.0.0.1:{port}{path}", headers={"Accept": accept}) as answer:
        return answer.status, await answer.text(), answer.headers["Content-Type"]


async def test_a_scrape_shows_what_the_broker_counts_at_that_moment(
    metrics: Metrics, http: aiohttp.ClientSession
) -> None:
    seen = iter([1, 2])

    async def read() -> Readings:
        count = AgentCount(
            controller=factories.CONTROLLER,
            policy=factories.POLICY,
            pool=factories.POOL,
            phase=Phase.ONLINE,
            agents=next(seen),
        )
        return Readings(agents=(count,))

    line = 'agentbroker_agents{controller="main",phase="online",policy="linux",pool="it"}'
    async with serving(create_app(metrics, ready, read)) as port:
        _, first, _ = await get(http, port, "/metrics")
        status, second, content_type = await get(http, port, "/metrics", OPENMETRICS)
    assert f"{line} 1.0" in first
    assert f"{line} 2.0" in second
    assert (status, content_type.split(";")[0]) == (200, "application/openmetrics-text")


async def test_a_scrape_fails_rather_than_show_old_numbers(metrics: Metrics, http: aiohttp.ClientSession) -> None:
    async def read() -> Readings:
        raise StoreUnavailable("state.db: disk I/O error")

    async with serving(create_app(metrics, ready, read)) as port:
        status, text, _ = await get(http, port, "/metrics")
    assert (status, text) == (503, "metrics cannot be read: state.db: disk I/O error\n")


async def test_healthz_answers_while_nothing_else_is_ready(metrics: Metrics, http: aiohttp.ClientSession) -> None:
    async def nothing() -> Sequence[Check]:
        return [Check(name="store", ok=False, detail="read-only")]

    async with serving(create_app(metrics, nothing)) as port:
        assert (await get(http, port, "/healthz"))[:2] == (200, "ok\n")


async def test_readyz_tells_each_part_in_a_line(metrics: Metrics, http: aiohttp.ClientSession) -> None:
    async with serving(create_app(metrics, ready)) as port:
        assert (await get(http, port, "/readyz"))[:2] == (200, "store: ok\nrpc: ok: 127.0.0.1:7071\n")


async def test_readyz_is_503_while_one_part_is_not_ready(metrics: Metrics, http: aiohttp.ClientSession) -> None:
    async def unlinked() -> Sequence[Check]:
        return [*await ready(), Check(name="gateway", ok=False, detail="no gateway is linked")]

    async with serving(create_app(metrics, unlinked)) as port:
        status, text, _ = await get(http, port, "/readyz")
    assert status == 503
    assert text.splitlines()[-1] == "gateway: not ready: no gateway is linked"


async def test_a_part_that_does_not_answer_makes_readyz_503_in_bounded_time(
    metrics: Metrics, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hangs() -> Sequence[Check]:
        await asyncio.Event().wait()
        return []

    monkeypatch.setattr(web_app, "ANSWER_S", 0.05)
    async with serving(create_app(metrics, hangs)) as port:
        assert (await get(http, port, "/readyz"))[:2] == (503, "readiness: not ready: no answer in 0.05 s\n")


async def test_nothing_else_is_served_and_nothing_can_be_sent(metrics: Metrics, http: aiohttp.ClientSession) -> None:
    async with serving(create_app(metrics, ready)) as port:
        assert (await get(http, port, "/"))[0] == 404
        async with http.post(f"http://127.0.0.1:{port}/metrics", data=b"x") as answer:
            assert answer.status == 405


async def test_without_an_address_only_this_machine_can_ask(metrics: Metrics) -> None:
    async with serving(create_app(metrics, ready)) as port:
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", port))
        with socket.create_server(("127.0.0.2", port)):
            pass  # free elsewhere: it does not listen on every address


async def test_a_port_in_use_is_named(metrics: Metrics) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotListen, match=rf"^cannot listen on 127\.0\.0\.1:{port} for HTTP: .*in use"):
            async with serving(create_app(metrics, ready), "127.0.0.1", port):
                pass


async def test_after_the_block_the_port_is_free_again(metrics: Metrics) -> None:
    async with serving(create_app(metrics, ready)) as port:
        pass
    with socket.create_server(("127.0.0.1", port)):
        pass


@pytest.mark.parametrize("accept", ["*/*", "text/event-stream"])
async def test_more_requests_than_it_answers_at_once_are_told_to_come_again_and_probes_are_not(
    metrics: Metrics, http: aiohttp.ClientSession, accept: str
) -> None:
    waiting, asked = asyncio.Event(), 0

    async def slowly() -> Sequence[Check]:
        nonlocal asked
        asked += 1
        await waiting.wait()
        return await ready()

    async def probe(port: int) -> tuple[int, str | None]:
        async with crowd.get(f"http://127.0.0.1:{port}/readyz", headers={"Accept": accept}) as answer:
            return answer.status, answer.headers.get("Retry-After")

    flood = 3 * web_app.MOST_AT_ONCE
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=flood)) as crowd,
        asyncio.TaskGroup() as group,
        serving(create_app(metrics, slowly)) as port,
    ):
        asking = [group.create_task(probe(port), name=f"probe:{n}") for n in range(flood)]
        first = asyncio.as_completed(asking)
        for _ in range(flood - web_app.MOST_AT_ONCE):
            assert await next(first) == (503, "1")
        assert {task.result() for task in asking if task.done()} == {(503, "1")}
        assert asked == web_app.MOST_AT_ONCE
        assert (await get(http, port, "/healthz"))[0] == 200
        waiting.set()
        await asyncio.wait(asking)
        assert [task.result()[0] for task in asking].count(200) == web_app.MOST_AT_ONCE
        assert (await get(http, port, "/readyz"))[0] == 200


def test_what_streams_is_what_the_table_of_routes_says() -> None:
    assert {PREFIX + route.path for route in ROUTES if route.streams} == {web_app.STREAMS}
