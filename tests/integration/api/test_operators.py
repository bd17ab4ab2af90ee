"""The operators' API and its command line on a whole control plane over a fake cloud; Jenkins speaks gRPC."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from broker.wire.v1 import agents_pb2 as wire
from tests.integration.faults.world import World, running_world, until
from tests.integration.rpc.world import TOKEN, bearer, sha256
from tests.integration.serve.world import config, write
from tests.unit.cli.asking import Done, line, run, running
from tests.unit.web.sse import streaming


class Operated:
    """A running broker as operators and its controller see it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.port = world.broker.http_port

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/api/v1/{path}"

    async def get(self, path: str, **query: str) -> dict[str, Any]:
        async with self.world.http.get(self.url(path), params=query) as reply:
            assert reply.status == 200, await reply.text()
            found: dict[str, Any] = await reply.json()
            return found

    async def cli(self, *arguments: str) -> Done:
        return await run(*arguments, port=self.port)

    async def sync(self, *nodes: str) -> wire.SyncNodesReply:
        told = [wire.Node(name=name, online=True, accepting=True) for name in nodes]
        reply = await self.world.stub.SyncNodes(
            wire.SyncNodesRequest(boot_id="boot-1", nodes=told), metadata=bearer(TOKEN), timeout=20
        )
        assert isinstance(reply, wire.SyncNodesReply)
        return reply

    async def phase(self, name: str) -> str:
        return str((await self.get(f"agents/{name}"))["phase"])


@pytest.fixture
async def operated(tmp_path: Path) -> AsyncIterator[Operated]:
    async with running_world(tmp_path) as world:
        yield Operated(world)


async def test_a_terminated_agent_is_gone_from_the_cloud_and_jenkins_is_told_why(operated: Operated) -> None:
    await operated.world.ask("linux-000001")
    await operated.world.launched(1)
    done = await operated.cli("agent", "terminate", "linux-000001", "--yes", "--wait", "--reason", "bad host")
    reply = await operated.sync("linux-000001")
    assert (done.code, done.out) == (0, "linux-000001 is gone\n"), done
    assert operated.world.ledger.instances == {}
    [removed] = reply.remove
    assert removed.name == "linux-000001"
    assert "ended by local: bad host" in removed.message
    audit = await operated.get("events", audit="1")
    assert [(e["agent"], e["actor"]) for e in audit["items"]] == [("linux-000001", "local@127.0.0.1")]


async def test_a_stream_tells_each_event_once_over_a_broken_connection(operated: Operated) -> None:
    seen: list[int] = []
    last_id: str | None = None
    for n in range(4):
        async with streaming(operated.world.http, operated.url("events"), last_id) as stream:
            await operated.world.ask(f"linux-00000{n}")
            seen += [(await stream.next()).data["number"] for _ in range(2)]
            last_id = stream.last_id
    await operated.world.launched(4)
    listed = [e["number"] for e in (await operated.get("events", after="0", limit="1000"))["items"]]
    async with streaming(operated.world.http, operated.url("events"), last_id) as stream:
        while seen[-1] < listed[-1]:
            seen.append((await stream.next()).data["number"])
    assert seen[: len(listed)] == listed
    assert len(seen) == len(set(seen))


async def test_the_command_line_follows_a_life(operated: Operated) -> None:
    async with running("events", "-f", "--agent", "linux-000001", "-o", "jsonl", port=operated.port) as follow:
        await asyncio.sleep(1)
        await operated.world.ask("linux-000001", "linux-000002")
        told = [json.loads(await line(follow)) for _ in range(3)]
    assert [event["event"] for event in told] == ["requested", "placed", "booting"]
    assert {event["agent"] for event in told} == {"linux-000001"}


async def test_status_get_and_explain_agree_with_the_cloud(operated: Operated) -> None:
    await operated.sync()
    await operated.world.ask("linux-000001", "linux-000002")
    await operated.world.launched(2)

    async def connecting() -> bool:
        return [await operated.phase(name) for name in ("linux-000001", "linux-000002")] == ["connecting"] * 2

    await until(connecting)
    status = await operated.cli("status")
    agents = await operated.cli("get", "agents", "--where", "phase=connecting", "-o", "json")
    explained = await operated.cli("explain", "linux-000001", "-o", "json")
    nobody = await operated.cli("explain", "label", "linux && gpu")
    assert "\nrequests      2 connecting, 0 waiting\n" in status.out
    assert "not ready (gateway: no gateway is linked)" in status.out
    assert [item["id"] for item in agents.json["items"]] == ["linux-000001", "linux-000002"]
    assert explained.json["agent"]["attempts"][0]["pool"] == "here"
    assert "no policy carries all of: gpu, linux; nearest: linux lacks gpu" in nobody.out


async def test_a_restarted_broker_still_tells_what_happened_and_goes_on_counting(tmp_path: Path) -> None:
    async with running_world(tmp_path) as world:
        await world.ask("linux-000001")
        await world.launched(1)
        before = await Operated(world).get("events", after="0")
        ledger = world.ledger
    async with running_world(tmp_path, ledger) as world:
        operated = Operated(world)
        async with streaming(world.http, operated.url("events"), str(before["last"])) as stream:
            await world.ask("linux-000002")
            assert (await stream.next()).data["number"] > before["last"]
        after = await operated.get("events", after="0")
        assert after["items"][: len(before["items"])] == before["items"]


async def test_tokens_of_the_config_open_the_api_and_a_reload_changes_them(tmp_path: Path) -> None:
    def auth(token: str) -> dict[str, Any]:
        return {"auth": {"tokens": {"ana": {"role": "operator", "token_sha256": sha256(token)}}}}

    async with running_world(tmp_path, **auth("canary-one")) as world:
        operated = Operated(world)
        token = tmp_path / "token"
        token.write_text("canary-one")
        assert (await operated.cli("status")).code == 9
        assert (await operated.cli("--token-file", str(token), "status")).code == 0
        content = config(tmp_path, **auth("canary-two"))
        content["controllers"]["main"]["token_sha256"] = sha256(TOKEN)
        write(tmp_path, content)
        headers = {"Authorization": "Bearer canary-one"}
        async with world.http.post(operated.url("reload"), headers=headers) as reply:
            assert reply.status == 200, await reply.text()
            assert (await reply.json())["kind"] == "Reload"
        assert (await operated.cli("--token-file", str(token), "status")).code == 9
        token.write_text("canary-two")
        audit = await operated.cli("--token-file", str(token), "events", "--audit", "-o", "json")
    assert [(e["event"], e["actor"]) for e in audit.json["items"]] == [("config_reloaded", "ana@127.0.0.1")]
