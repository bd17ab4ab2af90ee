"""Levers, keys set for a time and plans on a whole control plane: who may, what is kept, what is said."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.faults.world import World, running_world
from tests.integration.rpc.world import TOKEN, sha256
from tests.integration.serve.world import config, write
from tests.unit.cli.asking import Done, run

ANA, TV = "canary-operator", "canary-viewer"
OPERATORS: dict[str, Any] = {
    "auth": {
        "tokens": {
            "ana": {"role": "operator", "token_sha256": sha256(ANA)},
            "tv": {"role": "viewer", "token_sha256": sha256(TV)},
        }
    }
}


class Operated:
    """A broker with the pools `here` (five agents) and `there`, and people with tokens."""

    def __init__(self, world: World, root: Path) -> None:
        self.world = world
        self.root = root

    async def cli(self, *arguments: str, token: str = ANA) -> Done:
        file = self.root / "token"
        file.write_text(token)
        return await run("--token-file", str(file), *arguments, port=self.world.broker.http_port)


def two_pools(root: Path, cap: int = 5) -> dict[str, Any]:
    content = config(root, **OPERATORS)
    content["controllers"]["main"]["token_sha256"] = sha256(TOKEN)
    content["pools"] = {"here": {"backend": "process", "limits": {"agents": cap}}, "there": {"backend": "process"}}
    content["policies"]["linux"]["pools"] = ["here", "there"]
    return content


@pytest.fixture
async def operated(tmp_path: Path) -> AsyncIterator[Operated]:
    async with running_world(tmp_path, **OPERATORS) as world:
        write(tmp_path, two_pools(tmp_path))
        await world.broker.reloader.reload()
        yield Operated(world, tmp_path)


async def test_a_viewer_may_look_and_plan_and_touch_nothing(operated: Operated) -> None:
    looks = [("get", "pools"), ("explain", "pool", "here"), ("plan", "linux")]
    deeds = [
        ("pool", "pause", "here", "--reason", "x"),
        ("pool", "drain", "here", "--reason", "x"),
        ("pool", "resume", "here"),
        ("pool", "set", "here", "limits.agents=7", "--for", "1h"),
        ("pool", "unset", "here", "limits.agents"),
        ("plan", "linux", "--config", str(operated.root / "broker.yaml")),
    ]
    assert [(await operated.cli(*look, token=TV)).code for look in looks] == [0, 0, 0]
    assert [(await operated.cli(*deed, token=TV)).code for deed in deeds] == [9] * 6
    assert operated.world.broker.ctx.levers == {}
    assert operated.world.broker.reloader.config.timed == ()


async def test_what_operators_do_is_said_with_its_end_and_kept_with_their_names(operated: Operated) -> None:
    paused = await operated.cli("pool", "pause", "here", "--reason", "ssh broken", "--for", "1h")
    put = await operated.cli("pool", "set", "there", "limits.agents=140", "--for", "2h", "--reason", "rush")
    pools = {item["id"]: item for item in (await operated.cli("get", "pools", "-o", "json")).json["items"]}
    status = await operated.cli("status")
    async with operated.world.http.get(f"http://127.0.0.1:{operated.world.broker.http_port}/metrics") as reply:
        metrics = await reply.text()
    for deed in (("resume", "here"), ("unset", "there", "limits.agents")):
        assert (await operated.cli("pool", *deed)).code == 0
    audit = await operated.cli("events", "--audit", "-o", "json")
    assert paused.out.startswith("here: paused until ")
    assert paused.out.endswith(" UTC (by ana; `agentbroker pool resume here` ends it)\n")
    assert put.out.startswith("there: limits.agents (unset) -> 140 until ")
    assert put.out.endswith("UTC (override by ana; `agentbroker pool unset there limits.agents` ends it)\n")
    assert (pools["here"]["state"], pools["here"]["reason"]) == ("paused", "PoolPaused")
    assert (pools["here"]["lever"]["actor"], pools["here"]["lever"]["reason"]) == ("ana", "ssh broken")
    assert [(o["key"], o["value"], o["actor"]) for o in pools["there"]["overrides"]] == [
        ("limits.agents", "140", "ana")
    ]
    assert "here paused 0/5" in status.out
    assert "! pool here is paused by ana since" in status.out
    assert 'agentbroker_pool_state{pool="here",state="paused"} 1.0' in metrics
    assert 'agentbroker_pool_state{pool="there",state="ready"} 1.0' in metrics
    told = [(e["event"], e["pool"], e["actor"].partition("@")[0]) for e in audit.json["items"]]
    assert told[-4:] == [
        ("paused", "here", "ana"),
        ("set", "there", "ana"),
        ("resumed", "here", "ana"),
        ("unset", "there", "ana"),
    ]


async def test_what_cannot_be_is_refused_with_its_own_code(operated: Operated) -> None:
    refused = {
        ("pool", "pause", "her", "--reason", "x"): (5, "did you mean here?"),
        ("pool", "pause", "here"): (2, "--reason"),
        ("pool", "pause", "here", "--reason", "x", "--for", "soon"): (2, "write it such as --for 30m"),
        ("pool", "resume", "here"): (9, "neither paused nor being emptied"),
        ("pool", "set", "here", "limits.agents=0", "--for", "1h"): (3, "must be at least 1"),
        ("pool", "set", "here", "limits.hosts=3", "--for", "1h"): (3, "is of pools with hosts; pool 'here'"),
        ("pool", "set", "here", "image=x", "--for", "1h"): (2, "cannot be set for a time"),
        ("pool", "set", "here", "limits.agents", "--for", "1h"): (2, "says no key and value"),
        ("pool", "unset", "here", "limits.agents"): (9, "is not set for a time"),
        ("plan", "linux && gpu"): (6, "no policy carries all of: gpu, linux; nearest: linux lacks gpu"),
        ("plan", "--policy", "linx"): (5, "did you mean linux?"),
        ("plan", "linux", "--at", "soon"): (2, "is no time"),
        ("plan", "linux", "--at", "9999-12-31"): (2, "9999-12-31 is too far away"),
        ("plan", "linux", "--at", "9999-12-31", "--config", str(operated.root / "broker.yaml")): (2, "is too far away"),
    }
    for command, (code, words) in refused.items():
        done = await operated.cli(*command)
        assert (done.code, words in done.err) == (code, True), (command, done)


async def test_plans_and_explanations_change_nothing(operated: Operated) -> None:
    await operated.world.ask("linux-000001")
    await operated.world.launched(1)
    before = set(operated.world.ledger.instances)
    planned = await operated.cli("plan", "linux", "-n", "6")
    explained = await operated.cli("explain", "label", "linux")
    assert (planned.code, explained.code) == (0, 0)
    assert planned.out.splitlines() == [
        "policy linux (ordered) -> here ×4, there ×2",
        "  here   chosen  4 of 5 agents free",
        "  there  chosen  without a limit on agents",
        "nothing was launched",
    ]
    assert set(operated.world.ledger.instances) == before
    assert len(await operated.world.broker.ctx.agents.live()) == 1


async def test_a_plan_under_another_file_is_decided_with_what_is_taken_now(operated: Operated) -> None:
    await operated.world.ask("linux-000001")
    await operated.world.launched(1)
    other = write(operated.root, two_pools(operated.root, cap=2), "other.yaml")
    planned = await operated.cli("plan", "linux", "-n", "3", "--config", str(other))
    assert planned.out.splitlines()[0] == "policy linux (ordered) -> here ×1, there ×2", planned
    other.write_text("version: 1\npools: {here: {backend: proces}}\n")
    assert (await operated.cli("plan", "linux", "--config", str(other))).code == 3
