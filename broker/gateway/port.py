"""The TCP port of a gateway: what listens there, and what agents are told of it."""

import socket
from collections.abc import Callable, Iterable
from dataclasses import replace

from broker.gateway.door import Door
from broker.gateway.door_tcp import PortDoor
from broker.gateway.facts import Facts
from broker.gateway.identity import server_context
from broker.gateway.listener import Listener
from broker.gateway.presence import Presence
from broker.gateway.settings import Limits
from broker.inbound.descriptor import Descriptor
from broker.inbound.discovery import Discovered, discovery_reply
from broker.inbound.http import RequestHead, text_reply
from broker.inbound.identity import Identity


class PortListener(Listener):
    """As `Listener`, but it is the agents' protocol that is spoken."""

    def __init__(
        self,
        sock: socket.socket,
        identity: Identity,
        limits: Limits,
        door: Door,
        presence: Presence,
        sessions: Callable[[], int],
        allowed: Iterable[str] = (),
    ) -> None:
        """Takes the socket over; agents pin the identity."""
        tls = server_context(identity)
        super().__init__(sock, tls, limits, _nothing, presence, sessions, allowed)
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
        up: Callable[[], bool],
        facts: Callable[[str], Facts],
    ) -> None:
        """`up` says whether somebody new can be let in, `facts` what is known of a controller."""
        self._found = Discovered(
            host=address[0], port=address[1], identity=identity.spki, protocols=("JNLP4-connect", "Ping")
        )
        self._up = up
        self._facts = facts

    def reply(self, controller: str) -> bytes:
        """200 with the port; 503 while nobody new of a controller gets in: agents wait here, where it costs little."""
        if not self._up():
            return text_reply(503, "the control plane is away: try again\n")
        facts = self._facts(controller)
        if facts.away:
            return text_reply(503, f"controller {controller} is away: try again\n")
        return discovery_reply(replace(self._found, minimum_version=facts.minimum_version))


async def _nothing(connection: Descriptor, request: RequestHead) -> bool:
    return False
