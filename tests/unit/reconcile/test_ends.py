"""How many calls that end instances, or look for them, a backend has at once."""

from contextlib import ExitStack
from pathlib import Path

from broker.domain.ids import AgentId, BackendName, HostId, InstanceRef, PoolName
from broker.domain.lifecycle import Phase
from broker.domain.reason import Reason
from broker.reconcile.ends import AT_ONCE, Ends
from broker.testing.backend import FakeBackend
from broker.testing.clock import settle
from broker.testing.factories import BACKEND, agent_id, make_definitions, make_policy, make_pool
from tests.core import open_core
from tests.unit.reconcile.test_bulkhead import at_work

OTHER = BackendName("other")


class Nudged:
    """`ports.Nudge` that remembers."""

    def __init__(self) -> None:
        self.agents: list[AgentId] = []

    def agent(self, agent_id: AgentId) -> None:
        self.agents.append(agent_id)

    def placement(self) -> None:
        raise AssertionError("nobody's place depends on it")

    def host(self, host_id: HostId) -> None:
        raise AssertionError("no host depends on it")

    def hosts(self) -> None:
        raise AssertionError("no host depends on it")


class Hanging(FakeBackend):
    """Its instances never end, and nobody hears of it."""

    calls = 0

    async def terminate(self, ref: InstanceRef) -> None:
        self.calls += 1
        await self._clock.sleep_until(float("inf"))


def test_who_finds_no_place_is_told_when_there_is_one_first_come_first() -> None:
    nudge = Nudged()
    ends = Ends(nudge)
    with ExitStack() as last:
        with ExitStack() as first:
            assert first.enter_context(ends.turn(agent_id(0), BACKEND))
            assert all(last.enter_context(ends.turn(agent_id(n), BACKEND)) for n in range(1, AT_ONCE))
            for n in (100, 101, 100):
                with ends.turn(agent_id(n), BACKEND) as may_call:
                    assert not may_call
            with ends.turn(agent_id(200), OTHER) as may_call:
                assert may_call, "another backend's line is another line"
            assert nudge.agents == []
        assert nudge.agents == [agent_id(100)]
        with ends.turn(agent_id(100), BACKEND) as may_call:
            assert may_call
        assert nudge.agents == [agent_id(100), agent_id(101)]
    assert len(nudge.agents) == 2, "told once"


async def test_ends_that_hang_hold_up_no_other_backend(tmp_path: Path) -> None:
    dead, well = PoolName("dead"), PoolName("well")
    definitions = make_definitions(
        pools=[make_pool(name=dead), make_pool(name=well, backend=OTHER)],
        policies=[make_policy(dead), make_policy(well, name="beside")],
    )
    async with open_core(tmp_path / "broker.db", definitions) as core:
        hanging, beside = Hanging(clock=core.clock), FakeBackend(clock=core.clock)
        core.ctx.backends = {BACKEND: hanging, OTHER: beside}
        await core.sync()
        names = [f"linux-{n:06d}" for n in range(AT_ONCE + 20)]
        await core.ask(*names)
        await core.settle()
        assert hanging.ledger.total_created() == len(names)
        for name in names:
            await core.release(name, Reason.CANCELLED, uses=0)
        await core.ask("other-000001", policy="beside")
        await core.ask_for_offers()
        async with at_work(core, AT_ONCE + 4):
            for _ in range(100):
                if beside.ledger.total_created() and hanging.calls == AT_ONCE:
                    break
                await core.clock.advance(0.1)
                core.loop.queue.keys.ripen()
                await settle(0.1)
        assert beside.ledger.total_created() == 1
        assert hanging.calls == AT_ONCE
        phases = await core.phases()
        assert {phases[name] for name in names} <= {Phase.TERMINATING, Phase.BOOTING}
