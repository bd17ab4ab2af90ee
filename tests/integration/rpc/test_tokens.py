"""A token is changed without an outage: both hashes of a list of two let in, what was taken out does not."""

import json
from dataclasses import replace
from pathlib import Path

import grpc.aio
from click.testing import CliRunner

from broker.cli.new_token import hash_of
from broker.cli.token import token
from broker.config.load import load
from broker.domain.definitions import Definitions
from tests.integration.rpc.world import Api, bearer, handshake, running_api, stub

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
