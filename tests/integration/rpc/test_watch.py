"""The stream of events over real sockets: who gets it, how it beats, how it ends, and what a slow reader costs."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from broker.rpc.streams import MOST_A_CONTROLLER
from broker.wire.v1 import agents_pb2 as wire
from tests.integration.rpc.world import OTHER, OTHER_TOKEN, TOKEN, Api, bearer, request, running_api, stub

NAME = "linux-000001"
BEAT_S = 0.2


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with running_api(tmp_path, beat_s=BEAT_S) as running:
        yield running


@pytest.fixture
async def agents(api: Api) -> AsyncIterator[Any]:
    async with api.channel() as channel:
        yield stub(channel)


def watch(agents: Any, after: int = 0, boot_id: str = "boot-1", token: str = TOKEN) -> Any:
    return agents.WatchAgents(wire.WatchAgentsRequest(boot_id=boot_id, after=after), metadata=bearer(token))


async def read(stream: Any) -> Any:
    async with asyncio.timeout(5):
        message = await stream.read()
    return message if message is grpc.aio.EOF else getattr(message, message.WhichOneof("what"))


async def read_until_beat(stream: Any) -> list[Any]:
    messages = [await read(stream)]
    while not isinstance(messages[-1], wire.Heartbeat):
        messages.append(await read(stream))
    return messages


async def event(stream: Any, name: str) -> Any:
    """The next event; it must be this one."""
    while isinstance(message := await read(stream), wire.Heartbeat):
        pass
    assert message.event == name
    return message


async def status_of(stream: Any) -> tuple[grpc.StatusCode, str]:
    async with asyncio.timeout(5):
        try:
            while await read(stream) is not grpc.aio.EOF:
                pass
        except grpc.aio.AioRpcError as error:
            return error.code(), error.details() or ""
    return grpc.StatusCode.OK, ""


async def test_without_a_token_nothing_is_told(agents: Any) -> None:
    code, text = await status_of(watch(agents, token="wrong"))
    assert code == grpc.StatusCode.UNAUTHENTICATED
    assert "controllers.NAME.token_sha256" in text


async def test_an_agents_life_is_told_as_it_happens_with_pool_reason_words_and_hint(agents: Any, api: Api) -> None:
    stream = watch(agents)
    first, beat = await read_until_beat(stream)
    assert isinstance(first, wire.Resync)
    assert (beat.number, beat.interval.ToTimedelta().total_seconds()) == (0, BEAT_S)
    await agents.RequestAgents(request(NAME, label_expression="linux"), metadata=bearer(TOKEN))
    requested = await event(stream, "requested")
    assert (requested.number, requested.agent, requested.phase) == (1, NAME, "requested")
    assert (requested.pool, requested.reason, requested.hint, requested.outcome) == ("", "", "", "")
    assert requested.at.ToDatetime() == api.core.clock.now().replace(tzinfo=None)
    await api.core.settle()
    placed = await event(stream, "placed")
    assert (placed.phase, placed.attempt, placed.pool) == ("launching", 1, "it")
    await event(stream, "booting")
    [instance] = api.core.backend.ledger.instances
    api.core.backend.stop(instance, exit_code=137, lines=("bad", "luck"))
    await api.core.advance(1)
    failed = await event(stream, "failed")
    assert (failed.reason, failed.message) == ("ContainerExited", "exit code 137; exit code 137\nbad\nluck")
    assert failed.hint


async def test_a_quiet_stream_beats(agents: Any) -> None:
    stream = watch(agents)
    await read_until_beat(stream)
    started = time.monotonic()
    assert [m.number for m in (await read(stream), await read(stream))] == [0, 0]
    assert time.monotonic() - started == pytest.approx(2 * BEAT_S, abs=0.3)


async def test_a_controller_hears_only_of_its_own_agents(agents: Any) -> None:
    theirs = watch(agents, token=OTHER_TOKEN)
    await read_until_beat(theirs)
    await agents.RequestAgents(request(NAME), metadata=bearer(TOKEN))
    assert (await read_until_beat(theirs))[0].number == 1, "not the event, but how far the history has come"
    assert len(await read_until_beat(watch(agents))) == 3


async def test_a_number_that_is_none_is_refused(agents: Any) -> None:
    code, text = await status_of(watch(agents, after=-1))
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert "after is -1" in text
    assert (await status_of(watch(agents, boot_id="")))[0] == grpc.StatusCode.INVALID_ARGUMENT


async def test_a_boots_newer_stream_takes_the_place_of_its_older_one(agents: Any) -> None:
    old = watch(agents)
    await read_until_beat(old)
    new = watch(agents)
    await read_until_beat(new)
    code, text = await status_of(old)
    assert code == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "a newer stream" in text
    assert isinstance(await read(new), wire.Heartbeat)


async def test_a_controller_has_so_many_streams_and_no_more(agents: Any) -> None:
    streams = []
    for n in range(MOST_A_CONTROLLER):
        streams.append(watch(agents, boot_id=f"boot-{n}"))
        await read_until_beat(streams[-1])
    last, other = watch(agents, boot_id="boot-last"), watch(agents, token=OTHER_TOKEN)
    await read_until_beat(last)
    await read_until_beat(other)
    assert (await status_of(streams[0]))[0] == grpc.StatusCode.RESOURCE_EXHAUSTED
    for stream in (*streams[1:], last, other):
        assert isinstance(await read(stream), wire.Heartbeat)


async def test_a_stop_of_the_broker_ends_streams_at_once_and_says_so(tmp_path: Path) -> None:
    async with running_api(tmp_path, beat_s=60) as api, api.channel() as channel:
        stream = watch(stub(channel))
        await read_until_beat(stream)
        api.service.streams.close()
        code, text = await status_of(stream)
        assert code == grpc.StatusCode.UNAVAILABLE
        assert "stopping" in text
        assert (await status_of(watch(stub(channel))))[0] == grpc.StatusCode.UNAVAILABLE


async def test_a_stream_whose_reader_leaves_is_forgotten(agents: Any, api: Api) -> None:
    stream = watch(agents)
    await read_until_beat(stream)
    stream.cancel()
    async with asyncio.timeout(5):
        while api.service.streams.count():  # noqa: ASYNC110  # nobody tells when it is over
            await asyncio.sleep(0.01)


async def test_a_reader_that_does_not_read_costs_a_page_and_misses_nothing(agents: Any, api: Api) -> None:
    stream = watch(agents)
    await read_until_beat(stream)
    words = "x" * 2_000
    names = [f"linux-1{n:05d}" for n in range(1_000)]
    for start in range(0, len(names), 500):
        part = names[start : start + 500]
        await agents.RequestAgents(request(*part, label_expression=words), metadata=bearer(TOKEN))
    await asyncio.sleep(1)
    told: list[str] = []
    while len(told) < len(names):
        told += [m.agent for m in await read_until_beat(stream) if isinstance(m, wire.AgentEvent)]
    assert told == names


async def test_the_stream_of_a_token_that_a_reload_has_taken_back_ends(api: Api, agents: Any) -> None:
    stream = watch(agents)
    await read_until_beat(stream)
    definitions = api.core.ctx.definitions
    kept = {name: one for name, one in definitions.controllers.items() if name == OTHER}
    api.core.ctx.definitions = replace(definitions, controllers=kept)
    while (status := await status_of(stream))[0] is grpc.StatusCode.OK:
        pass
    assert status[0] is grpc.StatusCode.UNAUTHENTICATED
