"""What controllers ask for: each bad input has its reason and its words, each repeat is the same agent."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from broker.domain.asked import Answer, Asked
from broker.domain.ids import AgentName, BootId, ControllerName
from broker.domain.lifecycle import Outcome, Phase
from broker.domain.pool import PoolLimits
from broker.domain.reason import Reason
from broker.errors import Busy
from broker.intake import Release
from broker.testing.factories import (
    CONTROLLER,
    make_controller,
    make_definitions,
    make_policy,
    make_pool,
    make_template,
)
from tests.core import Core, open_core, real_secret

NAME = "linux-000001"
OTHER = ControllerName("other")
BOOT = BootId("boot-1")


async def ask_one(core: Core, **changes: Any) -> Answer:
    asked = {"name": NAME, "policy": "linux", "secret": real_secret(NAME)} | changes
    [answer] = await core.intake.accept(CONTROLLER, BOOT, [Asked(**asked)])
    return answer


@pytest.mark.parametrize(
    "name",
    ["", "a b", "-a", "a_1", "linux&&arm", "../etc", "a\n", "ä", "a" * 64, "a" * 100_000, "<script>", "a\x00b"],
)
async def test_a_name_that_is_none_is_refused_with_the_rule(core: Core, name: str) -> None:
    answer = await ask_one(core, name=name)
    assert (answer.name, answer.reason) == (name, Reason.INVALID_REQUEST)
    assert "1 to 63 letters, digits and hyphens, no hyphen first or last" in answer.message
    assert len(answer.message) < 500
    assert await core.ctx.agents.live() == []


@pytest.mark.parametrize("secret", ["", "5" * 63, "5" * 65, "F" * 64, "g" * 64, "5" * 64 + "\n", "canary-" * 9])
async def test_a_bad_secret_is_refused_without_being_shown(core: Core, secret: str) -> None:
    answer = await ask_one(core, secret=secret)
    assert answer.reason == Reason.INVALID_REQUEST
    expected = f"agent {NAME}: the secret must be 64 lower-case hex digits, it has {len(secret)} characters"
    assert answer.message == expected


async def test_an_unknown_policy_is_refused_with_those_that_there_are(core: Core) -> None:
    answer = await ask_one(core, policy="windows" * 50)
    assert answer.reason == Reason.NO_MATCHING_POLICY
    assert answer.message.endswith("for this controller; it may use: linux")
    assert len(answer.message) < 300


async def test_a_policy_of_other_controllers_is_refused_as_an_unknown_one(tmp_path: Path) -> None:
    theirs = make_policy(controllers=(OTHER,))
    async with open_core(tmp_path / "broker.db", make_definitions(policies=[theirs])) as core:
        answer = await ask_one(core)
        assert answer.message == "no policy 'linux' for this controller; it may use: none"


async def test_a_name_that_another_controller_has_used_is_refused_even_when_it_is_gone(tmp_path: Path) -> None:
    definitions = make_definitions(controllers=[make_controller(), make_controller(name=OTHER)])
    async with open_core(tmp_path / "broker.db", definitions) as core:
        await core.sync()
        await core.ask(NAME)
        await core.release(NAME, Reason.CANCELLED, uses=0)
        await core.settle()
        assert (await core.agent(NAME)).phase == Phase.GONE
        [answer] = await core.ask(NAME, controller=OTHER)
        assert answer.reason == Reason.NAME_TAKEN
        assert answer.message == (
            f"the name {NAME} has been used by another controller; names are never used twice: choose another"
        )
        assert core.backend.ledger.total_created() == 0


async def test_two_controllers_cannot_take_one_name_at_the_same_moment(tmp_path: Path) -> None:
    definitions = make_definitions(controllers=[make_controller(), make_controller(name=OTHER)])
    async with open_core(tmp_path / "broker.db", definitions) as core, asyncio.TaskGroup() as group:
        both = [group.create_task(core.ask(NAME, controller=c), name=c) for c in (CONTROLLER, OTHER)]
        reasons = [(await task)[0].reason for task in both]
        assert sorted(reason or "" for reason in reasons) == ["", Reason.NAME_TAKEN]
        assert len(await core.ctx.agents.live()) == 1


async def test_one_bad_request_of_many_is_answered_beside_it(core: Core) -> None:
    good = Asked(name="a-1", policy="linux", secret=real_secret("a-1"))
    bad = Asked(name="a_2", policy="linux", secret=real_secret("a_2"))
    last = Asked(name="a-3", policy="linux", secret=real_secret("a-3"))
    answers = await core.intake.accept(CONTROLLER, BOOT, [good, bad, last])
    assert [(a.name, a.reason) for a in answers] == [("a-1", None), ("a_2", Reason.INVALID_REQUEST), ("a-3", None)]
    assert set(await core.phases()) == {"a-1", "a-3"}


async def test_a_repeat_with_other_words_is_the_agent_as_it_was_first_asked_for(core: Core) -> None:
    await ask_one(core, job="first")
    before = await core.agent(NAME)
    assert (await ask_one(core, job="second", secret="0" * 64)).reason is None
    assert await core.agent(NAME) == before
    await core.settle()
    assert core.backend.ledger.total_created() == 1


async def test_a_repeat_for_an_agent_that_is_gone_makes_no_other(core: Core) -> None:
    await core.start(NAME)
    await core.release(NAME)
    await core.advance(3)
    assert (await ask_one(core)).reason is None
    await core.advance(3)
    assert (await core.agent(NAME)).phase == Phase.GONE
    assert core.backend.ledger.total_created() == 1
    core.says(NAME, online=False)
    assert [a.name for a in (await core.sync()).removed] == [NAME]


async def test_a_name_twice_in_one_call_is_one_agent_and_counted_once(core: Core) -> None:
    asked = Asked(name=NAME, policy="linux", secret=real_secret(NAME))
    answers = await core.intake.accept(CONTROLLER, BOOT, [asked, asked])
    assert [a.reason for a in answers] == [None, None]
    text = core.ctx.metrics.exposition()[0].decode()
    [line] = [x for x in text.splitlines() if x.startswith("agentbroker_agents_requested_total{")]
    assert line.endswith(" 1.0")


async def test_long_texts_are_cut_and_kept(core: Core) -> None:
    await ask_one(core, job="j" * 10_000, build_url="u" * 10_000, label_expression="l" * 10_000)
    agent = await core.agent(NAME)
    assert {len(agent.job), len(agent.build_url), len(agent.label_expression)} == {2_000}


async def test_the_real_secret_is_nowhere_in_the_database(tmp_path: Path) -> None:
    path = tmp_path / "broker.db"
    async with open_core(path) as core:
        await core.sync()
        await core.ask(NAME)
        await core.settle()
        minted = core.ctx.keyring.mint((await core.agent(NAME)).id, 1)
    stored = b"".join(file.read_bytes() for file in path.parent.iterdir())
    for secret in (real_secret(NAME), minted):
        assert secret.encode() not in stored
        assert bytes.fromhex(secret) not in stored


async def test_release_names_those_that_are_unknown(core: Core) -> None:
    await core.ask(NAME)
    given = [
        Release(name=n, outcome=Outcome.CANCELLED, why=Reason.CANCELLED, message="", uses=0)
        for n in (NAME, "x", "\x00")
    ]
    assert await core.intake.release(CONTROLLER, BOOT, given) == [AgentName("x"), AgentName("\x00")]
    assert await core.intake.release(OTHER, BOOT, given[:1]) == [AgentName(NAME)]


async def test_a_request_that_waits_tells_why_in_the_next_sync(tmp_path: Path) -> None:
    definitions = make_definitions(pools=[make_pool(limits=PoolLimits(agents=0))], templates=[make_template()])
    async with open_core(tmp_path / "broker.db", definitions) as core:
        await core.ask(NAME)
        await core.settle()
        [kept] = (await core.sync()).kept
        assert kept.why == "requested: PoolAtLimit: pool it is at its limit (0 of 0 agents)"


async def test_a_policy_without_a_label_that_the_controller_may_use_is_refused_with_the_key_to_change(
    tmp_path: Path,
) -> None:
    policies = [make_policy(), make_policy(name="gpu", labels=("gpu", "cuda"))]
    definitions = make_definitions(policies=policies, controllers=[make_controller(labels=("lin*",))])
    async with open_core(tmp_path / "broker.db", definitions) as core:
        assert [p.name for p in await core.intake.greet(CONTROLLER, BOOT)] == ["linux"]
        answer = await ask_one(core, policy="gpu")
        assert answer.reason == Reason.NO_MATCHING_POLICY
        assert answer.message == (
            "no policy 'gpu' for this controller; it may use: linux; "
            "policy gpu has none of the labels of controllers.main.labels: add one there"
        )
        assert (await ask_one(core)).reason is None


async def test_more_agents_than_a_controller_may_have_are_refused_as_a_whole_and_taken_when_there_is_room(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.intake.MOST_AGENTS", 3)
    await core.ask("a-1", "a-2")
    with pytest.raises(Busy, match="controller main has 2 agents that are not gone; 2 more are over 3") as refused:
        await core.ask("a-2", "a-3", "a-4")
    assert refused.value.retry_after_s == 10
    assert (await core.phases()).keys() == {"a-1", "a-2"}
    assert [answer.reason for answer in await core.ask("a-1", "a-2", "a-3")] == [None] * 3
    await core.release("a-1", Reason.CANCELLED, uses=0)
    await core.advance(4)
    assert [answer.reason for answer in await core.ask("a-4")] == [None]


async def test_a_request_that_was_cut_off_while_it_was_written_is_placed_when_it_is_asked_again(core: Core) -> None:
    goes_on = asyncio.Event()

    async def wait(_connection: AsyncConnection) -> None:
        await goes_on.wait()

    await core.sync()
    await core.settle()
    async with asyncio.TaskGroup() as group:
        group.create_task(core.ctx.database.transaction(wait), name="writer")
        caller = group.create_task(core.ask(NAME), name="caller")
        await asyncio.sleep(0.3)  # it waits for its turn to write
        caller.cancel()
        goes_on.set()
    await core.ctx.database.remember("after", "it")
    [answer] = await core.ask(NAME)
    assert answer.reason is None
    await core.settle()
    assert (await core.agent(NAME)).phase == Phase.BOOTING
