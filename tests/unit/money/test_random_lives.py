"""Whatever lives come, however they end and wherever charges fall between: the sums are the costs, to the micro."""

import asyncio
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from hypothesis import Phase as Phase_
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.domain.agent import Agent
from broker.domain.ids import InstanceRef, PolicyName
from broker.domain.lifecycle import Goal, Phase
from broker.domain.limits import Scope, Usage
from broker.domain.money import Budget, Micros, Per, by_period, day_of
from broker.domain.offer import Offer
from broker.placement.engine import decide
from broker.store.placements import place_waiting
from broker.store.spending import Spending
from broker.testing.factories import POLICY, POOL, make_agent
from tests.unit.money.world import money_definitions, priced, with_budget
from tests.unit.store.world import opened, used

LATE: Final = datetime(2026, 11, 23, 23, 50, tzinfo=UTC)
AMOUNT: Final = 2_500_000
SOON: Final = timedelta(minutes=2)

STEPS: Final = ("ask", "look", "accept", "end", "fail", "charge")

steps = st.lists(
    st.tuples(
        st.sampled_from(["ask", "accept", "end", "fail", "charge", "look"]), st.integers(0, 5), st.integers(1, 400)
    ),
    max_size=25,
)


class World:
    """One database, its agents by what happened to them, and what they must have cost."""

    def __init__(self, database: Any, agents: Any) -> None:
        self.database, self.agents = database, agents
        self.definitions = money_definitions(with_budget(AMOUNT), pools=[priced(hourly=3_777_777)])
        self.budgets = {PolicyName(POLICY): Budget(amount=Micros(AMOUNT))}
        self.spending = Spending(database)
        self.now = LATE
        self.lives: list[tuple[Micros, datetime, datetime | None]] = []
        self.charged_at: datetime | None = None
        self.count = 0

    async def ask(self, _which: int) -> None:
        self.count += 1
        asked = make_agent(self.count, requested_at=self.now, phase_since=self.now, not_before=self.now)
        await self.agents.accept([asked])

    async def look(self, _which: int) -> None:
        before = await used(self.database)
        look = await place_waiting(self.database, self._decide, self.now, lambda _: SOON)
        after = await used(self.database)
        if any(agent.phase is Phase.LAUNCHING for _, agent in look.decided):
            for key, amount in after.items():
                if key[0] is Scope.POLICY_BUDGET and amount > before.get(key, 0):
                    assert amount <= AMOUNT, "nobody is admitted over the budget"

    def _decide(self, agents: list[Agent], usage: Usage) -> Any:
        return decide(agents, {POOL: [Offer(pool=POOL)]}, usage, self.definitions)

    async def accept(self, which: int) -> None:
        if (agent := await self._one(which, Phase.LAUNCHING)) is not None:
            ref = InstanceRef(f"i-{agent.name}-{agent.attempt}")
            await self._change(agent, phase=Phase.BOOTING, instance=ref)

    async def end(self, which: int) -> None:
        if (agent := await self._one(which, Phase.BOOTING)) is not None:
            agent = await self._change(agent, phase=Phase.TERMINATING, goal=Goal.GONE)
            self._ended(agent)
            await self._change(agent, phase=Phase.GONE, gone_at=self.now)

    async def fail(self, which: int) -> None:
        """An attempt that may be made again."""
        if (agent := await self._one(which, Phase.BOOTING)) is not None:
            agent = await self._change(agent, phase=Phase.TERMINATING)
            self._ended(agent)
            await self._change(agent, phase=Phase.REQUESTED)

    async def charge(self, _which: int = 0) -> None:
        await self.spending.charge(self.budgets, self.now)
        self.charged_at = self.now
        day = day_of(self.now)
        spent = sum(micros for (_, _, of), micros in (await self.spending.sums("")).items() if of == day)
        assert (await used(self.database)).get((Scope.POLICY_BUDGET, f"{POLICY}|{day}"), 0) >= spent

    async def must_have_cost(self) -> dict[str, int]:
        days: dict[str, int] = {}
        open_lives = [
            (Micros(a.rate), a.costs_since, self.now)
            for a in await self.agents.live()
            if a.rate is not None and a.costs_since is not None
        ]
        for rate, since, until in [*self.lives, *open_lives]:
            for day, micros in by_period(rate, since, until or self.now, Per.DAY):
                days[day] = days.get(day, 0) + micros
        return {day: micros for day, micros in days.items() if micros}

    async def _one(self, which: int, phase: Phase) -> Agent | None:
        found = [a for a in await self.agents.live() if a.phase is phase]
        return found[which % len(found)] if found else None

    async def _change(self, agent: Agent, **changes: Any) -> Agent:
        after = replace(agent, phase_since=self.now, **changes)
        changed: Agent = await self.agents.change(agent, after, "changed", self.now)
        return changed

    def _ended(self, agent: Agent) -> None:
        assert agent.rate is not None
        assert agent.costs_since is not None
        self.lives.append((agent.rate, agent.costs_since, self.now))


async def live_through(path: Path, story: list[tuple[str, int, int]]) -> None:
    async with opened(path) as (database, agents):
        world = World(database, agents)
        await world.charge()
        for what, which, seconds in story:
            await getattr(world, what)(which)
            gone_by = 0
            while gone_by < seconds:  # a charge every 50 s at least, as the broker does
                step = min(50, seconds - gone_by)
                gone_by += step
                world.now += timedelta(seconds=step, microseconds=which * 12_345)
                if step == 50:
                    await world.charge()
        await world.charge()
        spent: dict[str, int] = {}
        for (_, _, day), micros in (await world.spending.sums("")).items():
            spent[day] = spent.get(day, 0) + micros
        assert spent == await world.must_have_cost()


@settings(max_examples=15, deadline=None, phases=[Phase_.explicit, Phase_.generate])
@given(story=steps)
def test_what_agents_cost_is_in_the_sums_to_the_micro_and_no_admission_overruns_the_budget(
    story: list[tuple[str, int, int]],
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(live_through(Path(directory) / "broker.db", story))
