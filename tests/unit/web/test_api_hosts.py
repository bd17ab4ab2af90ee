"""Hosts over the operators' API: what is shown of them, and what is done by hand, in which words it is refused."""

from pathlib import Path
from typing import Any

from broker.domain.host import HostPhase
from broker.testing.factories import POOL, make_definitions
from tests.host_core import HostCore, hosts_core
from tests.unit.web.api_world import ANA_TOKEN, OPERATORS, TV_TOKEN, Api, running_api, serving_core

AGENT = "linux-1"


async def post(api: Api, path: str, token: str | None = None, **body: Any) -> tuple[int, dict[str, Any]]:
    answer = await api.call("POST", path, token, json=body)
    return answer.status, answer.json


async def test_hosts_that_are_asked_for_become_ready_and_are_shown(tmp_path: Path) -> None:
    async with hosts_core(tmp_path) as world, serving_core(world.core) as api:
        await world.core.ask_for_offers()
        status, made = await post(api, "hosts", pool=POOL, count=2)
        assert status == 200
        assert [(h["phase"], h["pool"], h["asked_by"], h["agents"]) for h in made["items"]] == [
            ("requested", POOL, "local@127.0.0.1", [])
        ] * 2
        await world.until(HostPhase.PREPARING, 2)
        await world.advance(2)
        assert (await api.get(f"hosts/{made['items'][0]['id']}"))["doing"].startswith("init script")
        await world.until(HostPhase.READY, 2)
        shown = (await api.get("hosts"))["items"]
        assert [h["id"] for h in shown] == sorted([h["id"] for h in made["items"]], key=[h["id"] for h in shown].index)
        assert all(h["ready_at"] and h["address"] and h["ref"] and h["slots"] == 2 for h in shown)
        events = (await api.get("events?after=0&audit=1"))["items"]
        assert [(e["event"], e["actor"]) for e in events if e["actor"]] == [("host-requested", "local@127.0.0.1")] * 2
        await world.empty()  # nobody came: they are idle for long, and end


async def test_a_host_that_is_drained_takes_nobody_and_ends_with_its_last_agent(tmp_path: Path) -> None:
    async with hosts_core(tmp_path, most=1) as world, serving_core(world.core) as api:
        host = await _with_an_agent(world)
        status, shown = await post(api, f"hosts/{host}:drain", reason="kernel update")
        assert (status, shown["phase"], shown["reason"]) == (200, "draining", "Cancelled")
        assert shown["message"] == "drained by local: kernel update"
        assert len(shown["agents"]) == 1
        await world.advance(60)
        assert (await api.get(f"hosts/{host}"))["phase"] == "draining", "its agent still runs"
        status, again = await post(api, f"hosts/{host}:drain", reason="once more")
        assert (status, again["message"]) == (200, "drained by local: kernel update")
        await world.core.release(AGENT)
        await world.empty()


async def test_a_host_on_which_a_build_runs_is_deleted_only_by_force(tmp_path: Path) -> None:
    async with hosts_core(tmp_path) as world, serving_core(world.core) as api:
        host = await _with_an_agent(world)
        assert (await api.get(f"hosts/{host}"))["agents"] == [AGENT]
        status, refused = await post(api, f"hosts/{host}:delete", reason="broken")
        assert (status, refused["code"]) == (409, "host_busy")
        assert refused["message"] == f"on host {host} run builds: {AGENT}"
        assert (await api.get(f"hosts/{host}"))["phase"] == "ready"
        status, shown = await post(api, f"hosts/{host}:delete", reason="broken", force=True)
        assert (status, shown["phase"]) == (200, "deleting")
        await world.advance(60)
        gone = await api.get(f"agents/{AGENT}")
        assert (gone["phase"], gone["reason"]) == ("gone", "Cancelled")
        assert "deleted by local: broken" in gone["message"]
        assert not world.cloud.machines()


async def test_a_host_that_is_not_ready_is_given_up_and_its_agent_placed_anew(tmp_path: Path) -> None:
    async with hosts_core(tmp_path) as world, serving_core(world.core) as api:
        await world.core.sync()
        await world.core.ask(AGENT)
        await world.until(HostPhase.PREPARING)
        [before] = (await api.get("hosts"))["items"]
        status, shown = await post(api, f"hosts/{before['id']}:drain", reason="wrong image")
        assert (status, shown["phase"]) == (200, "deleting")
        await world.until(HostPhase.READY)
        ready = [h for h in (await api.get("hosts"))["items"] if h["phase"] == "ready"]
        assert [len(h["agents"]) for h in ready] == [1]
        assert ready[0]["id"] != before["id"]
        assert (await api.get(f"pools/{POOL}"))["state"] == "ready", "what an operator does is not the pool's fault"


async def test_what_cannot_be_made_is_refused_with_the_words_for_it(tmp_path: Path) -> None:
    async with hosts_core(tmp_path, most=2) as world, serving_core(world.core) as api:
        await world.core.ask_for_offers()
        status, refused = await post(api, "hosts", pool=POOL, count=3)
        assert (status, refused["code"]) == (409, "at_limit")
        assert refused["message"] == f"pool {POOL} has 0 of 2 hosts (limits.hosts: 2)"
        status, refused = await post(api, "hosts", pool="nope")
        assert (status, refused["code"]) == (404, "not_found")
        status, refused = await post(api, "hosts/h-000000000000:drain")
        assert (status, refused["hint"]) == (404, "agentbroker get hosts lists those that are there")
        assert (await api.get("hosts"))["items"] == []
    async with running_api(tmp_path / "other") as plain:
        status, refused = await post(plain, "hosts", pool=POOL)
        assert (status, refused["code"]) == (409, "no_host")
        assert refused["message"] == f"agents of pool {POOL} are not on hosts of ours"


async def test_a_viewer_sees_hosts_and_changes_none(tmp_path: Path) -> None:
    async with running_api(tmp_path, make_definitions(operators=OPERATORS)) as api:
        assert (await api.get("hosts", TV_TOKEN))["items"] == []
        assert (await post(api, "hosts", TV_TOKEN, pool=POOL))[0] == 403
        assert (await post(api, "hosts", ANA_TOKEN, pool=POOL))[0] == 409


async def _with_an_agent(world: HostCore) -> str:
    """A ready host with the agent linux-1, which runs a build."""
    core = world.core
    await core.sync()
    await core.ask(AGENT)
    await world.until(HostPhase.READY)
    await world.advance(5)
    core.sessions.connect(await core.agent(AGENT))
    core.says(AGENT, busy=True, uses=1)
    await core.sync()
    await core.settle()
    [host] = await world.ctx.hosts.living()
    return host.id
