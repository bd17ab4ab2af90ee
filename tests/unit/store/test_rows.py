"""What is kept by version is what the database says, whatever was written in between."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from broker.domain.ids import AgentId, LaunchToken
from broker.domain.lifecycle import Goal, Phase
from broker.domain.overrides import Override
from broker.store.agents import Agents
from broker.store.engine import Database
from broker.store.reports import Report
from broker.testing.clock import EPOCH
from broker.testing.factories import agent_id, make_agent
from tests.unit.store.world import opened, temporary

WRITES = st.lists(st.tuples(st.sampled_from(["report", "extend", "change", "end", "instance"]), st.integers(1, 4)))


async def write(agents: Agents, what: str, n: int) -> None:
    agent = await agents.get(agent_id(n))
    if agent.phase is Phase.GONE:
        return
    match what:
        case "report":
            await agents.report([Report(agent_id=agent.id, busy=not agent.busy, uses=agent.uses + 1)])
        case "extend":
            await agents.extend_deadlines([agent.id], [Phase.LAUNCHING], timedelta(seconds=1))
        case "change":
            await agents.change(agent, replace(agent, message=f"{agent.version}\x00"), "noted", EPOCH)
        case "instance":
            await agents.record_instance(agent.id, LaunchToken(f"t{n}"), f"i-{agent.version}")  # type: ignore[arg-type]
        case _:
            ending = replace(agent, phase=Phase.TERMINATING)
            agent = await agents.change(agent, ending, "ends", EPOCH) if agent.phase is Phase.LAUNCHING else agent
            await agents.change(agent, replace(agent, phase=Phase.GONE, goal=Goal.GONE, gone_at=EPOCH), "gone", EPOCH)


@settings(max_examples=15, deadline=None)
@given(writes=WRITES)
async def test_a_changed_row_is_never_served_as_it_was(writes: list[tuple[str, int]]) -> None:
    with temporary() as path:
        async with opened(path) as (_, agents):
            starting = {"phase": Phase.LAUNCHING, "deadline": EPOCH}
            await agents.accept([make_agent(n, token=LaunchToken(f"t{n}"), **starting) for n in range(1, 5)])
            for what, n in writes:
                await write(agents, what, n)
                truth = [await agents.get(AgentId(one)) for one in await agents.live_ids()]
                assert await agents.live() == truth


async def test_every_field_comes_back_as_it_was_written(agents: Agents, database: Database) -> None:
    asked = Override(image="x:1", cpu_milli=500)
    fields = {"overrides": asked, "zone": "a", "type": "m5", "capacity": "spot", "host": "i-1", "stalled": True}
    times = {"placed_at": EPOCH, "expected_life": timedelta(minutes=3), "costs_since": EPOCH, "rate": 12}
    [full] = await agents.accept([make_agent(1, **fields, **times, refusals=2, held="[]")])
    assert await agents.live() == [full] == await Agents(database).live()
