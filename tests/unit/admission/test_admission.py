"""Who may come in: the agent whose attempt lives, with that attempt's secret, while its controller is there."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from broker.admission import HELD, Admission
from broker.domain.ids import AgentId, AgentName, BootId, ControllerName
from broker.domain.lifecycle import Goal, Outcome, Phase
from broker.domain.reason import Reason
from broker.domain.template import Retention
from broker.keys import Keyring
from broker.ports import Admitted, Knock, Refused
from broker.testing.clock import settle
from broker.testing.factories import CONTROLLER, make_agent, make_controller, make_definitions, make_template
from tests.core import Core, open_core, real_secret

NAME = "linux-000001"
OTHER = "linux-000002"


async def launched(core: Core, *names: str) -> None:
    await core.sync()
    await core.ask(*(names or (NAME,)))
    await core.settle()


def refused(answer: Admitted | Refused, *words: str, retry: bool = False) -> Refused:
    assert isinstance(answer, Refused), answer
    for word in words:
        assert word in answer.message
    assert answer.retry == retry
    return answer


async def test_a_launched_agent_is_let_in_with_the_real_secret(core: Core) -> None:
    await launched(core)
    agent = await core.agent(NAME)
    assert await core.knock(NAME) == Admitted(
        agent_id=agent.id, attempt=1, secret=real_secret(NAME), controller=CONTROLLER
    )
    assert real_secret(NAME) not in repr(await core.knock(NAME))


async def test_a_wrong_secret_is_refused(core: Core) -> None:
    await launched(core)
    for secret in ("", "x", "0" * 64, real_secret(NAME), "ä" * 64):
        answer = refused(await core.knock(NAME, secret), "wrong secret for linux-000001")
        assert answer.reason == Reason.HANDSHAKE_REJECTED


async def test_an_unknown_name_is_refused(core: Core) -> None:
    await launched(core)
    for name in ("nobody", "", "linux-000001\n", "x" * 5000, "ä"):
        answer = await core.admission.admit(Knock(controller=CONTROLLER, name=name, secret="0" * 64))
        assert len(refused(answer, "no agent", "was asked for").message) < 200


async def test_the_secret_of_another_agent_is_refused(core: Core) -> None:
    await launched(core, NAME, OTHER)
    other = await core.agent(OTHER)
    refused(await core.knock(NAME, core.ctx.keyring.mint(other.id, 1)), "wrong secret")


async def test_an_agent_knocks_only_at_its_own_controller(tmp_path: Path) -> None:
    definitions = make_definitions(controllers=[make_controller(), make_controller(name=ControllerName("other"))])
    async with open_core(tmp_path / "broker.db", definitions) as core:
        await launched(core)
        agent = await core.agent(NAME)
        secret = core.ctx.keyring.mint(agent.id, 1)
        refused(
            await core.admission.admit(Knock(controller=ControllerName("other"), name=NAME, secret=secret)),
            "no agent",
        )


async def test_the_secret_of_an_earlier_attempt_is_refused_as_such(core: Core) -> None:
    await launched(core)
    first = await core.agent(NAME)
    assert first.instance is not None
    core.backend.stop(first.instance, exit_code=1)
    await core.advance(8)
    assert (await core.agent(NAME)).attempt == 2
    old = core.ctx.keyring.mint(first.id, 1)
    answer = refused(await core.knock(NAME, old), "belongs to an attempt that is over", "attempt 2 is on")
    assert answer.over
    assert isinstance(await core.knock(NAME), Admitted)


async def test_between_two_attempts_nobody_is_let_in(core: Core) -> None:
    await launched(core)
    first = await core.agent(NAME)
    assert first.instance is not None
    core.backend.terminate_stays = True
    core.backend.stop(first.instance, exit_code=1)
    await core.advance(2)
    assert (await core.agent(NAME)).phase == Phase.TERMINATING
    refused(await core.knock(NAME), "is over")


async def test_after_its_one_build_an_agent_is_refused(core: Core) -> None:
    await core.start(NAME)
    core.says(NAME, busy=True, uses=1)
    await core.sync()
    assert isinstance(await core.knock(NAME), Admitted), "its build still runs"
    core.says(NAME, busy=False, uses=1)
    await core.sync()
    answer = refused(await core.knock(NAME), "has done its last build")
    assert not answer.over, "Jenkins has not given it up yet, and may know better"


async def test_only_who_shows_the_secret_of_an_agent_that_is_over_is_told_to_leave(core: Core) -> None:
    await core.start(NAME)
    await core.release(NAME)
    await core.advance(3)
    assert refused(await core.knock(NAME), "is over: Completed").over
    assert not refused(await core.knock(NAME, "0" * 64), "wrong secret").over


async def test_an_agent_with_builds_left_is_let_in_again(tmp_path: Path) -> None:
    definitions = make_definitions(templates=[make_template(retention=Retention(max_uses=2))])
    async with open_core(tmp_path / "broker.db", definitions) as core:
        await core.start(NAME)
        core.says(NAME, busy=False, uses=1)
        await core.sync()
        assert isinstance(await core.knock(NAME), Admitted)
        core.says(NAME, busy=False, uses=2)
        await core.sync()
        refused(await core.knock(NAME), "has done its last build")


async def test_a_used_agent_that_is_still_busy_may_reconnect(core: Core) -> None:
    agent = await core.start(NAME)
    core.says(NAME, busy=True, uses=1)
    await core.sync()
    core.sessions.disconnect(agent.id)
    await core.settle()
    assert (await core.agent(NAME)).phase == Phase.RECONNECTING
    assert isinstance(await core.knock(NAME), Admitted)


async def test_an_agent_that_is_not_wanted_any_more_is_refused(core: Core) -> None:
    await core.start(NAME)
    await core.release(NAME, Reason.CANCELLED, uses=0)
    refused(await core.knock(NAME), "is over: Cancelled")
    await core.advance(3)
    assert (await core.agent(NAME)).phase == Phase.GONE
    refused(await core.knock(NAME), "is over: Cancelled")


async def test_a_draining_agent_may_come_back_to_its_build(core: Core) -> None:
    await core.start(NAME)
    core.says(NAME, busy=True, uses=1)
    await core.sync()
    await core.settle()
    await core.ctx.aim(await core.agent(NAME), Goal.DRAINED, Outcome.SUCCEEDED, Reason.POOL_DRAINING, "")
    await core.settle()
    assert (await core.agent(NAME)).phase == Phase.DRAINING
    assert isinstance(await core.knock(NAME), Admitted)


async def test_an_agent_whose_controller_is_away_shall_try_again(core: Core) -> None:
    await core.start(NAME)
    await core.advance(11)
    answer = refused(await core.knock(NAME), "controller main is away; try again", retry=True)
    assert answer.reason == Reason.CONTROLLER_UNREACHABLE


async def test_an_agent_whose_controller_has_not_synced_shall_try_again(core: Core) -> None:
    await core.start(NAME)
    await core.intake.greet(CONTROLLER, BootId("boot-2"))
    refused(await core.knock(NAME), "has not told its nodes yet; try again", retry=True)
    core.boot = BootId("boot-2")
    await core.sync()
    assert isinstance(await core.knock(NAME), Admitted)


async def test_a_wrong_secret_learns_nothing_of_the_controller(core: Core) -> None:
    await core.start(NAME)
    await core.advance(11)
    refused(await core.knock(NAME, "0" * 64), "wrong secret", retry=False)


async def test_a_knock_changes_nothing(core: Core) -> None:
    await launched(core)
    before = await core.agent(NAME)
    await core.knock(NAME)
    await core.knock(NAME, "wrong")
    assert await core.agent(NAME) == before


class CountingKeyring(Keyring):
    """Counts the secrets that it mints: the work that a guess costs."""

    minted = 0

    def mint(self, agent_id: AgentId, attempt: int) -> str:
        self.minted += 1
        return super().mint(agent_id, attempt)


@pytest.mark.parametrize("name", [NAME, "nobody"])
async def test_an_unknown_name_costs_as_much_work_as_a_known_one(core: Core, name: str) -> None:
    await launched(core)
    keyring = CountingKeyring(bytes(32))
    admission = Admission(core.ctx.agents, core.ctx.presence, keyring, make_definitions)
    refused(await admission.admit(Knock(controller=CONTROLLER, name=name, secret="0" * 64)))
    assert keyring.minted == 1


async def test_an_agent_is_let_in_on_the_path_of_its_own_controller_only(tmp_path: Path) -> None:
    second = ControllerName("second")
    definitions = make_definitions(controllers=[make_controller(), make_controller(name=second)])
    async with open_core(tmp_path / "broker.db", definitions) as core:
        await launched(core)
        await core.sync(second)
        agent = await core.agent(NAME)
        secret = core.ctx.keyring.mint(agent.id, 1)
        answer = await core.admission.admit(Knock(controller=second, name=NAME, secret=secret))
        refused(answer, f"no agent {NAME} was asked for")
        assert isinstance(await core.knock(NAME), Admitted)


async def held(core: Core, count: int = 1) -> list[asyncio.Task[Admitted | Refused]]:
    until = core.clock.monotonic() + 20
    knocks = [asyncio.create_task(core.knock(NAME, until=until)) for _ in range(count)]  # noqa: TID251 - held
    await settle(0.2)
    return knocks


async def test_an_agent_is_held_until_its_controller_has_told_its_nodes(core: Core) -> None:
    await core.start(NAME)
    core.boot = BootId("boot-2")
    await core.intake.greet(CONTROLLER, core.boot)
    (knock,) = await held(core)
    assert not knock.done()
    await core.sync()
    assert isinstance(await knock, Admitted)


async def test_an_agent_is_held_no_longer_than_its_gateway_waits(core: Core) -> None:
    await core.start(NAME)
    await core.clock.advance(11)
    (knock,) = await held(core)
    await core.clock.advance(19)
    assert not knock.done()
    await core.clock.advance(1)
    refused(await knock, "controller main is away; try again", retry=True)


async def test_what_has_become_of_an_agent_meanwhile_counts(core: Core) -> None:
    await core.start(NAME)
    await core.clock.advance(11)
    (knock,) = await held(core)
    await core.ctx.aim(await core.agent(NAME), Goal.GONE, Outcome.CANCELLED, Reason.CANCELLED, "")
    await core.sync()
    refused(await knock, "is over: Cancelled")


async def test_of_one_controller_only_so_many_agents_are_held(core: Core) -> None:
    await core.start(NAME)
    await core.clock.advance(11)
    knocks = await held(core, HELD + 3)
    first_done, _ = await asyncio.wait(knocks, timeout=10, return_when=asyncio.FIRST_COMPLETED)
    assert first_done
    await settle(0.5)  # for the other two
    done = [knock for knock in knocks if knock.done()]
    assert len(done) == 3
    for knock in done:
        refused(knock.result(), "try again", retry=True)
    await core.sync()
    assert {type(await knock) for knock in knocks if knock not in done} == {Admitted}


OTHERS = ControllerName("other")


async def test_an_agent_that_does_not_say_whose_it_is_is_known_by_its_secret(tmp_path: Path) -> None:
    definitions = make_definitions(controllers=[make_controller(), make_controller(name=OTHERS)])
    async with open_core(tmp_path / "broker.db", definitions) as core:
        await launched(core)
        await core.sync(OTHERS)
        await core.ask(OTHER, controller=OTHERS)
        await core.settle()
        for name, controller in ((NAME, CONTROLLER), (OTHER, OTHERS)):
            agent = await core.ctx.agents.by_name(controller, AgentName(name))
            assert agent is not None
            secret = core.ctx.keyring.mint(agent.id, 1)
            answer = await core.admission.admit(Knock(controller=None, name=name, secret=secret))
            assert answer == Admitted(agent_id=agent.id, attempt=1, secret=real_secret(name), controller=controller)


async def test_of_two_agents_of_one_name_the_secret_says_which_it_is(core: Core) -> None:
    await launched(core)
    mine = await core.agent(NAME)
    theirs = replace(make_agent(2), name=AgentName(NAME), controller=OTHERS)
    await core.ctx.agents.accept([theirs])
    secret = core.ctx.keyring.mint(mine.id, 1)
    answer = await core.admission.admit(Knock(controller=None, name=NAME, secret=secret))
    assert isinstance(answer, Admitted)
    assert (answer.agent_id, answer.controller) == (mine.id, CONTROLLER)
    secret = core.ctx.keyring.mint(theirs.id, theirs.attempt)
    waiting = await core.admission.admit(Knock(controller=None, name=NAME, secret=secret))
    refused(waiting, "is over")  # theirs has no attempt that runs


async def test_who_does_not_say_whose_it_is_needs_the_right_secret_all_the_same(core: Core) -> None:
    await launched(core, NAME, OTHER)
    other = await core.agent(OTHER)
    for secret in ("", "0" * 64, real_secret(NAME), core.ctx.keyring.mint(other.id, 1)):
        refused(await core.admission.admit(Knock(controller=None, name=NAME, secret=secret)), "wrong secret")
    refused(await core.admission.admit(Knock(controller=None, name="nobody", secret="0" * 64)), "was asked for")
