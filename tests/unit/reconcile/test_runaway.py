"""Somebody ends every agent as it comes up: launches stop, and a person is told (F29)."""

from pathlib import Path
from typing import Any

import pytest

from broker.domain.agent import Agent
from broker.domain.instance import InstanceState
from broker.domain.lifecycle import Phase
from broker.domain.reason import Reason
from broker.telemetry import events
from tests.core import Core, open_core

KILLED_AFTER_S = 5
HOUR_S = 3600


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    found = list[dict[str, Any]]()
    emit = events.Event.emit

    def keep(event: events.Event, **fields: object) -> None:
        if event is events.POOL_RUNAWAY:
            found.append(fields)
        emit(event, **fields)

    monkeypatch.setattr(events.Event, "emit", keep)
    return found


async def online(core: Core, agent: Agent, *, busy: bool = False) -> None:
    core.sessions.connect(agent)
    core.says(agent.name, busy=busy)
    await core.sync()
    await core.settle()


def kill(core: Core, agent: Agent) -> None:
    assert agent.instance is not None
    core.backend.vanish(agent.instance)
    core.sessions.disconnect(agent.id)
    core.nodes.pop(agent.name, None)


async def run(core: Core, seconds: int, *, busy: bool, lives_s: int) -> int:
    """Jenkins wants one agent at any time; each is killed so long after it came online. How many were launched."""
    number = 0
    end = core.clock.monotonic() + seconds
    while core.clock.monotonic() < end:
        living = [a for a in await core.ctx.agents.live() if a.phase is not Phase.TERMINATING]
        if not living:
            number += 1
            await core.ask(f"linux-{number:06d}")
        for agent in living:
            if agent.phase is Phase.CONNECTING and agent.instance:
                await online(core, agent, busy=busy)
            elif agent.online_at and (core.clock.now() - agent.online_at).total_seconds() >= lives_s and agent.instance:
                kill(core, agent)
        await core.sync()
        step_s = 5 if all(agent.phase is Phase.REQUESTED for agent in living) else 1
        await core.advance(step_s, step_s=step_s)
    return core.backend.ledger.total_created()


async def test_a_pool_whose_agents_are_killed_as_they_come_up_is_left_alone(
    tmp_path: Path, told: list[dict[str, Any]]
) -> None:
    async with open_core(tmp_path / "broker.db") as core:
        await core.sync()
        launched = await run(core, HOUR_S // 2, busy=False, lives_s=KILLED_AFTER_S)
        assert launched <= 5 + 4, "five, then one in five minutes and one in ten"
        assert told
        assert {(t["pool"], t["why"]) for t in told} == {("it", Reason.INSTANCE_VANISHED)}


async def test_agents_that_are_lost_in_their_builds_are_no_failed_launches(
    tmp_path: Path, told: list[dict[str, Any]]
) -> None:
    async with open_core(tmp_path / "broker.db") as core:
        await core.sync()
        assert await run(core, 120, busy=True, lives_s=KILLED_AFTER_S) > 8
        assert not told
        assert await core.ctx.cooldowns.read(core.clock.now()) == {}


async def test_an_agent_that_was_idle_for_a_minute_has_proved_its_pool(
    tmp_path: Path, told: list[dict[str, Any]]
) -> None:
    async with open_core(tmp_path / "broker.db") as core:
        await core.sync()
        assert await run(core, 700, busy=False, lives_s=65) >= 8
        assert not told


@pytest.mark.parametrize(("lives_s", "failures"), [(5, True), (70, False)])
async def test_an_instance_that_ends_by_itself_is_counted_by_how_long_it_was_online(
    core: Core, lives_s: int, failures: bool
) -> None:
    agent = await core.start("linux-000001")
    await core.advance(lives_s, step_s=1)
    assert agent.instance is not None
    core.backend.stop(agent.instance, exit_code=137)
    core.sessions.disconnect(agent.id)
    await core.advance(3)
    assert (await core.agent("linux-000001")).why is Reason.AGENT_LOST
    assert bool(await core.ctx.cooldowns.read(core.clock.now())) is failures
    assert InstanceState.STOPPED not in {i.state for i in core.backend.ledger.instances.values()}
