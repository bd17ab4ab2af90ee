"""Several gateways: absence means something only when each of them has told who is connected."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from broker.domain.ids import AgentId
from broker.errors import StoreUnavailable
from broker.gateway import expected
from broker.gateway.control import ControlServer
from broker.gateway.keeping import Keeping
from broker.gateway.link import Admission, Admit, Closed, Draining, End, Leaving, Opened, Refusal, encode
from broker.ports import Admitted
from broker.testing.clock import ManualClock
from tests.integration.gateway.hand import HandGateway, Remembered, a_process, linked
from tests.integration.gateway.world import FakeDoorkeeper, Nudges, until

A1, A2 = AgentId("id-a1"), AgentId("id-a2")


class Planes:
    """Control planes, one after another, at one socket and with one memory."""

    def __init__(self, path: Path, stack: AsyncExitStack) -> None:
        self.path, self.stack = path, stack
        self.clock, self.memory, self.doorkeeper = ManualClock(), Remembered(), FakeDoorkeeper()
        self.gateways: list[HandGateway] = []

    async def start(self) -> ControlServer:
        control = ControlServer(self.path, self.doorkeeper, Nudges(), self.clock, Keeping(gateways=self.memory))
        await control.start()
        self.stack.push_async_callback(control.close)
        return control

    def gateway(self, name: str, pid: int | None = None) -> HandGateway:
        self.gateways.append(HandGateway(self.path, name, pid))  # or its link ends with it
        return self.gateways[-1]

    def mint(self, name: str = "a1") -> str:
        minted = secrets.token_hex(32)
        self.doorkeeper.agents[name] = (minted, Admitted(agent_id=AgentId(f"id-{name}"), attempt=1, secret="real"))
        return minted


@pytest.fixture
async def planes(tmp_path: Path) -> AsyncIterator[Planes]:
    async with AsyncExitStack() as stack:
        yield Planes(tmp_path / "control.sock", stack)


async def linked_count(control: ControlServer, count: int) -> None:
    await until(lambda: len(control.linked_gateways()) == count)


async def test_a_restarted_control_plane_knows_nothing_before_its_last_gateway_has_told(planes: Planes) -> None:
    control = await planes.start()
    first, second = planes.gateway("g1"), planes.gateway("g2")
    await first.link(linked("s1"))
    await second.link(linked("s2", "a2"))
    await linked_count(control, 2)
    assert control.known()
    await control.close()

    control = await planes.start()
    await first.link(linked("s1"))
    await linked_count(control, 1)
    await planes.clock.advance(5)
    assert not control.known()
    assert control.live(A2) is None
    await second.link(linked("s2", "a2"))
    await linked_count(control, 2)
    assert control.known()
    assert control.live(A2) is not None


async def test_while_no_gateway_lets_agents_in_their_absence_means_nothing(planes: Planes) -> None:
    control = await planes.start()
    old, new = planes.gateway("g1"), planes.gateway("g2")
    await old.link(linked("s1"))
    await linked_count(control, 1)
    assert control.known()
    old.writer.write(encode(Draining()))
    await until(lambda: not control.known())
    assert [one.accepting for one in control.linked_gateways()] == [False]
    assert control.live(A1) is not None
    await new.link()
    await linked_count(control, 2)
    assert control.known()
    old.writer.write(encode(Leaving()))
    old.writer.close()
    await until(lambda: control.live(A1) is None)
    assert control.known()


async def test_a_gateway_that_is_away_for_too_long_is_not_waited_for(planes: Planes) -> None:
    control = await planes.start()
    first, second = planes.gateway("g1"), planes.gateway("g2")
    await first.link(linked("s1"))
    await second.link(linked("s2", "a2"))
    await linked_count(control, 2)
    second.writer.close()
    await linked_count(control, 1)
    assert not control.known()
    assert control.live(A2) is not None
    await advance(planes.clock, expected.LOST_GATEWAY_S - 1, lambda: False)
    assert not control.known()
    await advance(planes.clock, 2, lambda: control.live(A2) is None)
    assert control.known()
    assert control.live(A1) is not None


async def test_one_that_died_with_the_control_plane_is_not_waited_for(planes: Planes) -> None:
    control = await planes.start()
    process = await a_process()
    await planes.gateway("g1", process.pid).link(linked("s1"))
    living = planes.gateway("g2")
    await living.link()
    await linked_count(control, 2)
    await control.close()
    process.kill()
    await process.wait()

    control = await planes.start()
    await living.link()
    await linked_count(control, 1)
    assert control.known()
    assert "g1" not in (planes.memory.text or "")


async def test_a_gateway_links_although_it_cannot_be_remembered(planes: Planes) -> None:
    control = await planes.start()
    planes.memory.fault = StoreUnavailable("the disk is full")
    gateway = planes.gateway("g1")
    await gateway.link(linked("s1"))
    await linked_count(control, 1)
    assert control.known()
    planes.memory.fault = None
    await planes.gateway("g2").link()
    await linked_count(control, 2)
    assert '"g1"' in (planes.memory.text or "")


async def test_an_agent_whose_gateway_is_away_comes_in_through_another(planes: Planes) -> None:
    control = await planes.start()
    lost, other = planes.gateway("g1"), planes.gateway("g2")
    await lost.link(linked("s1"))
    await other.link()
    await linked_count(control, 2)
    lost.writer.close()
    await linked_count(control, 1)
    knock = Admit(id="q", controller="main", name="a1", secret=planes.mint(), cookie="aa" * 32)
    other.writer.write(encode(knock))
    assert isinstance(await other.hear(), Admission)
    other.writer.write(encode(Opened(id="q", session=linked("s9", second=9))))
    await until(lambda: (session := control.live(A1)) is not None and session.id == "s9")

    await lost.link(linked("s1"))
    end = await lost.hear()
    assert isinstance(end, End)
    assert end.session == "s1"


@pytest.mark.parametrize("first", ["g1", "g2"])
async def test_of_sessions_at_two_gateways_the_one_that_came_last_stays_whichever_links_first(
    planes: Planes, first: str
) -> None:
    control = await planes.start()
    had = {"g1": linked("s1", second=1), "g2": linked("s2", second=2)}
    gateways = {name: planes.gateway(name) for name in had}
    for number, name in enumerate(sorted(had, key=lambda name: name != first), 1):
        await gateways[name].link(had[name])
        await linked_count(control, number)
    end = await gateways["g1"].hear()
    assert isinstance(end, End)
    assert end.session == "s1"
    live = control.live(A1)
    assert live is not None
    assert live.id == "s2"


async def test_who_waits_for_the_end_of_a_session_need_not_when_its_gateway_goes_away(planes: Planes) -> None:
    control = await planes.start()
    lost, other = planes.gateway("g1"), planes.gateway("g2")
    await lost.link(linked("s1"))
    await other.link()
    await linked_count(control, 2)
    other.writer.write(encode(Admit(id="q", controller="main", name="a1", secret=planes.mint(), cookie="aa" * 32)))
    assert isinstance(await lost.hear(), End)
    lost.writer.close()
    assert isinstance(await other.hear(), Admission)
    lost.writer.write(encode(Closed(agent_id=A1, session="s1", why="broker", received_bytes=0, sent_bytes=0)))


async def test_an_agent_whose_session_its_controller_has_ended_is_asked_of_again_a_second_later_at_any_gateway(
    planes: Planes,
) -> None:
    control = await planes.start()
    first, second = planes.gateway("g1"), planes.gateway("g2")
    await first.link(linked("s1"))
    await second.link()
    await linked_count(control, 2)
    minted = planes.mint()
    over = Closed(agent_id=A1, session="s1", why="controller", received_bytes=0, sent_bytes=0, lasted_s=60.0)
    first.writer.write(encode(over))
    await until(lambda: control.live(A1) is None)
    second.writer.write(encode(Admit(id="q", controller="main", name="a1", secret=minted, within_s=25.0)))
    await until(lambda: planes.doorkeeper.knocks)
    await advance(planes.clock, 0.8, lambda: False)
    del planes.doorkeeper.agents["a1"]  # the word has come that this was its last build
    await advance(planes.clock, 0.4, lambda: len(planes.doorkeeper.knocks) == 2)
    assert isinstance(await second.hear(), Refusal)
    assert len(planes.doorkeeper.knocks) == 2


async def advance(clock: ManualClock, seconds: float, done: Callable[[], bool]) -> None:
    """Lets time go by in small steps, in which other tasks act."""
    for _ in range(int(seconds * 10)):
        if done():
            return
        await clock.advance(0.1)
        await asyncio.sleep(0)
