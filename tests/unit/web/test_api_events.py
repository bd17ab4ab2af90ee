"""Events as a list and as a stream."""

import asyncio
from pathlib import Path

import pytest

from broker.reconcile.context import Context
from broker.web.api import feed
from tests.unit.web.api_world import Api, running_api
from tests.unit.web.sse import Stream, streaming


async def noted(ctx: Context, count: int, message: str = "x") -> None:
    for n in range(count):
        await ctx.history.note("noted", actor="ana@127.0.0.1", message=f"{message} {n}")


async def take(stream: Stream, count: int) -> list[int]:
    return [(await stream.next()).data["number"] for _ in range(count)]


async def test_a_stream_tells_each_event_as_it_happens_with_its_number_as_id(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api, streaming(api.http, api.url("events")) as stream:
        await api.core.ask("linux-000001")
        await api.core.settle()
        messages = [await stream.next() for _ in range(3)]
    assert [m.event for m in messages] == ["event"] * 3
    assert [m.data["event"] for m in messages] == ["requested", "placed", "booting"]
    assert [m.id for m in messages] == [str(m.data["number"]) for m in messages]
    assert messages[0].data["kind"] == "Event"
    assert messages[1].data["agent"] == "linux-000001"


async def test_a_stream_that_breaks_is_resumed_with_each_event_exactly_once(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        seen: list[int] = []
        last_id: str | None = None
        for _ in range(5):
            async with streaming(api.http, api.url("events"), last_id) as stream:
                await noted(api.core.ctx, 3)
                seen += await take(stream, 2)
                last_id = stream.last_id
            await noted(api.core.ctx, 4)  # while nobody listens
        async with streaming(api.http, api.url("events"), last_id) as stream:
            last = await api.core.ctx.history.last_number()
            while seen[-1] < last:
                seen += await take(stream, 1)
            await noted(api.core.ctx, 1)
            seen += await take(stream, 1)
        kept = [e["number"] for e in (await api.get("events?after=0&limit=1000"))["items"]]
    assert seen == kept
    assert len(seen) == len(set(seen)) == 36


async def test_one_that_lacks_too_much_is_told_to_read_the_list_and_goes_on_from_there(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        await noted(api.core.ctx, feed.MOST_BEHIND + 1)
        async with streaming(api.http, api.url("events?after=0")) as stream:
            told = await stream.next()
            assert (told.event, told.data["kind"]) == ("resync", "Resync")
            missed = await api.get(f"events?after={told.data['after']}&limit=1000")
            assert [e["number"] for e in missed["items"]] == list(range(1, told.data["last"] + 1))
            assert told.id == str(told.data["last"])
            await noted(api.core.ctx, 1)
            assert (await stream.next()).data["number"] == told.data["last"] + 1


async def test_as_many_as_may_be_sent_are_sent(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        await noted(api.core.ctx, feed.MOST_BEHIND)
        async with streaming(api.http, api.url("events?after=0")) as stream:
            assert await take(stream, feed.MOST_BEHIND) == list(range(1, feed.MOST_BEHIND + 1))
            await noted(api.core.ctx, 1)
            assert await take(stream, 1) == [feed.MOST_BEHIND + 1], "none of them again"


async def test_an_id_of_another_database_is_answered_with_a_resync(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        await noted(api.core.ctx, 2)
        async with streaming(api.http, api.url("events"), "999999") as stream:
            told = await stream.next()
    assert (told.event, told.data["last"]) == ("resync", 2)


async def test_a_silent_stream_is_kept_alive_with_a_comment_and_moves_the_id_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "KEEP_ALIVE_S", 0.05)
    async with running_api(tmp_path) as api, streaming(api.http, api.url("events?pool=nowhere")) as stream:
        await noted(api.core.ctx, 3)
        with pytest.raises(TimeoutError):
            await stream.next(0.5)
        assert stream.last_id == "3"
        assert "nothing new" in stream.comments


async def test_a_slow_client_holds_nothing_but_its_place_and_hears_that_it_must_read_the_list(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        request = f"GET /api/v1/events HTTP/1.1\r\nHost: localhost:{api.port}\r\nAccept: text/event-stream\r\n\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", api.port, limit=1024)
        writer.write(request.encode())
        await reader.readuntil(b"id: 0\n\n")
        for _ in range(8):  # far more than all the buffers on the way hold: 30 MB
            await noted(api.core.ctx, 64, "x" * 60_000)
            await asyncio.sleep(0.02)
        last = await api.core.ctx.history.last_number()
        text, sent = b"", 0
        async with asyncio.timeout(30):
            while b"event: resync" not in text:
                chunk = await reader.read(65536)
                assert chunk, "the stream has ended"
                sent, text = sent + len(chunk), text[-100:] + chunk
        writer.close()
        await writer.wait_closed()
    assert sent < last * 60_000, "it was not sent everything"


async def test_a_client_that_does_not_read_at_all_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "_WRITE_S", 0.3)
    async with running_api(tmp_path) as api:
        request = f"GET /api/v1/events HTTP/1.1\r\nHost: localhost:{api.port}\r\nAccept: text/event-stream\r\n\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", api.port, limit=1024)
        writer.write(request.encode())
        await reader.readuntil(b"id: 0\n\n")
        async with asyncio.timeout(30):
            while api.handlers.feed.open_streams:
                await noted(api.core.ctx, 64, "x" * 16_000)
                await asyncio.sleep(0.02)
        writer.close()


async def test_streams_are_bounded_and_come_free_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "MOST_STREAMS", 1)
    monkeypatch.setattr(feed, "KEEP_ALIVE_S", 0.05)
    async with running_api(tmp_path) as api:
        async with streaming(api.http, api.url("events")):
            refused = await api.call("GET", "events", headers={"Accept": "text/event-stream"})
            assert (refused.status, refused.json["code"]) == (503, "too_many_streams")
            assert refused.headers["Retry-After"]
        async with asyncio.timeout(10):
            while api.handlers.feed.open_streams:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.01)
        async with streaming(api.http, api.url("events")):
            pass


async def test_a_stop_of_the_broker_ends_streams_at_once(tmp_path: Path) -> None:
    started = asyncio.get_running_loop().time()
    async with running_api(tmp_path) as api, streaming(api.http, api.url("events")) as stream:
        api.handlers.feed.close()
        with pytest.raises(ConnectionError):
            await stream.next()
    assert asyncio.get_running_loop().time() - started < 5


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("agent=linux-000002", {"linux-000002"}),
        ("reason=Cancelled", {"linux-000001"}),
        ("pool=it", {"linux-000001", "linux-000002"}),
        ("pool=nowhere", set()),
        ("controller=other", set()),
        ("audit=1", {"linux-000001"}),
    ],
)
async def test_lists_and_streams_are_filtered_alike(tmp_path: Path, asked: str, expected: set[str]) -> None:
    async with running_api(tmp_path) as api:
        await some_events(api)
        listed = (await api.get(f"events?after=0&{asked}"))["items"]
        async with streaming(api.http, api.url(f"events?after=0&{asked}")) as stream:
            streamed = [(await stream.next()).data for _ in listed]
    assert {event["agent"] for event in listed} == expected
    assert streamed == listed


async def some_events(api: Api) -> None:
    await api.core.start("linux-000001")
    await api.core.ask("linux-000002")
    await api.core.settle()
    await api.call("POST", "agents/linux-000001:terminate")
    await api.core.settle()


async def test_since_reaches_back_in_time(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        await noted(api.core.ctx, 2, "old")
        await api.core.clock.advance(7200)
        await noted(api.core.ctx, 2, "new")
        found = await api.get("events?since=1h")
        everything = await api.get("events?since=1d")
        await api.core.clock.advance(7200)
        nothing = await api.get("events?since=1h")
    assert [e["message"] for e in found["items"]] == ["new 0", "new 1"]
    assert len(everything["items"]) == 4
    assert (nothing["items"], nothing["last"]) == ([], 4)


async def test_a_long_list_comes_in_parts(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        await noted(api.core.ctx, 25)
        numbers, after, more = [], 0, True
        while more:
            part = await api.get(f"events?after={after}&limit=10")
            numbers += [e["number"] for e in part["items"]]
            after, more = part["last"], part["more"]
        assert numbers == list(range(1, 26))
        assert [e["number"] for e in (await api.get("events?limit=3"))["items"]] == [23, 24, 25]
