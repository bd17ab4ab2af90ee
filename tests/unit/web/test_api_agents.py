"""What operators change: ending an agent by hand, reading the config anew."""

from pathlib import Path

import pytest

from broker.domain.lifecycle import Outcome, Phase
from broker.domain.reason import Reason
from tests.unit.web.api_world import running_api


async def test_a_terminated_agent_ends_and_jenkins_is_told_who_and_why(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        await api.core.start("linux-000001")
        answer = await api.call("POST", "agents/linux-000001:terminate", json={"reason": "bad host"})
        assert (answer.status, answer.json["goal"], answer.json["reason"]) == (200, "drained", "Cancelled")
        [kept] = (await api.core.sync()).kept
        assert (kept.agent.name, kept.takes_builds) == ("linux-000001", False)
        assert "Cancelled: ended by local: bad host" in kept.why
        api.core.says("linux-000001", accepting=False)
        await api.core.sync()
        await api.core.advance(3)
        [told] = (await api.core.sync()).removed
        assert (told.name, told.why) == ("linux-000001", Reason.CANCELLED)
        agent = await api.core.agent("linux-000001")
    assert (agent.phase, agent.outcome) == (Phase.GONE, Outcome.SUCCEEDED)
    assert api.core.backend.ledger.instances == {}


async def test_a_build_that_has_begun_before_jenkins_heard_of_the_end_is_not_cut(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        await api.core.start("linux-000001")
        assert (await api.call("POST", "agents/linux-000001:terminate")).status == 200
        api.core.says("linux-000001", accepting=False, busy=True, uses=1)
        await api.core.sync()
        await api.core.advance(5)
        assert (await api.core.agent("linux-000001")).phase == Phase.DRAINING
        api.core.says("linux-000001", accepting=False, uses=1)
        await api.core.sync()
        await api.core.advance(3)
        assert (await api.core.agent("linux-000001")).phase == Phase.GONE


async def test_an_agent_that_waits_is_ended_too_and_was_never_online(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        api.core.backend.room = 0
        await api.core.ask("linux-000001")
        await api.core.settle()
        await api.call("POST", "agents/linux-000001:terminate")
        await api.core.settle()
        agent = await api.core.agent("linux-000001")
    assert (agent.phase, agent.outcome, agent.why) == (Phase.GONE, Outcome.CANCELLED, Reason.CANCELLED)


async def test_an_agent_that_runs_a_build_is_ended_only_by_force(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        await api.core.start("linux-000001")
        api.core.says("linux-000001", busy=True)
        await api.core.sync()
        refused = await api.call("POST", "agents/linux-000001:terminate")
        assert (refused.status, refused.json["code"]) == (409, "agent_busy")
        assert "force" in refused.json["hint"]
        assert (await api.core.agent("linux-000001")).goal == "online"
        assert (await api.call("POST", "agents/linux-000001:terminate", json={"force": True})).status == 200
        await api.core.advance(3)
        assert (await api.core.agent("linux-000001")).phase is Phase.GONE


async def test_a_drained_agent_takes_no_build_and_ends_with_the_one_that_it_runs(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        await api.core.start("linux-000001")
        api.core.says("linux-000001", busy=True, uses=1)
        await api.core.sync()
        answer = await api.call("POST", "agents/linux-000001:drain", json={"reason": "its host goes"})
        assert (answer.status, answer.json["goal"], answer.json["busy"]) == (200, "drained", True)
        assert answer.json["message"].startswith("drained by local: its host goes (goal online -> drained")
        await api.core.advance(60)
        [kept] = (await api.core.sync()).kept
        assert (kept.agent.phase, kept.takes_builds) == (Phase.DRAINING, False)
        assert (await api.call("POST", "agents/linux-000001:drain")).status == 200
        api.core.says("linux-000001", accepting=False, uses=1)
        await api.core.sync()
        await api.core.advance(3)
        [told] = (await api.core.sync()).removed
        events = (await api.call("GET", "events?audit=1")).json["items"]
    assert (told.phase, told.outcome, told.why) == (Phase.GONE, Outcome.SUCCEEDED, Reason.CANCELLED)
    assert told.message.startswith("drained by local: its host goes")
    assert [(e["event"], e["actor"], e["agent"]) for e in events] == [("goal", "local@127.0.0.1", "linux-000001")]


async def test_draining_an_agent_that_never_was_online_ends_it(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        await api.core.sync()
        await api.core.ask("linux-000001")
        await api.core.settle()
        assert (await api.call("POST", "agents/linux-000001:drain")).json["goal"] == "gone"
        await api.core.advance(3)
        agent = await api.core.agent("linux-000001")
    assert (agent.phase, agent.outcome, agent.why) == (Phase.GONE, Outcome.CANCELLED, Reason.CANCELLED)
    assert api.core.backend.ledger.instances == {}


async def test_ending_by_force_goes_on_where_draining_waits(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        await api.core.start("linux-000001")
        api.core.says("linux-000001", busy=True, uses=1)
        await api.core.sync()
        await api.call("POST", "agents/linux-000001:drain")
        await api.core.advance(3)
        forced = await api.call("POST", "agents/linux-000001:terminate", json={"force": True})
        await api.core.advance(3)
        agent = await api.core.agent("linux-000001")
    assert (forced.status, agent.phase) == (200, Phase.GONE)
    assert "goal drained -> gone; it was draining, busy" in agent.message


async def test_ending_an_agent_again_changes_nothing(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        await api.core.start("linux-000001")
        await api.call("POST", "agents/linux-000001:terminate", json={"reason": "first"})
        await api.core.advance(3)
        before = await api.core.agent("linux-000001")
        answer = await api.call("POST", "agents/linux-000001:terminate", json={"reason": "second"})
        assert answer.status == 200
        assert await api.core.agent("linux-000001") == before


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b'{"forse": true}', 400, "unknown_parameter"),
        (b'{"force": "perhaps"}', 400, "bad_parameter"),
        (b'{"reason": "' + b"x" * 501 + b'"}', 400, "bad_parameter"),
        (b"not json", 400, "bad_parameter"),
        (b'{"reason": "' + b"x" * 20_000 + b'"}', 413, "too_large"),
    ],
)
async def test_a_body_that_says_something_else_is_refused(tmp_path: Path, body: bytes, status: int, code: str) -> None:
    async with running_api(tmp_path) as api:
        await api.core.ask("linux-000001")
        headers = {"Content-Type": "application/json"}
        answer = await api.call("POST", "agents/linux-000001:terminate", data=body, headers=headers)
        assert (answer.status, answer.json["code"]) == (status, code), answer
        assert (await api.core.agent("linux-000001")).goal == "online"


async def test_an_agent_that_nobody_knows_is_not_found(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        assert (await api.call("POST", "agents/nobody:terminate")).status == 404
        assert (await api.call("POST", "agents/nobody:drain")).status == 404


async def test_a_reload_says_what_it_changes_and_who_asked(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        would = await api.call("POST", "reload", json={"dry_run": True})
        assert (would.json["dry_run"], would.json["changed"]) == (True, ["pools.it.limits.agents: 1 -> 2"])
        assert api.reloads.actors == []
        done = await api.call("POST", "reload")
    assert (done.status, done.json["kind"], done.json["revision"]) == (200, "Reload", "2")
    assert api.reloads.actors == ["local@127.0.0.1"]


async def test_a_config_that_cannot_be_used_is_told_as_it_is_printed(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        api.reloads.broken = "broker.yaml:3:1: error[unknown-key]: ..."
        answer = await api.call("POST", "reload")
    assert (answer.status, answer.json["code"]) == (422, "config_invalid")
    assert answer.json["message"] == "broker.yaml:3:1: error[unknown-key]: ..."
