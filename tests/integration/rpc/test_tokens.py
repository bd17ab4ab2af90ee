"""A token is changed without an outage: both hashes of a list of two let in, what was taken out does not."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from click.testing import CliRunner

from broker.cli.new_token import hash_of
from broker.cli.token import token
from broker.config.load import load
from broker.domain.definitions import Definitions
from broker.testing.factories import CONTROLLER
from broker.wire.v1 import agents_pb2 as wire
from tests.integration.rpc.world import (
    OTHER_TOKEN,
    TOKEN,
    Api,
    bearer,
    handshake,
    running_api,
    sha256,
    stub,
)

FIRST = "canary-first-token"
TEXT = """\
version: 1
controllers:
  main:
    url: https://ci.example.com/
    token_sha256: {hashes}
pools: {{ it: {{ backend: process }} }}
policies: {{ linux: {{ labels: [linux], pools: [it] }} }}
"""


def told(*arguments: str) -> dict[str, object]:
    result = CliRunner().invoke(token, [*arguments, "-o", "json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    assert isinstance(found, dict)
    return found


async def is_let_in(api: Api, shown: object) -> bool:
    async with api.channel() as channel:
        try:
            await stub(channel).Handshake(handshake(), metadata=bearer(str(shown)), timeout=10)
        except grpc.aio.AioRpcError:
            return False
        return True


async def test_a_rotation_by_the_lines_that_the_command_prints(tmp_path: Path) -> None:
    config = tmp_path / "broker.yaml"

    def pasted(hashes: object) -> Definitions:
        config.write_text(TEXT.format(hashes=json.dumps(hashes)))
        return load(config).definitions

    definitions = pasted([hash_of(FIRST)])
    async with running_api(tmp_path, definitions) as api:
        assert await is_let_in(api, FIRST)
        rotated = told("rotate", "main", "--config", str(config))
        assert not await is_let_in(api, rotated["token"])
        api.core.ctx.definitions = replace(definitions, controllers=pasted(rotated["token_sha256"]).controllers)
        assert await is_let_in(api, FIRST)
        assert await is_let_in(api, rotated["token"])
        revoked = told("revoke", "main", "--config", str(config), "--hash-prefix", hash_of(FIRST)[:12])
        api.core.ctx.definitions = replace(definitions, controllers=pasted(revoked["token_sha256"]).controllers)
        assert not await is_let_in(api, FIRST)
        assert await is_let_in(api, rotated["token"])


async def rest_of(stream: Any) -> None:
    while await stream.read() is not grpc.aio.EOF:
        pass


async def test_a_stream_ends_at_its_next_word_when_its_token_was_taken_back(tmp_path: Path) -> None:
    async with running_api(tmp_path, beat_s=0.1) as api, api.channel() as channel, asyncio.timeout(10):
        asked = wire.WatchAgentsRequest(boot_id="boot-1")
        kept, ended = (stub(channel).WatchAgents(asked, metadata=bearer(t)) for t in (OTHER_TOKEN, TOKEN))
        for stream in (kept, ended):
            await stream.read()
        definitions = api.core.ctx.definitions
        main = replace(definitions.controllers[CONTROLLER], token_sha256=(sha256("another"),))
        api.core.ctx.definitions = replace(definitions, controllers={**definitions.controllers, CONTROLLER: main})
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await rest_of(ended)
        assert raised.value.code() == grpc.StatusCode.UNAUTHENTICATED
        for _ in range(3):
            assert await kept.read() is not grpc.aio.EOF
