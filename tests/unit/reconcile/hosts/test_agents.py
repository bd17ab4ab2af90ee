"""Agents on hosts, through placement, driver and launch, in virtual time."""

from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from broker.domain.host import Host, HostPhase
from broker.domain.ids import AgentName, HostId
from broker.domain.lifecycle import Phase
from broker.domain.offer import Offer, Offering
from broker.domain.policy import Retry
from broker.domain.reason import Reason
from broker.domain.resources import Resources
from broker.errors import BackendRejected, InsufficientCapacity
from broker.testing.factories import POOL, make_definitions, make_policy
from tests.core import SECOND
from tests.host_core import HostCore, host_pool, hosts_core

MINUTE = timedelta(minutes=1)
SHAPE = Resources(cpu_milli=4000, memory_mib=8192)
NAMES = [f"linux-{n:06d}" for n in range(1, 21)]


def shape(kind: str, zone: str = "a") -> Offer:
    return Offer(pool=POOL, zone=zone, type=kind, shape=SHAPE, slots=2)


async def ask(world: HostCore, number: int) -> list[str]:
    await world.core.sync()
    await world.core.ask(*NAMES[:number])
    await world.core.settle()
    return NAMES[:number]


async def connect(world: HostCore, names: list[str]) -> None:
    """Each agent that runs comes online."""
    for name in names:
        agent = await world.core.agent(name)
        if agent.instance is not None and world.core.sessions.live(agent.id) is None:
            world.core.sessions.connect(agent)
            world.core.says(name)
    await world.core.sync()
    await world.core.settle()


async def online(world: HostCore, names: list[str], limit_s: float = 300.0) -> None:
    for _ in range(round(limit_s)):
        await world.advance(1.0, 1.0)
        await connect(world, names)
        agents = [await world.core.agent(name) for name in names]
        if all(agent.phase is Phase.ONLINE for agent in agents):
            return
    raise AssertionError({name: await world.core.agent(name) for name in names})


async def give_back(world: HostCore, names: list[str]) -> None:
    for name in names:
        agent = await world.core.agent(name)
        await world.core.release(name)
        world.core.sessions.disconnect(agent.id)
    await world.core.sync()
    await world.core.settle()


async def test_agents_wait_for_their_host_start_when_it_is_ready_and_nothing_is_left_when_they_are_done(
    tmp_path: Path,
) -> None:
    async with hosts_core(tmp_path, idle_timeout=MINUTE) as world:
        names = await ask(world, 5)
        assert len(world.cloud.hosts.orders) <= 1
        await world.advance(10)
        waiting = await world.core.agent(names[0])
        assert waiting.phase is Phase.LAUNCHING
        assert waiting.message.startswith(f"host {waiting.host} is being made")
        assert waiting.deadline is not None
        assert waiting.deadline - waiting.phase_since > 4 * MINUTE
        await world.until(HostPhase.READY, 3)
        assert [len(order.hosts) for order in world.cloud.hosts.orders] == [3]
        await world.advance(2)
        calls = world.cloud.hosts.calls
        assert {spec.name for spec in calls} == set(names)
        for spec in calls:
            assert spec.place is not None
            assert spec.place.id == spec.key.host == spec.host
        await online(world, names)
        await give_back(world, names)
        await world.empty(180)
        assert world.most_machines == 3
        assert not world.cloud.hosts.instances


async def test_what_its_host_does_is_in_the_agents_log(tmp_path: Path) -> None:
    async with hosts_core(tmp_path) as world:
        world.cloud.steps = (("init script", 60.0),)
        [name] = await ask(world, 1)
        await world.until(HostPhase.PREPARING)
        await world.advance(12)
        agent = await world.core.agent(name)
        assert agent.message.startswith(f"host {agent.host} is being prepared: init script, ")


async def test_a_second_batch_fills_the_room_on_the_first_ones_hosts(tmp_path: Path) -> None:
    async with hosts_core(tmp_path) as world:
        first = await ask(world, 3)
        await online(world, first)
        await world.core.ask(NAMES[3])
        await world.core.settle()
        await online(world, NAMES[:4])
        assert world.most_machines == 2


async def test_without_stock_of_the_first_type_the_agents_are_on_the_next_at_once(tmp_path: Path) -> None:
    async with hosts_core(tmp_path) as world:
        world.cloud.shapes = [shape("c6"), shape("c7"), shape("c8")]
        world.cloud.places.stock = {Offering(POOL, "a", "c6"): 0, Offering(POOL, "a", "c7"): 0}
        names = await ask(world, 4)
        await online(world, names)
        assert {machine.offering.type for machine in world.cloud.machines()} == {"c8"}
        agent = await world.core.agent(names[0])
        assert agent.refusals == 2
        kinds = [order.offering.type for order in world.cloud.hosts.orders]
        assert kinds.count("c6") == kinds.count("c7") == 1


async def test_of_an_order_that_is_made_in_part_the_other_agents_go_elsewhere_at_once(tmp_path: Path) -> None:
    async with hosts_core(tmp_path) as world:
        world.cloud.shapes = [shape("c6"), shape("c7")]
        world.cloud.places.stock = {Offering(POOL, "a", "c6"): 3}
        names = await ask(world, 10)
        await online(world, names)
        kinds = [machine.offering.type for machine in world.cloud.machines()]
        assert (kinds.count("c6"), kinds.count("c7")) == (3, 2)


async def test_when_there_is_nothing_anywhere_the_agents_wait_with_the_clouds_reason(tmp_path: Path) -> None:
    async with hosts_core(tmp_path) as world:
        world.cloud.shapes = [shape("c6")]
        world.cloud.places.stock = {Offering(POOL, "a", "c6"): 0}
        names = await ask(world, 4)
        await world.advance(30)
        agent = await world.core.agent(names[0])
        assert agent.phase is Phase.REQUESTED
        assert agent.why is Reason.INSUFFICIENT_CAPACITY
        assert len(world.cloud.hosts.orders) == 1
        assert not await world.phases()


async def test_a_machine_that_fails_after_it_was_made_sends_its_agents_elsewhere_with_the_reason(
    tmp_path: Path,
) -> None:
    async with hosts_core(tmp_path) as world:
        world.cloud.shapes = [shape("c6"), shape("c7")]
        names = await ask(world, 2)
        await world.advance(6)
        [machine] = world.cloud.machines()
        world.cloud.stop_host(machine.host or "", Reason.INSUFFICIENT_CAPACITY, "SystemFailure.Delete")
        await world.advance(10)
        agents = [await world.core.agent(name) for name in names]
        assert all(agent.type == "c7" and agent.host != machine.host for agent in agents)
        assert len({order.token for order in world.cloud.hosts.orders}) == 2
        await online(world, names)


async def test_a_host_that_cannot_be_prepared_costs_its_agents_an_attempt_and_is_deleted(tmp_path: Path) -> None:
    definitions = make_definitions(
        pools=[host_pool()],
        policies=[make_policy(POOL, retry=Retry(attempts=2, backoff_first=SECOND, backoff_last=SECOND))],
    )
    async with hosts_core(tmp_path, definitions=definitions) as world:

        def fails(_: object) -> None:
            raise BackendRejected("Exit", "init script: exit code 1", Reason.SETUP_FAILED)

        world.cloud.check_prepare = fails
        [name] = await ask(world, 1)
        await world.advance(120)
        agent = await world.core.agent(name)
        assert (agent.phase, agent.why) == (Phase.GONE, Reason.SETUP_FAILED)
        assert "init script: exit code 1" in agent.message
        await world.empty(60)
        assert sum(world.cloud.hosts.machines_of.values()) == 2


async def test_a_job_that_is_aborted_while_its_host_is_made_leaves_no_agent_and_the_host_idles_away(
    tmp_path: Path,
) -> None:
    async with hosts_core(tmp_path, idle_timeout=MINUTE) as world:
        [name] = await ask(world, 1)
        await world.advance(5)
        await world.core.release(name, Reason.CANCELLED, uses=0)
        await world.advance(2)
        assert (await world.core.agent(name)).phase is Phase.GONE
        await world.empty(240)
        assert not world.cloud.hosts.calls


async def test_a_host_for_one_agent_is_given_up_as_soon_as_that_agent_is_gone(tmp_path: Path) -> None:
    async with hosts_core(tmp_path, agents_per_host=1, max_uses=1) as world:
        world.cloud.boot_s = 300.0
        [name] = await ask(world, 1)
        await world.advance(5)
        host = (await world.core.agent(name)).host
        await world.core.release(name, Reason.CANCELLED, uses=0)
        await world.empty(40)
        assert (await world.host(host)).why is Reason.CANCELLED


async def test_a_busy_agent_keeps_its_host_whatever_its_age_and_the_cloud_says_that_it_is_missing(
    tmp_path: Path,
) -> None:
    async with hosts_core(tmp_path, max_age=timedelta(minutes=5), idle_timeout=MINUTE) as world:
        [name] = await ask(world, 1)
        await online(world, [name])
        world.core.says(name, busy=True)
        await world.core.sync()
        await world.advance(400, 5)
        assert await world.phases() == [HostPhase.DRAINING]
        world.cloud.empty_answers = 5
        await world.advance(60, 5)
        assert await world.phases() == [HostPhase.DRAINING]
        assert (await world.core.agent(name)).phase is Phase.ONLINE
        await give_back(world, [name])
        await world.empty(120)


async def test_a_host_that_vanishes_takes_its_agents_with_it_and_says_so(tmp_path: Path) -> None:
    async with hosts_core(tmp_path) as world:
        names = await ask(world, 2)
        await online(world, names)
        [machine] = world.cloud.machines()
        world.cloud.vanish_host(machine.host or "")
        for name in names:
            world.core.sessions.disconnect((await world.core.agent(name)).id)
            world.core.nodes.pop(AgentName(name), None)
        await world.core.sync()
        await world.advance(60)
        assert {(await world.core.agent(name)).phase for name in names} == {Phase.GONE}
        host = await world.host(HostId(machine.host or ""))
        assert (host.phase, host.why) == (HostPhase.GONE, Reason.HOST_VANISHED)


async def test_a_spot_notice_drains_the_host_and_its_agents_and_new_ones_go_elsewhere(tmp_path: Path) -> None:
    async with hosts_core(tmp_path) as world:
        [first] = await ask(world, 1)
        await online(world, [first])
        [machine] = world.cloud.machines()
        world.cloud.interrupt_host(machine.host or "", world.clock.now() + 5 * MINUTE, "Recycling")
        await world.advance(32)
        assert await world.phases() == [HostPhase.DRAINING]
        await world.core.ask(NAMES[1])
        await world.core.settle()
        await world.advance(2)
        assert (await world.core.agent(NAMES[1])).host != machine.host


async def test_an_idle_host_on_which_nothing_can_be_started_goes(tmp_path: Path) -> None:
    async with hosts_core(tmp_path, idle_timeout=timedelta(hours=1)) as world:
        await world.ask()
        await world.until(HostPhase.READY)
        [machine] = world.cloud.machines()
        world.cloud.unreachable.add(machine.host or "")
        await ask(world, 1)
        await world.advance(400, 2)
        host = await world.host(HostId(machine.host or ""))
        assert host.why is Reason.SSH_UNREACHABLE
        assert host.phase in (HostPhase.DELETING, HostPhase.GONE)


async def test_a_host_on_which_nothing_can_be_started_while_an_agent_works_there_takes_no_more_and_ends_after_it(
    tmp_path: Path,
) -> None:
    async with hosts_core(tmp_path) as world:
        [first] = await ask(world, 1)
        await online(world, [first])
        [machine] = world.cloud.machines()
        world.cloud.unreachable.add(machine.host or "")
        await world.core.ask(NAMES[1])
        await world.core.settle()
        await world.advance(60, 2)
        host = await world.host(HostId(machine.host or ""))
        assert (host.phase, host.why) == (HostPhase.DRAINING, Reason.SSH_UNREACHABLE)
        assert (await world.core.agent(first)).phase is Phase.ONLINE
        await online(world, [NAMES[1]])
        second = await world.core.agent(NAMES[1])
        assert second.host != host.id
        assert second.attempt <= 2, "not all attempts are spent on one host"


async def test_a_ready_host_that_does_not_answer_for_a_moment_costs_no_attempt(tmp_path: Path) -> None:
    async with hosts_core(tmp_path, idle_timeout=timedelta(hours=1)) as world:
        await world.ask()
        await world.until(HostPhase.READY)
        [machine] = world.cloud.machines()
        world.cloud.unreachable.add(machine.host or "")
        [name] = await ask(world, 1)
        await world.advance(15, 1)
        assert (await world.core.agent(name)).why is Reason.SSH_UNREACHABLE
        world.cloud.unreachable.clear()
        await online(world, [name])
        agent = await world.core.agent(name)
        assert (agent.attempt, agent.host) == (1, machine.host)


async def test_a_build_whose_spot_host_is_taken_back_under_it_is_told_so(tmp_path: Path) -> None:
    async with hosts_core(tmp_path) as world:
        [first] = await ask(world, 1)
        await online(world, [first])
        [machine] = world.cloud.machines()
        world.cloud.interrupt_host(machine.host or "", world.clock.now() + MINUTE, "Recycling")
        await world.advance(70)
        agent = await world.core.agent(first)
        world.core.sessions.disconnect(agent.id)
        world.core.nodes.clear()
        await world.core.sync()
        await world.advance(120, 2)
        events = await world.ctx.history.of_agent(agent.id)
        assert any(e.why is Reason.SPOT_INTERRUPTED and "Recycling" in e.message for e in events)


@pytest.mark.parametrize(
    ("code", "reason"),
    [("HostKeyMismatch", Reason.SSH_HOST_KEY_MISMATCH), ("PermissionDenied", Reason.SSH_AUTH_FAILED)],
)
async def test_a_ready_host_that_lets_nobody_in_takes_no_more_agents_and_the_build_goes_elsewhere(
    code: str, reason: Reason, tmp_path: Path
) -> None:
    async with hosts_core(tmp_path, idle_timeout=timedelta(hours=1)) as world:
        await world.ask()
        await world.until(HostPhase.READY)
        [machine] = world.cloud.machines()
        world.cloud.next_launch_raises(BackendRejected(code, "not any more", reason))
        [name] = await ask(world, 1)
        await world.advance(40)
        host = await world.host(HostId(machine.host or ""))
        assert (host.phase, host.why) == (HostPhase.GONE, reason)
        assert host.message == "not any more"
        agent = await world.core.agent(name)
        assert (agent.phase, agent.attempt) == (Phase.CONNECTING, 2)
        assert agent.host != machine.host


async def test_a_launch_that_a_good_host_refuses_says_nothing_of_the_host(tmp_path: Path) -> None:
    async with hosts_core(tmp_path, idle_timeout=timedelta(hours=1)) as world:
        await world.ask()
        await world.until(HostPhase.READY)
        world.cloud.next_launch_raises(BackendRejected("NoJava", "no Java", Reason.SETUP_FAILED))
        await ask(world, 1)
        await world.advance(40)
        assert await world.phases() == [HostPhase.READY]


async def test_an_agent_that_ran_on_a_host_that_is_gone_needs_no_call_to_end(tmp_path: Path) -> None:
    async with hosts_core(tmp_path) as world:
        world.cloud.next_create_raises(InsufficientCapacity("NoStock", "none left"), times=100)
        [name] = await ask(world, 1)
        await world.core.release(name, Reason.CANCELLED, uses=0)
        await world.advance(5)
        assert (await world.core.agent(name)).phase is Phase.GONE
        assert not world.cloud.hosts.terminations


async def test_a_placement_and_the_end_of_an_agent_have_no_other_host_looked_at(tmp_path: Path) -> None:
    async with hosts_core(tmp_path, agents_per_host=1, max_uses=1) as world:
        names = await ask(world, 6)
        await online(world, names)
        looked = Counter[str]()
        get = world.ctx.hosts.get

        async def counted(host_id: HostId) -> Host:
            looked[host_id] += 1
            return await get(host_id)

        world.ctx.hosts.get = counted  # type: ignore[method-assign]
        await world.core.ask("linux-000099")
        await give_back(world, names[:1])
        theirs = {(await world.core.agent(name)).host for name in names[1:]}
        assert looked
        assert not theirs & looked.keys()
