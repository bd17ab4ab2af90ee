"""A controller that makes up its own cookies takes an agent back although gateway and control plane have died."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from broker.clock import SystemClock
from broker.domain.ids import AgentId
from broker.errors import StoreUnavailable
from broker.gateway.control import ControlServer
from broker.gateway.keeping import Keeping
from broker.gateway.link import Admission, Admit, LinkedSession, Opened, encode
from broker.gateway.register import CLAIM_LASTS_S
from broker.gateway.settings import Limits
from broker.inbound.websocket import derived_cookie
from broker.ports import Admitted
from tests.integration.gateway.hand import HandGateway, RememberedCookies, linked
from tests.integration.gateway.world import FakeDoorkeeper, Nudges, until

A1 = AgentId("id-a1")
MADE_UP = "c0" * 32


class Life:
    """Control planes one after another, each with a gateway that knows nothing of the former one."""

    def __init__(self, path: Path, stack: AsyncExitStack) -> None:
        self.path, self.stack = path, stack
        self.cookies, self.doorkeeper, self.lives = RememberedCookies(), FakeDoorkeeper(), 0
        self.doorkeeper.agents["a1"] = ("minted", Admitted(agent_id=A1, attempt=1, secret="real"))
        self.control: ControlServer | None = None

    async def begin(self) -> HandGateway:
        if self.control is not None:
            await self.control.close()
        keeping = Keeping(cookies=self.cookies)
        self.control = ControlServer(self.path, self.doorkeeper, Nudges(), SystemClock(), keeping)
        await self.control.start()
        self.stack.push_async_callback(self.control.close)
        self.lives += 1
        gateway = HandGateway(self.path, f"g{self.lives}")
        await gateway.link()
        return gateway

    async def knock(self, gateway: HandGateway) -> Admission:
        gateway.writer.write(encode(Admit(id=f"q{self.lives}", controller="main", name="a1", secret="minted")))
        answer = await gateway.hear()
        assert isinstance(answer, Admission)
        return answer

    async def open(self, gateway: HandGateway, cookie: str) -> None:
        session = LinkedSession.model_validate({**linked("s1").model_dump(), "controller_cookie": cookie})
        gateway.writer.write(encode(Opened(id=f"q{self.lives}", session=session)))
        assert self.control is not None
        await until(lambda: self.control is not None and self.control.live(A1))


@pytest.fixture
async def life(tmp_path: Path) -> AsyncIterator[Life]:
    async with AsyncExitStack() as stack:
        yield Life(tmp_path / "control.sock", stack)


async def test_the_next_control_plane_shows_what_the_controller_gave_last(life: Life) -> None:
    gateway = await life.begin()
    assert (await life.knock(gateway)).controller_cookie == ""
    await life.open(gateway, MADE_UP)
    await until(lambda: life.cookies.by_agent)
    again = await life.begin()
    assert (await life.knock(again)).controller_cookie == MADE_UP
    await life.open(again, "c1" * 32)
    await until(lambda: life.cookies.by_agent == {A1: "c1" * 32})


async def test_what_anybody_with_the_real_secret_can_work_out_is_not_written(life: Life) -> None:
    gateway = await life.begin()
    await life.knock(gateway)
    await life.open(gateway, derived_cookie("a1", "real"))
    await life.begin()  # what was to be written is written by then
    assert life.cookies.by_agent == {}


async def test_a_session_goes_on_whose_cookie_cannot_be_written(life: Life) -> None:
    gateway = await life.begin()
    life.cookies.fault = StoreUnavailable("the disk is full")
    await life.knock(gateway)
    await life.open(gateway, MADE_UP)
    gateway.writer.write(b'{"type": "ping"}\n')
    assert getattr(await gateway.hear(), "type", "") == "pong"


def test_a_name_is_held_for_longer_than_a_gateway_may_take() -> None:
    limits = Limits()
    assert limits.unknown_name_s + 2 * limits.dial_s + limits.reply_s + limits.head_s <= CLAIM_LASTS_S
