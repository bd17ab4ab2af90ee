"""What is derived from a snapshot."""

from collections.abc import Iterator
from datetime import UTC, datetime

from broker.domain.agent import Agent
from broker.domain.ids import AgentId, AgentName, PolicyName
from broker.domain.lifecycle import Phase
from broker.testing.factories import POLICY, POOL, make_agent, make_definitions
from broker.views.snapshot import Snapshot


class Counted(tuple[Agent, ...]):
    """Agents that count how often all of them are looked at."""

    looks = 0

    def __iter__(self) -> Iterator[Agent]:
        self.looks += 1
        return super().__iter__()


def test_places_in_line_are_counted_once_for_all_rows_of_a_list() -> None:
    agents = Counted(
        make_agent(id=AgentId(f"{n:032}"), name=AgentName(f"a-{n}"), policy=PolicyName("linux" if n % 2 else "other"))
        for n in range(20)
    )
    snapshot = Snapshot(now=datetime.now(UTC), definitions=make_definitions(), agents=agents)
    before = agents.looks
    assert [snapshot.position(agents[n]) for n in range(20)] == [n // 2 + 1 for n in range(20)]
    assert agents.looks == before <= 1


def test_what_spread_goes_by_is_counted_of_agents_with_a_place() -> None:
    placed = make_agent(1, phase=Phase.ONLINE, pool=POOL, zone="z", type="t", host="h")
    nowhere = make_agent(2, phase=Phase.LAUNCHING, pool=POOL)
    snapshot = Snapshot(now=datetime.now(UTC), definitions=make_definitions(), agents=(placed, nowhere, make_agent(3)))
    usage = snapshot.usage()
    assert usage.of_pool == {(POLICY, POOL): 2}
    assert [usage.of_zone, usage.of_type, usage.of_host] == [{(POLICY, POOL, name): 1} for name in "zth"]
