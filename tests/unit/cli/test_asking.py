"""The commands that ask the broker: what they print, and how they end."""

import asyncio
import json
import re
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from broker.cli import exits
from broker.domain.lifecycle import Goal
from broker.domain.policy import AgentLimits
from broker.domain.pool import Cooldown, PoolLimits
from broker.domain.reason import Reason
from broker.errors import BackendRejected
from broker.testing.factories import make_definitions, make_policy, make_pool
from broker.web.api import feed
from broker.web.app import serving
from tests.unit.cli.asking import cable, line, run, running, told
from tests.unit.web.api_world import ANA_TOKEN, OPERATORS, TV_TOKEN, running_api

LIMITED = make_definitions(
    policies=[make_policy(limits=AgentLimits(agents=1))],
    pools=[make_pool(limits=PoolLimits(agents=4), cooldown=Cooldown(after_failures=1))],
)


async def test_status_says_how_everything_stands(tmp_path: Path) -> None:
    async with running_api(tmp_path, LIMITED) as api:
        await api.core.start("linux-000001")
        await api.core.ask("linux-000002")
        await api.core.settle()
        done = await run("status", port=api.port)
        as_json = await run("-o", "json", "status", port=api.port)
    lines = done.out.splitlines()
    assert done.code == 0, done
    assert lines[0].startswith("agentbroker ")
    assert re.search(r"config broker\.yaml \(1, loaded \S+ ago\)   ready$", lines[0])
    assert [part.split()[0] for part in lines[:5]] == ["agentbroker", "controllers", "requests", "agents", "pools"]
    assert "main ✔" in lines[1]
    assert "1 waiting (oldest" in lines[2]
    assert lines[3] == "agents        0 busy, 1 idle, 0 draining"
    assert lines[4] == "pools         it ready 1/4"
    assert lines[-1].endswith("agentbroker explain policy linux")
    assert as_json.json["kind"] == "Status"


async def test_get_agents_is_a_table_with_the_why(tmp_path: Path) -> None:
    async with running_api(tmp_path, LIMITED) as api:
        await api.core.start("linux-000001")
        await api.core.ask("linux-000002")
        await api.core.settle()
        human = await run("get", "agents", port=api.port)
        wide = await run("get", "agents", "-o", "wide", port=api.port)
        names = await run("get", "agents", "-o", "name", "--where", "phase=requested", port=api.port)
        lines = await run("get", "agents", "-o", "jsonl", "--sort", "age", port=api.port)
        as_json = await run("get", "agents", "-o", "json", "--where", "busy=false", port=api.port)
    heads, first, second = human.out.splitlines()
    assert heads.split() == ["ID", "CONTROLLER", "POLICY", "PHASE", "POOL", "ATTEMPT", "AGE", "WHY"]
    assert first.split()[:6] == ["linux-000001", "main", "linux", "online", "it", "1/3"]
    assert second.split()[:6] == ["linux-000002", "main", "linux", "requested", "-", "-"]
    assert second.endswith("PolicyAtLimit: policy linux is at its limit (1 of 1 agents)")
    assert wide.out.splitlines()[0].split()[-5:] == ["GOAL", "BUSY", "LABELS", "JOB", "CAUSE"]
    assert names.out == "linux-000002\n"
    assert [json.loads(text)["id"] for text in lines.out.splitlines()] == ["linux-000001", "linux-000002"]
    assert [item["id"] for item in as_json.json["items"]] == ["linux-000001", "linux-000002"]
    assert as_json.err == ""


async def test_get_shows_pools_policies_and_controllers(tmp_path: Path) -> None:
    async with running_api(tmp_path, LIMITED) as api:
        api.core.backend.next_launch_raises(BackendRejected("Denied", "no right", Reason.ACCESS_DENIED))
        await api.core.sync()
        await api.core.ask("linux-000001")
        await api.core.advance(2)
        pools = await run("get", "pools", port=api.port)
        policies = await run("get", "policies", "-o", "wide", port=api.port)
        controllers = await run("get", "controllers", port=api.port)
        cooling = await run("get", "pools", "--where", "state=cooldown", "-o", "name", port=api.port)
    assert pools.out.splitlines()[1].split()[:4] == ["it", "fake", "cooldown", "0/4"]
    assert pools.out.rstrip().endswith("AccessDenied: Denied: no right")
    assert policies.out.splitlines()[1].split()[:3] == ["linux", "linux", "1"]
    assert controllers.out.splitlines()[1].split()[:2] == ["main", "connected"]
    assert cooling.out == "it\n"


async def test_get_pages_through_all_agents(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        await api.core.ask(*(f"linux-{n:06d}" for n in range(1_200)))
        done = await run("get", "agents", "-o", "name", port=api.port)
    assert len(set(done.out.split())) == 1_200


async def test_a_watch_tells_what_changes_until_ctrl_c(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        api.core.backend.room = 0
        await api.core.ask("linux-000001")
        async with running("get", "agents", "-w", "-o", "jsonl", port=api.port) as watch:
            assert json.loads(await line(watch))["phase"] == "requested"
            api.core.backend.room = None
            await api.core.advance(6)
            assert json.loads(await line(watch))["phase"] == "connecting"
            watch.send_signal(signal.SIGINT)
            assert await asyncio.wait_for(watch.wait(), 30) == exits.INTERRUPTED


async def test_explain_tells_an_agents_life_and_the_next_command(tmp_path: Path) -> None:
    async with running_api(tmp_path, LIMITED) as api:
        await api.core.start("linux-000001")
        await api.core.ask("linux-000002")
        await api.core.settle()
        online = await run("explain", "linux-000001", port=api.port)
        waiting = await run("explain", "linux-000002", port=api.port)
        as_json = await run("explain", "linux-000002", "-o", "json", port=api.port)
        label = await run("explain", "label", "linux && gpu", port=api.port)
    assert online.out.splitlines()[0] == "linux-000001   main   label `linux`   policy linux   ONLINE in 0.0 s"
    events = [text.split()[2] for text in online.out.splitlines()[1:] if text.startswith("  ")]
    assert events[:2] == ["requested", "placed"]
    assert events[-1] == "online"
    assert "try: agentbroker explain policy linux" in waiting.out
    assert (as_json.json["reason"], as_json.json["agent"]["position"]) == ("PolicyAtLimit", 1)
    assert as_json.json["hint"].startswith("policy linux is at its limit (1 of 1 agents)")
    assert "nearest: linux lacks gpu" in label.out


async def test_events_are_listed_and_filtered(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        await api.core.start("linux-000001")
        await api.core.start("linux-000002")
        human = await run("events", port=api.port)
        lines = await run("events", "--agent", "linux-000002", "-o", "jsonl", port=api.port)
        as_json = await run("events", "--since", "1h", "-o", "json", port=api.port)
        audit = await run("events", "--audit", port=api.port)
    assert "linux-000001  placed  it" in human.out
    assert {json.loads(text)["agent"] for text in lines.out.splitlines()} == {"linux-000002"}
    assert len(as_json.json["items"]) == len(human.out.splitlines())
    assert (audit.code, audit.out) == (0, "")


async def test_following_tells_each_event_once_over_a_broken_stream_and_past_a_resync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "MOST_BEHIND", 16)
    async with running_api(tmp_path) as api, cable(api.port) as wire:
        await api.core.ctx.history.note("noted", actor="a", message="")
        async with running("events", "-f", "-o", "jsonl", port=wire.port) as follow:
            seen = [json.loads(await line(follow))["number"]]
            await asyncio.sleep(0.5)
            for many in (5, 60, 60):
                for _ in range(many):
                    await api.core.ctx.history.note("noted", actor="a", message="")
                wire.cut()
            last = await api.core.ctx.history.last_number()
            while seen[-1] < last:
                seen.append(json.loads(await line(follow) or await told(follow))["number"])
            follow.send_signal(signal.SIGINT)
            assert await asyncio.wait_for(follow.wait(), 30) == exits.INTERRUPTED
    assert seen == list(range(1, 127))


async def test_terminate_ends_an_agent_and_waits_for_its_end(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        await api.core.start("linux-000001")
        async with asyncio.TaskGroup() as group:
            asked = ("agent", "terminate", "linux-000001", "--yes", "--wait", "--reason", "bad host")
            ending = group.create_task(run(*asked, port=api.port), name="cli")
            while not ending.done():
                drained = (await api.core.agent("linux-000001")).goal is not Goal.ONLINE
                api.core.says("linux-000001", accepting=not drained)
                await api.core.sync()
                await api.core.advance(1)
                await asyncio.sleep(0.05)
        agent = await api.core.agent("linux-000001")
        again = await run("agent", "terminate", "linux-000001", port=api.port)
    assert (ending.result().code, ending.result().out) == (0, "linux-000001 is gone\n")
    assert agent.message.startswith("ended by local: bad host")
    assert (again.code, again.out) == (0, "linux-000001 is gone\n")


async def test_drain_says_what_it_waits_for(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        await api.core.start("linux-000001")
        api.core.says("linux-000001", busy=True, uses=1)
        await api.core.sync()
        done = await run("agent", "drain", "linux-000001", "--reason", "its host goes", port=api.port)
        agent = await api.core.agent("linux-000001")
        nobody = await run("agent", "drain", "nobody", port=api.port)
    assert (done.code, done.err) == (0, "")
    assert done.out == "linux-000001 takes no new build and ends when the build that it runs has ended\n"
    assert agent.message.startswith("drained by local: its host goes")
    assert nobody.code == exits.NO_SUCH_THING


async def test_without_a_terminal_nothing_is_asked_and_nothing_ends(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        await api.core.start("linux-000001")
        done = await run("agent", "terminate", "linux-000001", port=api.port)
        assert (await api.core.agent("linux-000001")).goal == "online"
    assert (done.code, done.out) == (exits.REFUSED, "")
    assert done.err.rstrip().endswith("next: agentbroker agent terminate linux-000001 --yes")


async def test_an_agent_that_runs_a_build_is_refused_with_the_command_that_cuts_it(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        await api.core.start("linux-000001")
        api.core.says("linux-000001", busy=True)
        await api.core.sync()
        done = await run("agent", "terminate", "linux-000001", "--yes", port=api.port)
        forced = await run("agent", "terminate", "linux-000001", "--yes", "--force", port=api.port)
    assert done.code == exits.REFUSED
    assert done.err.rstrip().endswith("agentbroker agent terminate linux-000001 --yes --force")
    assert forced.code == 0


async def test_waiting_for_an_end_that_does_not_come_is_timed_out(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        await api.core.start("linux-000001")
        asked = ("agent", "terminate", "linux-000001", "--yes", "--wait", "--timeout", "0.2")
        done = await run(*asked, port=api.port)
    assert done.code == exits.TIMED_OUT
    assert done.err.rstrip().endswith("next: agentbroker events -f --agent linux-000001")


async def test_no_broker_is_4_with_where_it_was_looked_for() -> None:
    done = await run("status", port=9)
    assert done.code == exits.NOT_REACHABLE
    assert "no broker answers at http://127.0.0.1:9: Connection refused" in done.err
    assert "--url URL or AGENTBROKER_URL" in done.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("explain nobody", "no agent is called 'nobody'"),
        ("explain pool itt", "next: did you mean it?"),
        ("agent terminate nobody --yes", "no agent is called 'nobody'"),
    ],
)
async def test_what_there_is_not_is_5(tmp_path: Path, asked: str, said: str) -> None:
    async with running_api(tmp_path) as api:
        done = await run(*asked.split(), port=api.port)
    assert (done.code, done.out) == (exits.NO_SUCH_THING, "")
    assert said in done.err


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("get nothing", "'nothing' is not one of"),
        ("get agents --where phase=upside-down", "query parameter 'phase'"),
        ("get agents --where color=red", "there is no key 'color'"),
        ("get agents --where nonsense", "write KEY=VALUE"),
        ("get agents --sort color", "there is no key 'color'"),
        ("events --since yesterday", "is no duration"),
        ("explain label linux&&", "the label expression cannot be read"),
        ("--url nonsense status", "is no URL"),
        ("--token-file /nowhere status", "token file /nowhere"),
    ],
)
async def test_wrong_usage_is_2_with_the_place_and_the_fix(tmp_path: Path, asked: str, said: str) -> None:
    async with running_api(tmp_path) as api:
        await api.core.ask("linux-000001")
        done = await run(*asked.split(), port=api.port)
    assert (done.code, done.out) == (exits.WRONG_USAGE, "")
    assert said in done.err
    assert "Traceback" not in done.err


async def test_no_right_is_9_and_a_token_from_a_file_opens(tmp_path: Path) -> None:
    ana, tv = tmp_path / "ana", tmp_path / "tv"
    ana.write_text(f"{ANA_TOKEN}\n")
    tv.write_text(TV_TOKEN)
    definitions = replace(make_definitions(), operators=OPERATORS)
    async with running_api(tmp_path, definitions) as api:
        await api.core.start("linux-000001")
        without = await run("status", port=api.port)
        viewer = await run("--token-file", str(tv), "agent", "terminate", "linux-000001", "--yes", port=api.port)
        seen = await run("get", "agents", "-o", "name", "--token-file", str(tv), port=api.port)
        asked = ("agent", "terminate", "linux-000001", "--yes")
        operator = await run(*asked, port=api.port, AGENTBROKER_TOKEN_FILE=str(ana))
    assert (without.code, viewer.code, seen.code, operator.code) == (exits.REFUSED, exits.REFUSED, 0, 0)
    assert "--token-file" in without.err.splitlines()[-1]
    assert "tv is a viewer" in viewer.err
    assert seen.out == "linux-000001\n"
    assert "canary" not in without.err + viewer.err + operator.out


async def test_something_else_that_answers_is_1() -> None:
    async def page(_request: web.Request) -> web.Response:
        return web.Response(text="hello")

    app = web.Application()
    app.router.add_get("/{tail:.*}", page)
    async with serving(app) as port:
        done = await run("status", port=port)
    assert done.code == exits.FAILED
    assert "is no agentbroker of this version" in done.err


def test_the_help_has_every_exit_code_of_the_table() -> None:
    done = subprocess.run([sys.executable, "-m", "broker", "--help"], capture_output=True, text=True, check=True)
    told = " ".join(done.stdout.split())
    assert set(exits.EXIT_CODES) == {*range(10), 130}
    assert all(f"{code} {meaning}" in told for code, meaning in exits.EXIT_CODES.items())


@pytest.mark.parametrize("command", [["status"], ["get"], ["explain"], ["events"], ["agent"]])
def test_the_help_of_a_command_has_three_examples(command: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", "broker", *command, "-h"], capture_output=True, text=True, check=True)
    assert sum("agentbroker " in text for text in done.stdout.splitlines()) >= 3


def test_the_commands_load_no_heavy_module() -> None:
    script = textwrap.dedent("""
        import sys
        from broker.cli import agent, events, explain, get, status
        heavy = {'pydantic', 'yaml', 'grpc', 'sqlalchemy', 'aiohttp', 'asyncio', 'structlog', 'rich'} & set(sys.modules)
        sys.exit(f'loaded: {heavy}' if heavy else 0)
    """)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
