"""Launches by hand over the operators' API: what is refused in which words, and what is kept."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from broker.domain.ids import ControllerName, PolicyName
from broker.testing.factories import make_controller, make_definitions, make_policy
from tests.unit.wanted.jenkins import Jenkins
from tests.unit.web.api_world import ANA_TOKEN, OPERATORS, TV_TOKEN, Api, running_api

OTHER = ControllerName("mobile")
BIG = replace(make_policy(), name=PolicyName("big"), labels=("linux", "big"), priority=1)


async def post(api: Api, token: str | None = None, **body: Any) -> tuple[int, dict[str, Any]]:
    answer = await api.call("POST", "launches", token, json=body)
    return answer.status, answer.json


async def test_a_launch_is_kept_shown_and_found_with_its_agents(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        jenkins = Jenkins(api.core)
        await jenkins.sync()
        status, made = await post(api, label="linux", count=2, id="try-1")
        assert (status, made["state"], made["agents"], made["requested_by"]) == (200, "open", [], "local")
        assert (made["controller"], made["policy"], made["count"]) == ("main", "linux", 2)
        await jenkins.exchange()
        await jenkins.come_online()
        found = await api.get("launches/try-1")
        assert found["state"] == "complete"
        assert [(a["phase"], a["cause"], a["launch_id"]) for a in found["agents"]] == [
            ("online", "manual", "try-1")
        ] * 2
        [event] = [e for e in (await api.get("events?after=0&audit=1"))["items"] if e["event"] == "launch_asked"]
        assert event["message"] == "launch try-1: 2 agents of policy linux for linux"
        agent = await api.get(f"agents/{found['agents'][0]['id']}")
        assert agent["requested_by"] == "local"


async def test_the_same_call_again_launches_nothing_more_and_another_one_is_refused(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        await Jenkins(api.core).sync()
        _, first = await post(api, label="linux", id="try-1")
        status, again = await post(api, label="linux", id="try-1")
        assert (status, again["created_at"]) == (200, first["created_at"])
        status, refused = await post(api, label="linux", id="try-1", count=2)
        assert (status, refused["code"]) == (409, "launch_taken")
        assert refused["message"] == "launch try-1 is another one: 1 of policy linux at main"


async def test_a_repeat_is_answered_while_the_controller_is_away(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        await Jenkins(api.core).sync()
        await post(api, label="linux", id="try-1")
        await api.core.clock.advance(60)
        assert (await post(api, label="linux", id="try-1"))[0] == 200


async def test_a_label_that_no_policy_carries_is_refused_with_the_nearest(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        await Jenkins(api.core).sync()
        status, refused = await post(api, label="linux && gpu")
        assert (status, refused["code"]) == (404, "no_matching_policy")
        assert refused["message"] == (
            "NoMatchingPolicy: no policy carries all of: gpu, linux; nearest: linux lacks gpu"
        )
        assert "linux" in refused["hint"]
        status, refused = await post(api, label="linux && cpu=4")
        assert (status, refused["code"]) == (400, "bad_parameter")
        assert "is what its template says, without cpu=4" in refused["message"]
        status, refused = await post(api, label="linux &&")
        assert (status, refused["code"]) == (400, "bad_parameter")
        status, refused = await post(api)
        assert (status, refused["code"]) == (404, "no_matching_policy")


async def test_the_first_policy_by_priority_is_taken_as_jenkins_does(tmp_path: Path) -> None:
    async with running_api(tmp_path, make_definitions(policies=[make_policy(), BIG])) as api:
        await Jenkins(api.core).sync()
        assert (await post(api, label="linux"))[1]["policy"] == "big"
        assert (await post(api, policy="linux"))[1]["policy"] == "linux"
        assert (await post(api, label="!big"))[1]["policy"] == "linux"
        status, refused = await post(api, label="big", policy="linux")
        assert (status, refused["code"]) == (404, "no_matching_policy")
        status, refused = await post(api, policy="bif")
        assert (status, refused["hint"]) == (404, "did you mean big?")


async def test_a_controller_that_is_not_connected_is_said_so(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        status, refused = await post(api, label="linux")
        assert (status, refused["code"]) == (409, "controller_away")
        assert "controller main is not connected: it was not heard since the broker started" in refused["message"]
        await Jenkins(api.core).sync()
        await api.core.clock.advance(90)
        _, refused = await post(api, label="linux")
        assert "it was last heard 1m30s ago" in refused["message"]


async def test_of_several_controllers_the_connected_one_is_meant_or_one_is_to_be_said(tmp_path: Path) -> None:
    definitions = make_definitions(controllers=[make_controller(), make_controller(name=OTHER)])
    async with running_api(tmp_path, definitions) as api:
        status, refused = await post(api, label="linux")
        assert (status, refused["message"]) == (409, "no controller is connected, so none can ask for an agent")
        await Jenkins(api.core, OTHER).sync()
        assert (await post(api, label="linux"))[1]["controller"] == "mobile"
        await Jenkins(api.core).sync()
        status, refused = await post(api, label="linux")
        assert (status, refused["hint"]) == (400, "say which: --controller main")
        assert (await post(api, label="linux", controller="main"))[1]["controller"] == "main"
        status, refused = await post(api, label="linux", controller="mian")
        assert (status, refused["hint"]) == (404, "did you mean main?")


@pytest.mark.parametrize(
    "body",
    [{"count": 0}, {"count": 101}, {"id": "a b"}, {"id": "x" * 65}, {"expires_s": 0}, {"labels": "linux"}],
    ids=str,
)
async def test_what_cannot_be_meant_is_refused(tmp_path: Path, body: dict[str, Any]) -> None:
    async with running_api(tmp_path) as api:
        assert (await post(api, **{"label": "linux", **body}))[0] == 400


async def test_a_launch_that_nobody_made_is_not_found(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        answer = await api.call("GET", "launches/none")
        assert (answer.status, answer.json["message"]) == (404, "no launch is called 'none'")


async def test_a_viewer_may_look_and_not_launch(tmp_path: Path) -> None:
    async with running_api(tmp_path, make_definitions(operators=OPERATORS)) as api:
        await Jenkins(api.core).sync()
        status, refused = await post(api, TV_TOKEN, label="linux")
        assert (status, refused["code"]) == (403, "not_allowed")
        _, made = await post(api, ANA_TOKEN, label="linux")
        assert made["requested_by"] == "ana"
        assert (await api.get(f"launches/{made['id']}", TV_TOKEN))["state"] == "open"


async def test_how_many_are_warm_is_shown_with_the_policy(tmp_path: Path) -> None:
    async with running_api(tmp_path, make_definitions(policies=[make_policy(min_idle=2)])) as api:
        jenkins = Jenkins(api.core)
        await jenkins.exchange()
        await jenkins.come_online()
        [agent, _] = await jenkins.agents()
        jenkins.begin(agent.name)
        await jenkins.sync()
        policy = await api.get("policies/linux")
        assert (policy["warm"], policy["warm_wanted"]) == (1, 2)
