"""What a cloud tells of an instance's start: counted once, told where the phases are."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from broker.domain.ids import InstanceRef
from broker.domain.instance import InstanceState, Times
from broker.domain.lifecycle import Phase
from broker.domain.reason import Reason
from broker.testing.clock import EPOCH
from tests.core import Core

NAME = "linux-000001"


def after(seconds: float) -> datetime:
    return EPOCH + timedelta(seconds=seconds)


RUNS = Times(created=after(0), pull_started=after(12), pull_stopped=after(53), started=after(55))


async def launched(core: Core) -> InstanceRef:
    core.backend.first_state = InstanceState.PENDING
    await core.sync()
    await core.ask(NAME)
    await core.advance(1)
    instance = (await core.agent(NAME)).instance
    assert instance is not None
    return instance


def tell(core: Core, ref: InstanceRef, state: InstanceState, times: Times) -> None:
    found = core.backend.ledger.instances[ref]
    core.backend.ledger.instances[ref] = replace(found, state=state, times=times)


def taken(core: Core, step: str) -> tuple[float | None, float | None]:
    where, name = {"pool": "it", "step": step}, "agentbroker_instance_step_duration_seconds"
    read = core.ctx.metrics.registry.get_sample_value
    return read(f"{name}_count", where), read(f"{name}_sum", where)


async def test_the_steps_of_a_start_are_counted_once_and_said_as_the_agent_is_waited_for(core: Core) -> None:
    ref = await launched(core)
    tell(core, ref, InstanceState.PENDING, replace(RUNS, started=None))
    await core.advance(1)
    assert taken(core, "pulling") == (None, None)
    tell(core, ref, InstanceState.RUNNING, RUNS)
    await core.advance(5)
    assert {step: taken(core, step) for step in ("provisioning", "pulling", "starting")} == {
        "provisioning": (1, 12),
        "pulling": (1, 41),
        "starting": (1, 2),
    }
    agent = await core.agent(NAME)
    events = await core.ctx.history.of_agent(agent.id)
    told = next(event.message for event in events if event.phase is Phase.CONNECTING)
    assert told == "got its place in 12s, pulled the image in 41s, started in 2s"
    assert (agent.phase, agent.why, agent.message) == (Phase.CONNECTING, None, "")


async def test_a_cloud_that_tells_no_times_is_counted_and_quoted_for_none(core: Core) -> None:
    agent = await core.start(NAME)
    assert taken(core, "pulling") == (None, None)
    assert all(not event.message for event in await core.ctx.history.of_agent(agent.id) if event.event == "connecting")


async def test_a_start_that_takes_too_long_says_what_it_waits_for(core: Core) -> None:
    ref = await launched(core)
    now = core.clock.now()
    tell(core, ref, InstanceState.PENDING, Times(created=now, pull_started=now + timedelta(seconds=60)))
    limit = core.ctx.definitions.timeouts_of((await core.agent(NAME)).policy).boot
    await core.advance(limit.total_seconds(), step_s=10)
    failed = [e for e in await core.ctx.history.of_agent((await core.agent(NAME)).id) if e.event == "failed"]
    assert failed[0].why is Reason.BOOT_TIMEOUT
    assert "its image has been pulled for" in failed[0].message


@pytest.mark.parametrize(
    ("times", "words"),
    [
        (Times(), ""),
        (Times(created=after(0)), "it has waited 1m30s for its place"),
        (Times(created=after(0), pull_started=after(30)), "its image has been pulled for 1m00s"),
        (Times(created=after(0), pull_started=after(1), pull_stopped=after(80)), "its image was there 10s ago"),
        (RUNS, ""),
    ],
)
def test_a_start_that_is_not_over_is_said_by_its_last_step(times: Times, words: str) -> None:
    assert times.unfinished(after(90)) == words


def test_clocks_that_disagree_make_no_negative_step() -> None:
    assert replace(RUNS, pull_stopped=after(5)).steps()["pulling"] == timedelta()
