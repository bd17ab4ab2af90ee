"""Who may use the operators' API, and what a viewer does not see."""

from dataclasses import replace
from pathlib import Path

import pytest

from broker.domain.pool import Cooldown
from broker.domain.reason import Reason
from broker.errors import BackendRejected
from broker.testing.factories import make_definitions, make_pool
from tests.unit.web.api_world import ANA_TOKEN, OPERATORS, TV_TOKEN, Api, running_api

WITH_TOKENS = replace(make_definitions(), operators=OPERATORS)
READS = ("status", "agents", "pools", "pools/it", "policies", "controllers", "events", "explain?what=pool it")
FORWARDED = ({"X-Forwarded-For": "10.0.0.1"}, {"x-forwarded-proto": "https"}, {"Forwarded": "for=10.0.0.1"})


async def test_with_tokens_configured_nobody_comes_in_without_one(tmp_path: Path) -> None:
    async with running_api(tmp_path, WITH_TOKENS) as api:
        for path in (*READS, "openapi.json"):
            answer = await api.call("GET", path)
            assert (answer.status, answer.json["code"]) == (401, "token_needed"), path
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert (await api.call("GET", "status", "wrong")).json["code"] == "token_unknown"
        assert (await api.call("GET", "status", headers={"Authorization": f"Basic {ANA_TOKEN}"})).status == 401


async def test_a_viewer_reads_and_only_an_operator_changes(tmp_path: Path) -> None:
    async with running_api(tmp_path, WITH_TOKENS) as api:
        await api.core.ask("linux-000001")
        for path in READS:
            assert (await api.call("GET", path, TV_TOKEN)).status == 200, path
            assert (await api.call("GET", path, ANA_TOKEN)).status == 200, path
        refused = await api.call("POST", "agents/linux-000001:terminate", TV_TOKEN)
        assert (refused.status, refused.json["code"]) == (403, "not_allowed")
        assert "tv is a viewer and may not" in refused.json["message"]
        assert (await api.core.agent("linux-000001")).goal == "online"
        assert (await api.call("POST", "agents/linux-000001:drain", TV_TOKEN)).status == 403
        assert (await api.call("POST", "agents/linux-000001:terminate", ANA_TOKEN)).status == 200
        assert (await api.core.agent("linux-000001")).goal == "gone"


async def test_without_tokens_this_machine_alone_may_do_all(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        await api.core.ask("linux-000001")
        assert (await api.call("GET", "status")).status == 200
        assert (await api.call("GET", "status", headers={"Host": f"localhost:{api.port}"})).status == 200
        assert (await api.call("GET", "status", headers={"Host": "[::1]"})).status == 200
        assert (await api.call("POST", "agents/linux-000001:terminate")).status == 200


@pytest.mark.parametrize("headers", FORWARDED)
async def test_without_tokens_nobody_comes_in_through_a_proxy(tmp_path: Path, headers: dict[str, str]) -> None:
    async with running_api(tmp_path) as api:
        answer = await api.call("GET", "status", headers=headers)
    assert (answer.status, answer.json["code"]) == (401, "token_needed")
    assert "proxy" in answer.json["message"]
    assert "server.auth.tokens" in answer.json["hint"]


@pytest.mark.parametrize("host", ["evil.example.com", "evil.example.com:7070", "10.0.0.7", "localhost.evil.com", ""])
async def test_without_tokens_a_name_that_was_bound_to_loopback_does_not_let_a_page_in(
    tmp_path: Path, host: str
) -> None:
    async with running_api(tmp_path) as api:
        answer = await api.call("GET", "status", headers={"Host": host})
    assert answer.status in {400, 401}


async def test_without_tokens_a_page_of_another_origin_changes_nothing(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        await api.core.ask("linux-000001")
        foreign = {"Origin": "https://evil.example.com"}
        refused = await api.call("POST", "agents/linux-000001:terminate", headers=foreign)
        assert (refused.status, refused.json["code"]) == (403, "foreign_origin")
        form = await api.call(
            "POST", "agents/linux-000001:terminate", data=b"force=1", headers={"Content-Type": "text/plain"}
        )
        assert form.status == 415
        assert (await api.core.agent("linux-000001")).goal == "online"


async def test_without_tokens_a_listener_for_others_lets_nobody_in(tmp_path: Path) -> None:
    async with running_api(tmp_path, loopback=False) as api:
        answer = await api.call("GET", "status")
    assert (answer.status, answer.json["code"]) == (401, "token_needed")
    assert "not on loopback" in answer.json["message"]


async def cooled(api: Api) -> None:
    secret = BackendRejected("AccessDenied", "arn:aws:iam::111122223333:role/x may not", Reason.ACCESS_DENIED)
    api.core.backend.next_launch_raises(secret)
    await api.core.ask("linux-000001")
    await api.core.advance(3)


async def test_a_viewer_never_sees_what_a_cloud_answered_and_an_operator_does(tmp_path: Path) -> None:
    definitions = replace(make_definitions(pools=[make_pool(cooldown=Cooldown(after_failures=1))]), operators=OPERATORS)
    paths = [*READS, "events?since=1h", "agents/linux-000001", "agents?all=1", "policies/linux"]
    paths += [f"explain?what={what}" for what in ("linux-000001", "policy linux", "reason AccessDenied")]
    async with running_api(tmp_path, definitions) as api:
        await cooled(api)
        seen = {path: str((await api.call("GET", path, TV_TOKEN)).json) for path in paths}
        assert [path for path, text in seen.items() if "111122223333" in text] == []
        assert "AccessDenied" in seen["agents/linux-000001"]
        told = str((await api.call("GET", "explain?what=pool it", ANA_TOKEN)).json)
    assert "111122223333" in told


async def test_what_operators_did_is_for_operators_with_who_and_from_where(tmp_path: Path) -> None:
    async with running_api(tmp_path, WITH_TOKENS) as api:
        await api.core.start("linux-000001")
        api.core.says("linux-000001", busy=True)
        await api.core.sync()
        asked = {"force": True, "reason": "it hangs"}
        await api.call("POST", "agents/linux-000001:terminate", ANA_TOKEN, json=asked)
        assert (await api.call("GET", "events?audit=1", TV_TOKEN)).status == 403
        audit = (await api.get("events?audit=1", ANA_TOKEN))["items"]
        seen = [e for e in (await api.get("events", TV_TOKEN))["items"] if e["actor"]]
    assert [(e["event"], e["agent"], e["actor"]) for e in audit] == [("goal", "linux-000001", "ana@127.0.0.1")]
    assert audit[0]["message"] == "ended by ana: it hangs (goal online -> gone; it was online, busy)"
    assert [e["actor"] for e in seen] == ["ana"]


async def test_no_token_is_ever_answered_or_logged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    texts = []
    async with running_api(tmp_path, WITH_TOKENS) as api:
        for path in READS:
            texts.append(str(await api.call("GET", path, ANA_TOKEN)))
            texts.append(str(await api.call("GET", path, TV_TOKEN + "x")))
        texts.append(api.core.ctx.metrics.exposition()[0].decode())
    texts += [capsys.readouterr().out, caplog.text]
    assert [text for text in texts if "canary" in text] == []
