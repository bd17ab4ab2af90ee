"""Instances that end before their agents come online: at once, in words that say what to do."""

from collections.abc import Sequence

import pytest

from broker.domain.instance import InstanceState
from broker.domain.lifecycle import Outcome, Phase
from broker.domain.reason import Reason
from tests.core import POLL_S, Core

NAME = "linux-000001"
TWO_TICKS_S = 2 * POLL_S
REMOTING = "Nov 23, 2026 5:16:34 PM hudson.remoting.Launcher createEngine"


async def ends(
    core: Core, exit_code: int, lines: Sequence[str] = (), reason: Reason | None = None
) -> tuple[Reason, str]:
    """What is told two ticks after the instance of a new agent has ended."""
    core.backend.first_state = InstanceState.RUNNING
    await core.sync()
    await core.ask(NAME)
    await core.advance(1)
    agent = await core.agent(NAME)
    assert agent.instance is not None
    core.backend.stop(agent.instance, exit_code=exit_code, lines=lines, reason=reason or Reason.CONTAINER_EXITED)
    await core.advance(TWO_TICKS_S)
    events = await core.ctx.history.of_agent(agent.id)
    failed = next(event for event in events if event.event == "failed")
    assert failed.why is not None
    return failed.why, failed.message


async def test_a_container_that_dies_before_it_connects_fails_within_two_ticks_and_is_tried_again(core: Core) -> None:
    why, message = await ends(core, 137, [REMOTING, "java.lang.OutOfMemoryError"])
    assert why is Reason.CONTAINER_EXITED
    assert message.startswith("exit code 137")
    assert message.endswith("java.lang.OutOfMemoryError")
    await core.advance(8)
    assert (await core.agent(NAME)).attempt == 2


@pytest.mark.parametrize(
    ("exit_code", "lines"),
    [(0, []), (0, ["Hello from Docker!"]), (2, ["usage: pg_ctl [OPTION]...", "unknown option -url"])],
)
async def test_an_image_that_is_no_inbound_agent_is_said_to_be_none_and_is_not_tried_again(
    core: Core, exit_code: int, lines: list[str]
) -> None:
    why, message = await ends(core, exit_code, lines)
    assert why is Reason.NOT_AN_INBOUND_AGENT
    assert "never spoke to the gateway: is the image an inbound agent?" in message
    assert all(line in message for line in lines)
    await core.advance(10)
    agent = await core.agent(NAME)
    assert (agent.phase, agent.outcome, agent.attempt) == (Phase.GONE, Outcome.FAILED, 1)


@pytest.mark.parametrize(
    ("exit_code", "lines"),
    [(1, ["cannot execute binary file"]), (0, [REMOTING]), (255, ["java -jar agent.jar [options...]", "Usage: x"])],
)
async def test_what_may_be_an_agent_is_not_said_to_be_none(core: Core, exit_code: int, lines: list[str]) -> None:
    assert (await ends(core, exit_code, lines))[0] is Reason.CONTAINER_EXITED


async def test_what_the_cloud_says_of_the_end_stands(core: Core) -> None:
    assert (await ends(core, 0, (), Reason.IMAGE_PULL_FAILED))[0] is Reason.IMAGE_PULL_FAILED


async def test_an_agent_that_knocked_with_its_secret_is_one(core: Core) -> None:
    await core.sync()
    await core.ask(NAME)
    await core.settle()
    agent = await core.agent(NAME)
    core.sessions.turn_away(agent, Reason.CONTROLLER_UNREACHABLE, "no answer")
    assert (await ends(core, 0))[0] is Reason.CONTAINER_EXITED
