"""Caps, deadlines, attempts and the breaker as the file writes them, from the text to what happens."""

from pathlib import Path

import pytest

from broker.domain.instance import InstanceState
from broker.domain.lifecycle import Goal, Outcome, Phase
from broker.domain.reason import Reason
from broker.errors import BackendRejected
from tests.unit.policies.written import Written, written

TEXT = """
templates: {{ default: {{ cpu: 2, memory: 4Gi{template} }} }}
pools:
  a: {{ backend: process{pool} }}
policies:
  linux: {{ labels: [linux], pools: [a]{policy} }}
"""


def of(policy: str = "", pool: str = "", template: str = "") -> str:
    return TEXT.format(policy=policy, pool=pool, template=template)


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        ({"pool": ", limits: { agents: 2 }"}, "PoolAtLimit"),
        ({"pool": ", limits: { pending: 2 }"}, "PoolAtLimit"),
        ({"pool": ", limits: { cpu: 5 }"}, "PoolAtLimit"),
        ({"pool": ", limits: { memory: 11Gi }"}, "PoolAtLimit"),
        ({"policy": ", limits: { agents: 2 }"}, "PolicyAtLimit"),
        ({"policy": ", limits: { pending: 2 }"}, "PolicyAtLimit"),
    ],
    ids=str,
)
async def test_a_cap_lets_as_many_begin_as_it_says(limits: dict[str, str], why: str, tmp_path: Path) -> None:
    async with written(tmp_path, of(**limits)) as broker:
        assert await broker.pools(3) == ["a", "a", why]


@pytest.mark.parametrize("owner", ["pool", "policy"])
async def test_a_cap_on_starting_agents_lets_the_next_begin_when_one_is_online(owner: str, tmp_path: Path) -> None:
    async with written(tmp_path, of(**{owner: ", limits: { pending: 1 }"})) as broker:
        assert (await broker.pools(2))[0] == "a"
        await broker.wait(2)
        await broker.online("linux-1")
        await broker.wait(2)
        assert (await broker.now("linux-2")).pool == "a"


async def booting(broker: Written) -> None:
    broker.core.backend.first_state = InstanceState.PENDING


async def connecting(_: Written) -> None:
    """Its instance runs, and nobody comes."""


@pytest.mark.parametrize(
    ("key", "phase", "stuck", "why"),
    [
        ("boot", Phase.BOOTING, booting, Reason.BOOT_TIMEOUT),
        ("connect", Phase.CONNECTING, connecting, Reason.CONNECT_TIMEOUT),
    ],
)
async def test_a_phase_has_its_time_and_no_more(
    key: str, phase: Phase, stuck: object, why: Reason, tmp_path: Path
) -> None:
    async with written(tmp_path, of(f", retry: {{ attempts: 1 }}, timeouts: {{ {key}: 40s }}")) as broker:
        await stuck(broker)  # type: ignore[operator]
        await broker.ask()
        await broker.wait(30, step_s=2)
        assert (await broker.now("linux-1")).phase is phase
        await broker.wait(20, step_s=2)
        ended = await broker.now("linux-1")
        assert (ended.outcome, ended.why) == (Outcome.FAILED, why)


async def test_a_launch_has_its_time_and_no_more(tmp_path: Path) -> None:
    async with written(tmp_path, of(", retry: { attempts: 1 }, timeouts: { launch: 40s }")) as broker:
        broker.core.backend.next_launch_is_unknown(created=False, times=1000)
        await broker.ask()
        await broker.wait(30, step_s=2)
        assert (await broker.now("linux-1")).phase is Phase.LAUNCHING
        await broker.wait(20, step_s=2)
        ended = await broker.now("linux-1")
        assert (ended.outcome, ended.why) == (Outcome.FAILED, Reason.LAUNCH_TIMEOUT)


async def test_a_lost_session_has_its_time_to_come_back(tmp_path: Path) -> None:
    async with written(tmp_path, of(", timeouts: { reconnect: 40s }")) as broker:
        await broker.ask()
        await broker.wait(2)
        agent = await broker.online("linux-1", busy=True)
        broker.core.sessions.disconnect(agent.id)
        broker.core.says("linux-1", online=False, busy=True, uses=1)
        await broker.wait(30, step_s=2)
        assert (await broker.now("linux-1")).phase is Phase.RECONNECTING
        await broker.wait(20, step_s=2)
        assert (await broker.now("linux-1")).why is Reason.RECONNECT_TIMEOUT


async def test_a_build_on_a_drained_agent_has_its_time_to_end(tmp_path: Path) -> None:
    async with written(tmp_path, of(", timeouts: { drain: 40s }", template=", retention: { max_uses: 0 }")) as broker:
        await broker.ask()
        await broker.wait(2)
        agent = await broker.online("linux-1", busy=True)
        await broker.core.ctx.aim(agent, Goal.DRAINED, Outcome.SUCCEEDED, Reason.CANCELLED, "drained by ana")
        await broker.wait(30, step_s=2)
        assert (await broker.now("linux-1")).phase is Phase.DRAINING
        await broker.wait(30, step_s=2)
        assert (await broker.now("linux-1")).why is Reason.DRAIN_TIMEOUT


@pytest.mark.parametrize(("on_timeout", "phase"), [("fail", Phase.GONE), ("wait", Phase.REQUESTED)])
async def test_a_request_that_finds_no_place_in_time_ends_where_the_policy_says_so(
    on_timeout: str, phase: Phase, tmp_path: Path
) -> None:
    times = f", limits: {{ agents: 1 }}, timeouts: {{ queue: 1m, launch: 10s, connect: 1h, on_timeout: {on_timeout} }}"
    async with written(tmp_path, of(times)) as broker:
        await broker.ask(2)
        await broker.wait(50, step_s=5)
        assert (await broker.now("linux-2")).phase is Phase.REQUESTED
        await broker.wait(20, step_s=5)
        assert (await broker.now("linux-2")).phase is phase


async def test_an_agent_is_launched_as_often_as_the_policy_says_with_its_pauses(tmp_path: Path) -> None:
    async with written(tmp_path, of(", retry: { attempts: 4, backoff: 8s..10s }")) as broker:
        broker.core.backend.next_launch_raises(BackendRejected("Nope", "no"), times=4)
        await broker.ask()
        calls = broker.core.backend.ledger.calls
        await broker.wait(6)
        assert len(calls) == 1, "the first pause is eight seconds"
        await broker.wait(4)
        assert len(calls) == 2
        await broker.wait(30)
        assert len(calls) == 4, "the later ones are ten at most"
        assert (await broker.now("linux-1")).outcome is Outcome.FAILED


async def test_a_pool_that_fails_so_often_in_a_time_rests_for_a_time(tmp_path: Path) -> None:
    pool = ", cooldown: { after_failures: 2, within: 30s, for: 40s }"
    async with written(tmp_path, of(", retry: { attempts: 9, backoff: 1s..1s }", pool=pool)) as broker:
        broker.core.backend.next_launch_raises(BackendRejected("Nope", "no"), times=2)
        await broker.ask()
        await broker.wait(30)
        resting = await broker.now("linux-1")
        assert (resting.phase, resting.why) == (Phase.REQUESTED, Reason.POOL_COOLING_DOWN)
        assert len(broker.core.backend.ledger.calls) == 2
        await broker.wait(20)
        assert (await broker.now("linux-1")).phase is Phase.CONNECTING


async def test_failures_that_are_further_apart_do_not_count_together(tmp_path: Path) -> None:
    pool = ", cooldown: { after_failures: 2, within: 5s, for: 40s }"
    async with written(tmp_path, of(", retry: { attempts: 9, backoff: 15s..15s }", pool=pool)) as broker:
        broker.core.backend.next_launch_raises(BackendRejected("Nope", "no"), times=2)
        await broker.ask()
        await broker.wait(40)
        assert (await broker.now("linux-1")).phase is Phase.CONNECTING


async def test_the_policy_of_the_higher_priority_goes_first_where_room_is_short(tmp_path: Path) -> None:
    text = """
pools: { a: { backend: process, limits: { agents: 1 } } }
policies:
  linux: { labels: [linux], pools: [a] }
  urgent: { labels: [linux, urgent], pools: [a], priority: 5 }
"""
    async with written(tmp_path, text) as broker:
        await broker.ask()
        [late] = await broker.ask()
        [urgent] = await broker.ask(policy="urgent")
        await broker.end("linux-1")
        await broker.wait(3)
        assert (await broker.now(urgent.name)).pool == "a"
        assert (await broker.now(late.name)).pool is None
