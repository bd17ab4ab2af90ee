"""Caps hold: what limit rows say is what agents have reserved, and never more than the cap, in any order of events."""

import asyncio
import tempfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.domain.agent import Agent
from broker.domain.definitions import Definitions
from broker.domain.ids import ControllerName
from broker.domain.lifecycle import Phase
from broker.domain.limits import PENDING_SCOPES, Claim, Scope
from broker.domain.policy import AgentLimits
from broker.domain.pool import PoolLimits
from broker.errors import LimitReached
from broker.store import limits
from broker.store.agents import Agents
from broker.store.engine import Database
from broker.store.placements import place_waiting
from broker.testing.clock import EPOCH
from broker.testing.factories import CONTROLLER, agent_id, make_agent, make_controller, make_definitions, make_policy
from broker.testing.factories import make_pool as pool
from tests.unit.store.world import decider, opened, reserved, used

OTHER = ControllerName("other")
MINUTE = timedelta(minutes=1)
CPU_MILLI = 1000
"""Of the default template."""


def a_claim(amount: int = 1, cap: int | None = 2) -> Claim:
    return Claim(scope=Scope.POOL_AGENTS, key="it", amount=amount, cap=cap)


async def reserve(database: Database, *claims: Claim) -> None:
    await database.transaction(lambda connection: limits.reserve(connection, [claims]))


async def test_a_limit_takes_as_much_as_its_cap_and_no_more(tmp_path: Path) -> None:
    async with opened(tmp_path / "broker.db") as (database, _):
        for _ in (1, 2):
            await reserve(database, a_claim())
        with pytest.raises(LimitReached, match=r"pool it is at its limit \(2 of 2 agents\)"):
            await reserve(database, a_claim())
        assert await used(database) == {(Scope.POOL_AGENTS, "it"): 2}


async def test_a_claim_larger_than_its_cap_is_refused_even_when_nothing_is_taken(tmp_path: Path) -> None:
    async with opened(tmp_path / "broker.db") as (database, _):
        with pytest.raises(LimitReached):
            await reserve(database, a_claim(3))
        assert await used(database) == {}


async def test_what_is_full_takes_nothing_of_the_others(tmp_path: Path) -> None:
    free = Claim(scope=Scope.BROKER_AGENTS, key="", amount=1, cap=None)
    async with opened(tmp_path / "broker.db") as (database, _):
        with pytest.raises(LimitReached):
            await reserve(database, free, a_claim(cap=0))
        assert await used(database) == {}


async def test_of_what_is_held_only_the_scopes_asked_for_are_given_back(tmp_path: Path) -> None:
    pending = Claim(scope=Scope.POOL_PENDING, key="it", amount=1, cap=2)
    async with opened(tmp_path / "broker.db") as (database, _):
        for _ in (1, 2):
            await reserve(database, a_claim(), pending)
        held = limits.as_held([a_claim(), pending])
        left = await database.transaction(lambda connection: limits.give_back(connection, held, PENDING_SCOPES))
        assert left == limits.as_held([a_claim()])
        assert await used(database) == {(Scope.POOL_AGENTS, "it"): 2, (Scope.POOL_PENDING, "it"): 1}
        assert await database.transaction(lambda connection: limits.give_back(connection, left)) == ""
        assert await database.transaction(lambda connection: limits.give_back(connection, "")) == ""
        assert await used(database) == {(Scope.POOL_AGENTS, "it"): 1, (Scope.POOL_PENDING, "it"): 1}


async def test_a_cap_that_was_lowered_lets_nobody_in_until_enough_have_left(tmp_path: Path) -> None:
    async with opened(tmp_path / "broker.db") as (database, _):
        for _ in (1, 2):
            await reserve(database, a_claim())
        with pytest.raises(LimitReached, match=r"over its limit \(1 agents\)"):
            await reserve(database, a_claim(cap=1))


CAPS = st.none() | st.integers(0, 3)


@st.composite
def bounded(draw: st.DrawFn) -> Definitions:
    """Two pools, two policies and two controllers, with limits on any of them."""
    pools = [
        pool(
            name=name,
            limits=PoolLimits(
                agents=draw(CAPS), pending=draw(CAPS), cpu_milli=draw(st.none() | st.integers(0, 3 * CPU_MILLI))
            ),
        )
        for name in ("it", "second")
    ]
    caps = st.builds(AgentLimits, agents=CAPS, pending=CAPS)
    return make_definitions(
        pools=pools,
        policies=[make_policy("it", "second", limits=draw(caps)), make_policy("second", name="big", limits=draw(caps))],
        controllers=[make_controller(limits=draw(caps)), make_controller(name=OTHER, limits=draw(caps))],
        limits=draw(caps),
    )


def caps_of(definitions: Definitions) -> dict[tuple[Scope, str], int]:
    """Every cap that is set."""
    found: dict[tuple[Scope, str], int | None] = {
        (Scope.BROKER_AGENTS, ""): definitions.limits.agents,
        (Scope.BROKER_PENDING, ""): definitions.limits.pending,
    }
    for controller in definitions.controllers.values():
        found[Scope.CONTROLLER_AGENTS, controller.name] = controller.limits.agents
        found[Scope.CONTROLLER_PENDING, controller.name] = controller.limits.pending
    for policy in definitions.policies.values():
        found[Scope.POLICY_AGENTS, policy.name] = policy.limits.agents
        found[Scope.POLICY_PENDING, policy.name] = policy.limits.pending
    for one in definitions.pools.values():
        found[Scope.POOL_AGENTS, one.name] = one.limits.agents
        found[Scope.POOL_PENDING, one.name] = one.limits.pending
        found[Scope.POOL_CPU_MILLI, one.name] = one.limits.cpu_milli
    return {key: cap for key, cap in found.items() if cap is not None}


async def holds(database: Database, definitions: Definitions) -> None:
    """The rows are the sum of the reservations, the reservations those of the living, and no cap is exceeded."""
    taken = await used(database)
    assert taken == await reserved(database)
    caps = caps_of(definitions)
    assert {key: n for key, n in taken.items() if n > caps.get(key, n)} == {}
    live = await Agents(database).live()
    placed = [a for a in live if a.phase != Phase.REQUESTED]
    assert taken.get((Scope.BROKER_AGENTS, ""), 0) == len(placed)
    assert taken.get((Scope.BROKER_PENDING, ""), 0) == len([a for a in placed if not a.was_online])
    for one in definitions.pools.values():
        here = [a for a in placed if a.pool == one.name]
        assert taken.get((Scope.POOL_AGENTS, one.name), 0) == len(here)
        assert taken.get((Scope.POOL_CPU_MILLI, one.name), 0) == CPU_MILLI * len(here)


async def move(agents: Agents, agent: Agent, phase: Phase) -> None:
    """One step of a life, as the reconciler makes it."""
    online_at = EPOCH if phase == Phase.ONLINE else agent.online_at
    await agents.change(agent, replace(agent, phase=phase, online_at=online_at), "moved", EPOCH)


ROADS = {
    "online": {Phase.LAUNCHING: Phase.ONLINE, Phase.BOOTING: Phase.ONLINE, Phase.RECONNECTING: Phase.ONLINE},
    "boot": {Phase.LAUNCHING: Phase.BOOTING, Phase.ONLINE: Phase.RECONNECTING},
    "refuse": {Phase.LAUNCHING: Phase.REQUESTED},
    "end": dict.fromkeys((Phase.LAUNCHING, Phase.BOOTING, Phase.ONLINE, Phase.RECONNECTING), Phase.TERMINATING)
    | {Phase.REQUESTED: Phase.GONE},
    "gone": {Phase.TERMINATING: Phase.GONE},
    "again": {Phase.TERMINATING: Phase.REQUESTED},
}
EVENTS = st.tuples(st.sampled_from(["ask", "place", "restart", *ROADS]), st.integers(0, 7))


async def live_through(definitions: Definitions, events: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path, asked = Path(directory, "broker.db"), 0
        opening = opened(path)
        database, agents = await opening.__aenter__()
        try:
            for event, pick in events:
                live = await agents.live()
                if event == "ask":
                    asked += 1
                    policy, controller = ("linux", "big")[pick % 2], (CONTROLLER, OTHER)[pick // 2 % 2]
                    await agents.accept([make_agent(asked, policy=policy, controller=controller)])
                elif event == "place":
                    await place_waiting(database, decider(definitions), EPOCH, lambda _: MINUTE)
                elif event == "restart":
                    await opening.__aexit__(None, None, None)
                    opening = opened(path)
                    database, agents = await opening.__aenter__()
                elif live and (phase := ROADS[event].get(live[pick % len(live)].phase)):
                    await move(agents, live[pick % len(live)], phase)
                await holds(database, definitions)
        finally:
            await opening.__aexit__(None, None, None)


@settings(max_examples=30, deadline=None)
@given(bounded(), st.lists(EVENTS, min_size=5, max_size=40))
def test_caps_hold_whatever_happens_in_whatever_order(definitions: Definitions, events: list[tuple[str, int]]) -> None:
    asyncio.run(live_through(definitions, [("ask", 0), ("ask", 1), ("ask", 2), ("place", 0), *events]))


async def test_two_placements_at_once_do_not_share_the_last_place(tmp_path: Path) -> None:
    definitions = make_definitions(pools=[pool(limits=PoolLimits(agents=1))])
    async with opened(tmp_path / "broker.db") as (database, agents):
        await agents.accept([make_agent(n) for n in range(1, 6)])
        async with asyncio.TaskGroup() as group:
            for number in range(4):
                placing = place_waiting(database, decider(definitions), EPOCH, lambda _: MINUTE)
                group.create_task(placing, name=f"place-{number}")
        assert [a.phase for a in await agents.live()].count(Phase.LAUNCHING) == 1
        await holds(database, definitions)


async def test_a_placement_is_saved_with_its_token_and_event_before_any_call(tmp_path: Path) -> None:
    async with opened(tmp_path / "broker.db") as (database, agents):
        await agents.accept([make_agent()])
        [(_, placed)] = (await place_waiting(database, decider(), EPOCH, lambda _: MINUTE)).decided
        assert await agents.get(agent_id(1)) == placed
        assert (placed.phase, placed.attempt, placed.pool) == (Phase.LAUNCHING, 1, "it")
        assert placed.token == f"{agent_id(1)}-1"
        assert len(placed.token) <= 64
        assert placed.deadline == EPOCH + MINUTE
