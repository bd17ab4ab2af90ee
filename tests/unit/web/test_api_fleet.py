"""What the API says of agents, pools, policies, controllers and the broker."""

from pathlib import Path

import pytest

from broker.domain.ids import PolicyName
from broker.domain.policy import AgentLimits, Retry
from broker.domain.pool import Cooldown, PoolLimits
from broker.domain.reason import Reason
from broker.errors import BackendRejected
from broker.testing.factories import make_definitions, make_policy, make_pool
from tests.unit.web.api_world import running_api


async def test_an_agent_that_waits_says_why_and_where_it_stands_in_line(tmp_path: Path) -> None:
    definitions = make_definitions(policies=[make_policy(limits=AgentLimits(agents=1))])
    async with running_api(tmp_path, definitions) as api:
        await api.core.ask("linux-000001")
        await api.core.settle()
        await api.core.ask("linux-000002", "linux-000003")
        await api.core.settle()
        found = await api.get("agents/linux-000003")
    assert (found["api"], found["kind"], found["id"], found["phase"]) == ("v1", "Agent", "linux-000003", "requested")
    assert (found["reason"], found["position"]) == ("PolicyAtLimit", 2)
    assert found["hint"].startswith("policy linux is at its limit (1 of 1 agents). ")
    assert found["not_chosen"] == [
        {"pool": "it", "reason": "PolicyAtLimit", "message": "policy linux is at its limit (1 of 1 agents)"}
    ]
    assert found["created_at"].endswith("Z")
    assert found["attempts"] == []


async def test_an_agents_timeline_and_attempts_tell_its_life_with_durations(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        api.core.backend.next_launch_raises(BackendRejected("Denied", "not you", Reason.ACCESS_DENIED))
        await api.core.sync()
        await api.core.ask("linux-000001")
        await api.core.advance(3)
        api.core.sessions.connect(await api.core.agent("linux-000001"))
        api.core.says("linux-000001")
        await api.core.sync()
        await api.core.settle()
        await api.core.clock.advance(7)
        found = await api.get("agents/linux-000001")
    assert found["phase"] == "online"
    first, second = found["attempts"]
    assert (first["number"], first["reason"], first["message"]) == (1, "AccessDenied", "Denied: not you")
    assert (second["number"], second["reason"], second["ended_at"]) == (2, None, None)
    assert second["online_at"] == found["online_at"]
    events = [step["event"] for step in found["timeline"]]
    assert events[:3] == ["requested", "placed", "failed"]
    assert events[-1] == "online"
    assert found["timeline"][-1]["lasted_s"] == 7.0
    assert found["age_s"] >= 7.0


async def test_the_list_of_agents_is_filtered_and_comes_in_parts(tmp_path: Path) -> None:
    definitions = make_definitions(policies=[make_policy(), make_policy(name=PolicyName("other"), labels=("other",))])
    async with running_api(tmp_path, definitions) as api:
        await api.core.ask(*(f"linux-{n:06d}" for n in range(5)))
        await api.core.ask("other-000001", policy="other")
        await api.core.settle()
        await api.core.release("linux-000000")
        await api.core.advance(3)
        names, after = [], ""
        while True:
            part = await api.get(f"agents?policy=linux&limit=2{after}")
            names.append([a["id"] for a in part["items"]])
            if part["next"] is None:
                break
            after = f"&after={part['next']}"
        gone = await api.get("agents?phase=gone")
        every = await api.get("agents?all=1")
        assert names == [["linux-000001", "linux-000002"], ["linux-000003", "linux-000004"]]
        assert [a["id"] for a in gone["items"]] == ["linux-000000"]
        assert len(every["items"]) == 6
        assert [a["id"] for a in (await api.get("agents?policy=other"))["items"]] == ["other-000001"]
        assert (await api.get("agents?pool=nowhere"))["items"] == []


async def test_a_cooling_pool_says_why_and_until_when(tmp_path: Path) -> None:
    pool = make_pool(cooldown=Cooldown(after_failures=1), limits=PoolLimits(agents=4, pending=2))
    definitions = make_definitions(pools=[pool], policies=[make_policy(retry=Retry(attempts=5))])
    async with running_api(tmp_path, definitions) as api:
        api.core.backend.next_launch_raises(BackendRejected("Denied", "role/x may not", Reason.ACCESS_DENIED))
        await api.core.ask("linux-000001")
        await api.core.advance(2)
        found = await api.get("pools/it")
        status = await api.get("status")
    assert (found["state"], found["reason"], found["message"]) == (
        "cooldown", "AccessDenied", "Denied: role/x may not",
    )  # fmt: skip
    assert found["until"] > status["started_at"]
    assert {limit["name"]: (limit["used"], limit["cap"]) for limit in found["limits"]}["agents"] == (0, 4)
    assert found["policies"] == ["linux"]
    commands = [warning["command"] for warning in status["warnings"]]
    assert "agentbroker explain pool it" in commands


async def test_a_pool_counts_what_it_holds_against_its_limits(tmp_path: Path) -> None:
    definitions = make_definitions(pools=[make_pool(limits=PoolLimits(agents=4, pending=2))])
    async with running_api(tmp_path, definitions) as api:
        await api.core.start()
        await api.core.ask("linux-000002")
        await api.core.settle()
        found = (await api.get("pools"))["items"][0]
    assert {limit["name"]: (limit["used"], limit["cap"]) for limit in found["limits"]} == {
        "agents": (2, 4), "pending": (1, 2), "cpu_milli": (2000, None), "memory_mib": (1024, None),
    }  # fmt: skip
    assert (found["agents"]["total"], found["agents"]["online"], found["agents"]["starting"]) == (2, 1, 1)
    assert found["state"] == "ready"


async def test_a_policy_says_how_each_of_its_pools_stands(tmp_path: Path) -> None:
    full, free = make_pool(limits=PoolLimits(agents=0)), make_pool(name="free")
    definitions = make_definitions(pools=[full, free])
    async with running_api(tmp_path, definitions) as api:
        found = await api.get("policies/linux")
        listed = await api.get("policies")
    assert [(p["pool"], p["reason"]) for p in found["pools"]] == [("it", "PoolAtLimit"), ("free", None)]
    assert listed["items"] == [found]


async def test_a_controller_says_since_when_it_is_connected_and_when_it_was_heard(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        assert (await api.get("controllers"))["items"][0]["link"] == "never"
        await api.core.intake.greet(next(iter(api.core.ctx.definitions.controllers)), api.core.boot)
        assert (await api.get("controllers"))["items"][0]["link"] == "syncing"
        await api.core.sync()
        await api.core.clock.advance(4)
        connected = (await api.get("controllers"))["items"][0]
        await api.core.clock.advance(60)
        away = (await api.get("controllers"))["items"][0]
    assert connected["link"] == "connected"
    assert connected["connected_since"] == connected["last_heard_at"]
    assert (away["link"], away["connected_since"]) == ("away", None)
    assert away["last_heard_at"] == connected["last_heard_at"]


async def test_a_controller_with_files_of_a_version_too_far_apart_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.web.api.convert.VERSION", "1.7.0")
    async with running_api(tmp_path) as api:
        for version, step in (("1.4.0", "run: agentbroker init jenkins"), ("1.5.0", "")):
            await api.core.intake.greet(next(iter(api.core.ctx.definitions.controllers)), api.core.boot, version)
            [found] = (await api.get("controllers"))["items"]
            warnings = [w["message"] for w in (await api.get("status"))["warnings"] if "version" in w["message"]]
            assert (found["version"], found["remark"].endswith(step)) == (version, True)
            assert bool(found["remark"]) == bool(step)
            assert warnings == ([f"controller main: {found['remark']}"] if step else [])


async def test_the_status_tells_parts_counts_and_the_time_of_a_start(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        await api.core.start()
        await api.core.clock.advance(10)
        found = await api.get("status")
    assert found["ready"] is True
    assert found["up_s"] == 10.0
    assert (found["agents"]["online"], found["agents"]["waiting"]) == (1, 0)
    assert found["start_p95_s"] is not None
    assert found["revision"] == "1"


@pytest.mark.parametrize(
    ("path", "status", "code", "message", "hint"),
    [
        ("agents?phse=gone", 400, "unknown_parameter", "query parameter has no 'phse'", "did you mean phase?"),
        ("agents?phase=goen", 400, "bad_parameter", "query parameter 'phase'", "Only those in this phase."),
        ("agents?limit=100000", 400, "bad_parameter", "less than or equal to 1000", "Most agents in the answer."),
        ("agents?limit=1&limit=2", 400, "bad_parameter", "'limit' is there more than once", "say limit once"),
        ("agents?after=nonsense", 400, "bad_parameter", "not a place in the list", "take it from `next`"),
        ("agents/nobody", 404, "not_found", "no agent is called 'nobody'", "agents?all=1"),
        ("pools/itt", 404, "not_found", "no pool is called 'itt'", "did you mean it?"),
        ("policies/linus", 404, "not_found", "no policy is called 'linus'", "did you mean linux?"),
        ("nothing", 404, "no_such_path", "nothing is at /api/v1/nothing", "openapi.json"),
        ("events?since=1", 400, "bad_parameter", "'1' is no duration", "write 90s"),
        ("explain", 400, "missing_parameter", "query parameter lacks 'what'", "add what"),
    ],
)
async def test_a_refusal_names_the_place_and_the_fix(
    tmp_path: Path, path: str, status: int, code: str, message: str, hint: str
) -> None:
    async with running_api(tmp_path) as api:
        answer = await api.call("GET", path)
    assert (answer.status, answer.json["code"]) == (status, code), answer
    assert message in answer.json["message"]
    assert hint in answer.json["hint"]


async def test_calls_are_counted_by_endpoint_and_code_never_by_name(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        await api.core.start("linux-000001")
        await api.get("agents/linux-000001")
        await api.call("GET", "agents/nobody")
        await api.call("GET", "such/a/path")
        text = api.core.ctx.metrics.exposition()[0].decode()
    assert 'agentbroker_http_requests_total{code="200",endpoint="/api/v1/agents/{name}",method="GET"} 1.0' in text
    assert 'agentbroker_http_requests_total{code="404",endpoint="/api/v1/agents/{name}",method="GET"} 1.0' in text
    assert 'agentbroker_http_requests_total{code="404",endpoint="other",method="GET"} 1.0' in text
    assert "linux-000001" not in "".join(line for line in text.splitlines() if "http_requests" in line)
