"""The answers to `explain`."""

from pathlib import Path

import pytest

from broker.domain.asked import Asked
from broker.domain.ids import AgentName, ControllerName, PolicyName, PoolName
from broker.domain.policy import AgentLimits
from broker.domain.pool import Cooldown, PoolLimits
from broker.domain.reason import REASONS, Reason
from broker.errors import BackendRejected
from broker.reconcile.presence import NodeReport
from broker.testing.factories import CONTROLLER, make_controller, make_definitions, make_policy, make_pool
from tests.core import BOOT, real_secret
from tests.unit.web.api_world import running_api

LABELLED = make_definitions(
    controllers=[make_controller(), make_controller(name=ControllerName("other"))],
    policies=[
        make_policy(labels=("linux", "docker")),
        make_policy(name=PolicyName("cn"), labels=("linux", "cn")),
        make_policy(name=PolicyName("gpu"), labels=("linux", "gpu"), controllers=(ControllerName("other"),)),
        make_policy(name=PolicyName("any"), labels=(), accept_unlabelled=True),
    ],
)


async def test_an_agent_that_waits_is_explained_with_every_pools_why_not(tmp_path: Path) -> None:
    pools = [make_pool(limits=PoolLimits(agents=0)), make_pool(name=PoolName("b"), limits=PoolLimits(pending=0))]
    async with running_api(tmp_path, make_definitions(pools=pools)) as api:
        await api.core.ask("linux-000001")
        await api.core.settle()
        await api.core.clock.advance(190)
        found = await api.get("explain?what=linux-000001")
    assert found["summary"].startswith(
        "linux-000001 is requested for 3m10s, 1st in line of policy linux: PoolAtLimit: "
    )
    assert found["reason"] == "PoolAtLimit"
    assert [(line["name"], line["state"]) for line in found["lines"]] == [("it", "PoolAtLimit"), ("b", "PoolAtLimit")]
    assert found["lines"][1]["text"] == "pool b is at its limit (0 of 0 starting agents)"
    assert found["commands"][0] == "agentbroker explain policy linux"
    assert found["agent"]["position"] == 1


async def test_a_build_is_explained_by_its_url(tmp_path: Path) -> None:
    url = "https://ci.example.com/job/app/812/"
    async with running_api(tmp_path) as api:
        asked = Asked(name="linux-000001", policy="linux", secret=real_secret("a"), build_url=url)
        await api.core.intake.accept(CONTROLLER, BOOT, [asked])
        for typed in (url, url.rstrip("/")):
            assert (await api.get("explain", params={"what": typed}))["id"] == "linux-000001"
        missing = await api.call("GET", "explain", params={"what": "https://ci.example.com/job/app/1/"})
    assert missing.status == 404
    assert "no agent was asked for" in missing.json["message"]


async def test_a_build_is_explained_by_the_agent_that_jenkins_says_it_waits_for(tmp_path: Path) -> None:
    first, second = "https://ci.example.com/job/app/812/", "https://ci.example.com/job/app/813/"
    async with running_api(tmp_path) as api:
        asked = Asked(name="linux-000001", policy="linux", secret=real_secret("a"), build_url=first)
        await api.core.intake.accept(CONTROLLER, BOOT, [asked])
        for busy in (False, True):
            waits = NodeReport(online=busy, accepting=not busy, busy=busy, uses=int(busy), build_url=second)
            api.core.nodes[AgentName("linux-000001")] = waits
            await api.core.sync()
            for url in (first, second):
                assert (await api.get("explain", params={"what": url}))["id"] == "linux-000001"


async def test_a_cooling_pool_is_explained_with_what_failed_and_how_long_it_rests(tmp_path: Path) -> None:
    definitions = make_definitions(pools=[make_pool(cooldown=Cooldown(after_failures=1))])
    async with running_api(tmp_path, definitions) as api:
        api.core.backend.next_launch_raises(BackendRejected("Denied", "no right", Reason.ACCESS_DENIED))
        await api.core.ask("linux-000001")
        await api.core.advance(10)
        pool = await api.get("explain?what=pool it")
        agent = await api.get("explain?what=linux-000001")
        policy = await api.get("explain?what=policy linux")
    assert pool["reason"] == "PoolCoolingDown"
    assert pool["summary"] == "pool it is cooling down, 4m50s more: its launches failed"
    assert pool["lines"][0] == {"name": "failed", "state": "AccessDenied", "text": "Denied: no right", "reason": None}
    assert agent["reason"] == "PoolCoolingDown"
    assert agent["commands"][1] == "agentbroker explain pool it"
    assert policy["summary"].startswith("policy linux   1 waiting (oldest ")
    assert [(line["name"], line["state"], line["reason"]) for line in policy["lines"]] == [
        ("it", "cooling down 4m50s more", "PoolCoolingDown")
    ]
    assert "Denied: no right" in policy["lines"][0]["text"]


async def test_a_full_pool_says_so(tmp_path: Path) -> None:
    async with running_api(tmp_path, make_definitions(pools=[make_pool(limits=PoolLimits(agents=1))])) as api:
        await api.core.ask("linux-000001")
        await api.core.settle()
        found = await api.get("explain?what=pool it")
    assert (found["reason"], found["summary"]) == ("PoolAtLimit", "pool it is at its limit (1 of 1 agents)")


async def test_a_label_that_nobody_serves_names_the_nearest_policies_and_what_they_lack(tmp_path: Path) -> None:
    async with running_api(tmp_path, LABELLED) as api:
        what = "label linux && arm && !cn"
        found = await api.get("explain", params={"what": what, "controller": "main"})
    assert found["reason"] == "NoMatchingPolicy"
    assert found["summary"] == "no policy matches linux && arm && !cn; nearest: linux lacks arm"
    assert [(line["name"], line["text"]) for line in found["lines"]] == [
        ("linux", "has linux; lacks arm"),
        ("cn", "has linux; lacks arm"),
        ("any", "has none of them; lacks arm, linux"),
    ]
    assert found["hint"].endswith("use one of the labels: linux, docker, cn")


async def test_a_label_is_explained_by_the_policy_that_serves_it_for_the_controller_that_asks(tmp_path: Path) -> None:
    async with running_api(tmp_path, LABELLED) as api:
        params = {"what": "label gpu || none", "controller": "other"}
        assert (await api.get("explain", params=params))["summary"] == "gpu || none: policy gpu serves it"
        assert (await api.get("explain", params=params | {"controller": "main"}))["reason"] == "NoMatchingPolicy"
        unlabelled = await api.get("explain", params={"what": "label"})
        assert unlabelled["summary"] == "no label: policy any serves it"
        broken = await api.call("GET", "explain", params={"what": "label linux &&"})
    assert broken.status == 400
    assert "column 9: expected a label" in broken.json["message"]


async def test_a_reason_is_explained_with_who_can_put_it_right_and_whom_it_holds_up(tmp_path: Path) -> None:
    definitions = make_definitions(policies=[make_policy(limits=AgentLimits(agents=0))])
    async with running_api(tmp_path, definitions) as api:
        await api.core.ask("linux-000001")
        await api.core.settle()
        found = await api.get("explain?what=reason PolicyAtLimit")
    assert found["summary"].endswith("Now: 1 agents.")
    assert found["hint"] == REASONS[Reason.POLICY_AT_LIMIT].hint
    assert [line["name"] for line in found["lines"]] == ["who", "linux-000001"]


@pytest.mark.parametrize("reason", Reason)
async def test_every_reason_can_be_explained(tmp_path: Path, reason: Reason) -> None:
    async with running_api(tmp_path) as api:
        assert (await api.get(f"explain?what=reason {reason}"))["id"] == reason


@pytest.mark.parametrize(
    ("what", "hint"),
    [
        ("linux-000002", "did you mean linux-000001?"),
        ("linux", "did you mean: explain policy linux"),
        ("policy linus", "did you mean linux?"),
        ("pool itt", "did you mean it?"),
        ("reason PoolAtLimits", "did you mean PoolAtLimit?"),
        ("policy", "there are: linux"),
    ],
)
async def test_what_has_no_such_name_is_answered_with_the_nearest(tmp_path: Path, what: str, hint: str) -> None:
    async with running_api(tmp_path) as api:
        await api.core.ask("linux-000001")
        answer = await api.call("GET", "explain", params={"what": what})
    assert (answer.status, answer.json["hint"]) == (404, hint)


async def test_who_waits_at_a_limit_is_told_when_a_place_is_expected_from_the_lives_of_those_before(
    tmp_path: Path,
) -> None:
    definitions = make_definitions(pools=[make_pool(limits=PoolLimits(agents=1))])
    async with running_api(tmp_path, definitions) as api:
        await api.core.start("linux-000001")
        await api.core.advance(240)
        await api.core.release("linux-000001")
        await api.core.advance(5)
        await api.core.start("linux-000002")
        await api.core.advance(30)
        await api.core.ask("linux-000003")
        await api.core.settle()
        found = await api.get("explain?what=linux-000003")
    assert found["hint"] == "pool it is at its limit (1 of 1 agents); the next is expected free in about 4 min"
