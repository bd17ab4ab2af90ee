"""The TCP port of a gateway: what listens there, and what agents are told of it."""

import asyncio
import socket
from collections.abc import Callable, Iterable
from dataclasses import replace

from broker.gateway.door import Door
from broker.gateway.door_tcp import PortDoor
from broker.gateway.facts import Facts
from broker.gateway.linkclient import ControlLink
from broker.gateway.listener import Listener
from broker.gateway.live import LiveSessions
from broker.gateway.presence import Presence
from broker.gateway.settings import Limits
from broker.inbound.descriptor import Descriptor
from broker.inbound.discovery import Discovered, discovery_reply
from broker.inbound.http import RequestHead, text_reply
from broker.inbound.identity import Identity
from broker.inbound.pinned import server_context


class PortListener(Listener):
    """As `Listener`, but it is the agents' protocol that is spoken."""

    def __init__(
        self,
        sock: socket.socket,
        identity: Identity,
        limits: Limits,
        door: Door,
        presence: Presence,
        live: LiveSessions,
        allowed: Iterable[str] = (),
    ) -> None:
        """Takes the socket over; agents pin the identity."""
        tls = server_context(identity)
        super().__init__(sock, tls, limits, _nothing, presence, live, allowed)
        self._door = PortDoor(limits, door, tls, self.handshakes)

    async def receive(self, connection: Descriptor) -> bool:
        """As `Listener.receive`."""
        return await self._door.receive(connection)


class Discovery:
    """What agents are told that ask where the TCP port is."""

    def __init__(
        self,
        address: tuple[str, int],
        identity: Identity,
        link: ControlLink,
        facts: Callable[[str], Facts],
        held_s: float,
    ) -> None:
        """Nobody new can be let in while the link is down; `facts` says what is known of a controller.

        Who asks is held for so long while nobody can come in: an agent that is turned away asks again after 10 s only.
        """
        self._found = Discovered(
            host=address[0], port=address[1], identity=identity.spki, protocols=("JNLP4-connect", "Ping")
        )
        self._link = link
        self._facts = facts
        self._held_s = held_s

    async def reply(self, leg: Descriptor, controller: str, *, waits: bool = True) -> bytes:
        """200 with the port; 503 while nobody new of a controller gets in, at once to somebody who does not wait."""
        until = asyncio.get_running_loop().time() + (self._held_s if waits else 0.0)
        while (why := self._why_not(controller)) and not await self._gone_or_late(leg, until):
            pass
        if why:
            return text_reply(503, f"{why}: try again\n")
        return discovery_reply(replace(self._found, minimum_version=self._facts(controller).minimum_version))

    def _why_not(self, controller: str) -> str:
        if not self._link.up:
            return "the control plane is away"
        return f"controller {controller} is away" if self._facts(controller).away else ""

    async def _gone_or_late(self, leg: Descriptor, until: float) -> bool:
        """False when there are news."""
        async with asyncio.TaskGroup() as group:
            gone = group.create_task(leg.gone(until), name="discovery:gone")
            news = group.create_task(self._link.news(), name="discovery:news")
            await asyncio.wait({gone, news}, return_when=asyncio.FIRST_COMPLETED)
            over = gone.done()
            gone.cancel()
            news.cancel()
        return over


async def _nothing(connection: Descriptor, request: RequestHead) -> bool:
    return False
