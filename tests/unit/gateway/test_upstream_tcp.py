"""Where a gateway looks for a controller's port, and whose key it believes."""

import asyncio
import base64
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from broker.demo.sim.controller import SimController
from broker.gateway.facts import Facts
from broker.gateway.presence import Presence
from broker.gateway.settings import Limits
from broker.gateway.upstream_tcp import PortUpstream, Target, read_capability_block
from broker.gateway.word import Accepted, Declined
from broker.inbound.address import parse_base
from broker.inbound.blocks import block
from broker.inbound.capability import USUAL
from broker.inbound.descriptor import READ_AT_ONCE, Descriptor, dial
from broker.inbound.discovery import Discovered, discovery_reply
from broker.inbound.http import HeadBuffer, ResponseHead, parse_response
from broker.inbound.identity import Identity
from broker.inbound.websocket import AgentRequest, new_key

OWN, OTHER = Identity.new(), Identity.new()
HTTPS, HTTP, LOCAL = "https://ci.example.com/", "http://ci.example.com/", "http://127.0.0.1:1/"
NOWHERE = 9


@dataclass
class Urls:
    """Answers discovery in the place of a controller's URL."""

    found: Discovered | None = None
    asked: int = 0
    meanwhile: Callable[[], object] = int
    listening: asyncio.Server | None = field(default=None, repr=False)

    async def get(self, controller: str, page: str) -> tuple[Descriptor, ResponseHead] | Declined:
        self.asked += 1
        assert self.listening is not None
        assert self.found is not None
        self.meanwhile()
        leg = await dial(self.listening.sockets[0].getsockname(), asyncio.get_running_loop().time() + 5)
        head = HeadBuffer().feed(discovery_reply(self.found))
        assert head is not None
        return leg, parse_response(head)


@dataclass
class Place:
    controller: SimController
    urls: Urls
    upstream: PortUpstream

    def tells(self, identity: Identity = OWN, port: int = 0) -> None:
        host, own = self.controller.address
        self.urls.found = Discovered(host=host, port=port or own, identity=identity.spki)

    async def asks(self, url: str, pin: Identity | None = None, **facts: object) -> Accepted | Declined:
        told = base64.b64encode(pin.spki).decode() if pin else ""
        target = Target(name="main", base=parse_base(url), pin=told, facts=Facts(**facts))  # type: ignore[arg-type]
        asked = AgentRequest(name="a1", secret="f" * 64, cookie="", capability=USUAL, key=new_key())
        secret = self.controller.add("a1")
        answer = await self.upstream.open(target, asked, secret=secret, cookie="", ends=False)
        if isinstance(answer, Accepted):
            answer.leg.close()
        self.controller.live.clear()
        return answer


@asynccontextmanager
async def place(limits: Limits | None = None) -> AsyncIterator[Place]:
    urls = Urls(listening=await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0))
    async with asyncio.timeout(30), SimController(identity=OWN).running() as controller:
        upstream = PortUpstream(limits or Limits(reach_s=2.0), Presence(), urls.get)
        there = Place(controller, urls, upstream)
        there.tells()
        yield there
    assert urls.listening is not None
    urls.listening.close()


@pytest.mark.parametrize("url", [HTTPS, LOCAL])
async def test_what_a_verified_or_local_url_tells_of_its_key_is_believed(url: str) -> None:
    async with place() as there:
        assert isinstance(await there.asks(url), Accepted)


async def test_what_an_http_url_beyond_loopback_tells_of_its_key_is_not_believed() -> None:
    async with place() as there:
        answer = await there.asks(HTTP)
        assert isinstance(answer, Declined)
        assert "its identity is not known" in answer.message
        assert there.controller.shown == []
        assert isinstance(await there.asks(HTTP, OWN), Accepted)


async def test_a_key_that_was_told_counts_before_the_one_that_the_url_tells() -> None:
    async with place() as there:
        there.tells(OTHER)
        assert isinstance(await there.asks(HTTPS, OWN), Accepted)
        there.tells(OWN)
        answer = await there.asks(HTTPS, OTHER)
        assert isinstance(answer, Declined)
        assert "another key than its identity" in answer.message
        assert len(there.controller.shown) == 1


async def test_a_port_that_the_controller_has_told_needs_no_question() -> None:
    async with place() as there:
        host, port = there.controller.address
        assert isinstance(await there.asks(HTTPS, OWN, host=host, port=port), Accepted)
        assert isinstance(await there.asks(f"https://{host}/", OWN, port=port), Accepted)
        assert there.urls.asked == 0


async def test_a_controller_whose_told_port_fails_is_looked_for_under_its_url() -> None:
    async with place() as there:
        assert isinstance(await there.asks(HTTPS, OWN, host="127.0.0.1", port=NOWHERE), Accepted)
        assert there.urls.asked == 1
        assert isinstance(await there.asks(HTTPS, OWN, host="127.0.0.1", port=NOWHERE), Accepted)
        assert there.urls.asked == 1


async def test_a_port_of_the_config_is_the_only_one() -> None:
    async with place() as there:
        answer = await there.asks(HTTPS, OWN, host="127.0.0.1", port=NOWHERE, fixed=True)
        assert isinstance(answer, Declined)
        assert there.urls.asked == 0


async def test_a_port_of_the_config_takes_the_place_of_the_discovered_one() -> None:
    async with place() as there:
        host, port = there.controller.address
        there.tells(port=NOWHERE)
        assert isinstance(await there.asks(HTTPS, host=host, port=port, fixed=True), Accepted)


async def test_a_key_that_has_changed_is_not_taken_from_an_earlier_look() -> None:
    async with place() as there:
        assert isinstance(await there.asks(HTTPS), Accepted)
        there.tells(OTHER)
        assert isinstance(await there.asks(HTTPS, OTHER), Declined)
        assert len(there.controller.shown) == 1


async def test_where_a_controller_was_is_not_where_another_one_of_its_name_is_asked() -> None:
    """The config gives a name another URL while an ask is under way, and whoever was there before is there still."""
    async with place() as there, SimController(identity=OTHER).running() as new:
        there.urls.meanwhile = there.upstream.forget
        assert isinstance(await there.asks(HTTPS), Accepted)
        there.urls.found = Discovered(host=new.address[0], port=new.address[1], identity=OTHER.spki)
        await there.asks("https://new.example.com/")
        assert (len(there.controller.shown), len(new.shown)) == (1, 1)


async def test_what_came_behind_the_capability_is_kept_in_its_order() -> None:
    with socket.socket() as one:
        leg = Descriptor(one)
        leg.surplus = block(USUAL.encode()) + b"x" * READ_AT_ONCE + b"the end"
        assert await read_capability_block(leg, 0.0) == USUAL
        assert leg.surplus == b"x" * READ_AT_ONCE + b"the end"


async def test_a_place_that_does_not_answer_leaves_time_for_the_next_one() -> None:
    with_backlog = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    silent = with_backlog.sockets[0].getsockname()[1]
    async with place(Limits(reach_s=0.5)) as there:
        assert isinstance(await there.asks(HTTPS, OWN, host="127.0.0.1", port=silent), Accepted)
    with_backlog.close()
