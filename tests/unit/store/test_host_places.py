"""Agents get their places on hosts in the transaction that saves them: no host is overfilled, none made twice."""

import asyncio
import random
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.domain.agent import Agent
from broker.domain.definitions import Definitions
from broker.domain.host import HOSTS_WITH_ROOM, Host, HostPhase, HostRules
from broker.domain.ids import PolicyName, PoolName, TemplateName
from broker.domain.lifecycle import Goal, Phase
from broker.domain.limits import Usage
from broker.domain.offer import Offer
from broker.domain.placement import Decision, Placed
from broker.domain.policy import Strategy
from broker.domain.resources import Resources
from broker.errors import Conflict
from broker.placement.engine import decide
from broker.store.agents import Agents
from broker.store.engine import Database
from broker.store.hosts import Hosts
from broker.store.placements import Look, place_waiting
from broker.store.standing import Standing
from broker.testing.clock import EPOCH
from broker.testing.factories import make_agent, make_definitions, make_policy, make_pool, make_template
from tests.unit.store.world import opened, temporary

IT: Final = PoolName("it")
SHAPE: Final = Resources(cpu_milli=4000, memory_mib=8192)
SIZES: Final = {
    "small": Resources(cpu_milli=500, memory_mib=1024),
    "wide": Resources(cpu_milli=2000, memory_mib=1024),
    "high": Resources(cpu_milli=500, memory_mib=5120),
    "any": Resources(),
}
NOW: Final = EPOCH + timedelta(minutes=1)


class World:
    """A database with a pool of hosts, and every look at it."""

    def __init__(self, database: Database, agents: Agents, rules: HostRules, strategy: Strategy, slots: int | None):
        self.database, self.agents, self.hosts = database, agents, Hosts(database)
        self.definitions: Definitions = make_definitions(
            pools=[make_pool(name=IT, hosts=rules)],
            templates=[make_template(name=TemplateName(name), resources=size) for name, size in SIZES.items()],
            policies=[
                make_policy("it", name=PolicyName(name), template=TemplateName(name), strategy=strategy)
                for name in SIZES
            ],
        )
        self.offers = [Offer(pool=IT, zone=zone, shape=SHAPE, slots=slots) for zone in ("a", "b")]
        self.standing = Standing(rows=agents.rows, asked={IT: EPOCH}, hosted={IT: rules})
        self.rules, self.asked = rules, 0

    def decide(self, agents: list[Agent], usage: Usage) -> list[Decision]:
        return decide(agents, {IT: self.offers}, usage, self.definitions)

    async def ask(self, *policies: str) -> None:
        self.asked += len(policies)
        first = self.asked - len(policies)
        await self.agents.accept(
            [
                make_agent(first + n, policy=PolicyName(policy), job=f"job-{first + n}", build_url=f"u-{first + n}")
                for n, policy in enumerate(policies)
            ]
        )

    async def look(self) -> Look:
        return await place_waiting(self.database, self.decide, NOW, lambda _: timedelta(minutes=2), self.standing)

    async def on(self) -> dict[str, list[Agent]]:
        told: dict[str, list[Agent]] = {}
        for agent in await self.agents.live():
            if agent.phase is not Phase.REQUESTED and agent.host:
                told.setdefault(agent.host, []).append(agent)
        return told

    async def end(self, agent: Agent) -> None:
        ending = replace(agent, phase=Phase.TERMINATING, goal=Goal.GONE)
        changed = await self.agents.change(agent, ending, "terminating", NOW)
        await self.agents.change(changed, replace(changed, phase=Phase.GONE, gone_at=NOW), "gone", NOW)

    async def check(self) -> None:
        """What must hold whatever has happened."""
        living: dict[str, Host] = {host.id: host for host in await self.hosts.living()}
        if self.rules.most is not None:
            assert len(living) <= self.rules.most
        for name, agents in (await self.on()).items():
            assert name in living, f"{agents[0].name} is on a host that is not there"
            host = living[name]
            sizes = [SIZES[agent.policy] for agent in agents]
            assert host.size is not None
            assert sum(size.cpu_milli for size in sizes) <= host.size.cpu_milli
            assert sum(size.memory_mib for size in sizes) <= host.size.memory_mib
            assert host.slots is None or len(agents) <= host.slots
            assert self.rules.agents_per_host is None or len(agents) <= self.rules.agents_per_host
            assert self.rules.max_uses is None or host.uses <= self.rules.max_uses
            assert host.uses >= len(agents)
        assert await self.hosts.agents_on() == {name: len(agents) for name, agents in (await self.on()).items()}


async def at_once(*works: Coroutine[Any, Any, object]) -> None:
    async with asyncio.TaskGroup() as group:
        for number, work in enumerate(works):
            group.create_task(work, name=f"at-once-{number}")


async def move(world: World, host: Host, *phases: HostPhase) -> Host:
    for phase in phases:
        host = await world.hosts.change(host, replace(host, phase=phase), f"host-{phase}", NOW)
    return host


async def test_a_host_that_placement_makes_up_is_a_row_with_what_it_is_for(tmp_path: Path) -> None:
    async with opened(tmp_path / "broker.db") as (database, agents):
        world = World(database, agents, HostRules(), Strategy.BINPACK, 4)
        await world.ask("wide", "wide", "wide")
        look = await world.look()
        first, second = await world.hosts.living()
        assert {first.id, second.id} == set(look.new_hosts)
        by_host = await world.on()
        full, other = sorted((first, second), key=lambda host: -len(by_host[host.id]))
        assert (full.phase, full.uses, other.uses, full.empty_since) == (HostPhase.REQUESTED, 2, 1, None)
        assert (full.pool, full.zone, full.size, full.slots) == (IT, "a", SHAPE, 4)
        one = min(by_host[full.id], key=lambda agent: agent.name)
        assert (full.controller, full.policy, full.job, full.build_url) == (
            *(one.controller, one.policy, one.job),
            one.build_url,
        )
        await world.check()


async def test_two_looks_make_no_two_rows_for_one_host(tmp_path: Path) -> None:
    async with opened(tmp_path / "broker.db") as (database, agents):
        world = World(database, agents, HostRules(), Strategy.BINPACK, None)
        await world.ask("small")
        assert len((await world.look()).new_hosts) == 1
        assert (await world.look()).new_hosts == ()
        for _ in range(7):
            await world.ask("small")
            await at_once(world.look(), world.look())
        [host] = await world.hosts.living()
        assert (host.uses, host.version) == (8, 8)
        await world.ask("small")
        assert len((await world.look()).new_hosts) == 1
        await world.check()


async def test_who_drains_a_host_loses_against_an_agent_that_was_placed_on_it(tmp_path: Path) -> None:
    async with opened(tmp_path / "broker.db") as (database, agents):
        world = World(database, agents, HostRules(), Strategy.BINPACK, None)
        await world.ask("small")
        await world.look()
        [requested] = await world.hosts.living()
        ready = await move(world, requested, HostPhase.CREATING, HostPhase.PREPARING, HostPhase.READY)
        await world.end((await world.on())[ready.id][0])
        idle = await world.hosts.change(ready, replace(ready, empty_since=NOW), "host-empty", NOW)
        await world.ask("small")
        await world.look()
        with pytest.raises(Conflict):
            await move(world, idle, HostPhase.DRAINING)
        [host] = await world.hosts.living()
        assert (host.phase, host.empty_since, host.uses) == (HostPhase.READY, None, 2)
        await move(world, host, HostPhase.DRAINING)
        await world.ask("small")
        assert len((await world.look()).new_hosts) == 1, "a host that drains takes nobody"


async def test_an_agent_that_is_not_seen_by_the_backend_counts_once(tmp_path: Path) -> None:
    async with opened(tmp_path / "broker.db") as (database, agents):
        world = World(database, agents, HostRules(most=1), Strategy.ORDERED, None)
        await world.ask("wide")
        await world.look()
        await world.ask("wide")
        [(decision, agent)] = (await world.look()).decided
        assert isinstance(decision, Placed)
        assert agent.host == (await world.hosts.living())[0].id


async def test_a_size_that_a_reload_has_changed_counts_as_it_was(tmp_path: Path) -> None:
    async with opened(tmp_path / "broker.db") as (database, agents):
        world = World(database, agents, HostRules(most=1), Strategy.ORDERED, None)
        await world.ask("wide")
        await world.look()
        smaller = make_template(name=TemplateName("wide"), resources=SIZES["small"])
        templates = {**world.definitions.templates, smaller.name: smaller}
        world.definitions = replace(world.definitions, templates=templates)
        await world.ask(*["wide"] * 6)
        await world.look()
        [on_host] = (await world.on()).values()
        assert len(on_host) == 5, "four of half a vCPU beside one of two"


RULES: Final = st.builds(
    HostRules,
    most=st.sampled_from((None, 1, 3)),
    agents_per_host=st.sampled_from((None, 1, 3)),
    max_uses=st.sampled_from((None, 1, 5)),
)
STEPS: Final = st.lists(st.sampled_from(("ask", "look", "looks", "end", "drain", "ready", "gone")), max_size=30)


@given(RULES, STEPS, st.sampled_from((None, 2)), st.sampled_from(list(Strategy)), st.integers(0, 1 << 16))
@settings(max_examples=25, deadline=None)
def test_no_host_is_ever_overfilled(
    rules: HostRules, steps: Sequence[str], slots: int | None, strategy: Strategy, seed: int
) -> None:
    async def live() -> None:
        by_chance = random.Random(seed)
        with temporary() as path:
            async with opened(path) as (database, agents):
                world = World(database, agents, rules, strategy, slots)
                for step in (*steps, "ask", "looks"):
                    await _step(world, step, by_chance)
                    await world.check()

    asyncio.run(live())


async def _step(world: World, step: str, by_chance: random.Random) -> None:
    hosts = [host for host in await world.hosts.living() if host.phase in HOSTS_WITH_ROOM]
    on = await world.on()
    if step == "ask":
        await world.ask(*by_chance.choices(list(SIZES), k=by_chance.randint(1, 8)))
    elif step == "look":
        await world.look()
    elif step == "looks":
        await at_once(world.look(), *([_drain(world, by_chance.choice(hosts))] if hosts else []), world.look())
    elif step == "end" and on:
        await world.end(by_chance.choice(by_chance.choice(list(on.values()))))
    elif step == "drain" and hosts:
        await _drain(world, by_chance.choice(hosts))
    elif step == "ready":
        for host in hosts:
            if host.phase is HostPhase.REQUESTED:
                await move(world, host, HostPhase.CREATING, HostPhase.PREPARING, HostPhase.READY)
    elif step == "gone":
        for host in await world.hosts.living():
            if host.phase is HostPhase.DRAINING and host.id not in on:
                await move(world, host, HostPhase.DELETING, HostPhase.GONE)


async def _drain(world: World, host: Host) -> None:
    if host.phase is not HostPhase.READY:
        return
    with suppress(Conflict):  # somebody was placed on it meanwhile
        await move(world, host, HostPhase.DRAINING)
