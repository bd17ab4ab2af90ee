"""The port of agents that speak JNLP4-connect: preamble, TLS with the pinned key, headers, and the answer to them."""

import asyncio
import ssl
from typing import Final

from broker.domain.reason import Reason
from broker.gateway.door import Door, Entry, TurnedAway
from broker.gateway.handshakes import Handshakes
from broker.gateway.settings import Limits
from broker.gateway.upstream_tcp import read_capability_block
from broker.gateway.word import Protocol
from broker.inbound import ping
from broker.inbound.blocks import Malformed, block
from broker.inbound.capability import USUAL, mask_of
from broker.inbound.descriptor import Descriptor
from broker.inbound.dialogue import AgentHello, ServerDialogue
from broker.inbound.exchange import reply
from broker.inbound.preamble import ACK, UNKNOWN, AckReader, PreambleReader
from broker.inbound.preamble import Protocol as Named
from broker.inbound.websocket import AgentRequest, new_key

_PAGE: Final = {"Jenkins-Agent-Protocols": "JNLP4-connect, Ping"}


class PortDoor:
    """One connection on the port, from its first byte to its session."""

    def __init__(self, limits: Limits, door: Door, tls: ssl.SSLContext, handshakes: Handshakes) -> None:
        """Uses them; `tls` shows the key that discovery tells."""
        self._handshakes = handshakes
        self._limits = limits
        self._door = door
        self._tls = tls

    async def receive(self, leg: Descriptor) -> bool:
        """True if the agent's session has begun, which closes the leg. Raises OSError."""
        try:
            dialogue = ServerDialogue()
            with self._handshakes.waiting(leg):
                hello = await self._hello(leg, dialogue)
            return hello is not None and await self._enter(leg, dialogue, hello)
        except (EOFError, Malformed):  # a look whether the port is there, or no agent
            return False

    async def _hello(self, leg: Descriptor, dialogue: ServerDialogue) -> AgentHello | None:
        until = self._until()
        if not await self._is_jnlp4(leg, until):
            return None
        await leg.send(ACK, until)
        ack = AckReader()
        while not ack.feed(await leg.read_exactly(ack.wants(), until)):
            pass
        await leg.start_tls(self._tls, server=True, name=None, until=until)
        until = self._until()
        try:
            while (hello := dialogue.feed(await _some(leg, until))) is None:
                pass
        except Malformed as error:
            self._door.refused(Protocol.JNLP4, leg, _malformed(error))
            await self._refuse(leg, dialogue, str(error))
            return None
        return hello

    async def _is_jnlp4(self, leg: Descriptor, until: float) -> bool:
        preamble = PreambleReader()
        protocol = None
        while protocol is None:
            protocol = preamble.feed(await leg.read_exactly(preamble.wants(), until))
        match protocol:
            case Named.PING:
                await reply(leg, ping.REPLY, self._limits.reply_s)
            case Named.HTTP:
                await reply(leg, ping.page(preamble.taken, _PAGE), self._limits.reply_s)
            case Named.OTHER:
                await reply(leg, UNKNOWN, self._limits.reply_s)
        return protocol is Named.JNLP4

    async def _enter(self, leg: Descriptor, dialogue: ServerDialogue, hello: AgentHello) -> bool:
        asked = AgentRequest(name=hello.name, secret=hello.secret, cookie=hello.cookie, capability=USUAL, key=new_key())

        async def settle(entry: Entry) -> bytes:
            return await self._settle(leg, dialogue, entry)

        try:
            await self._door.let_in(leg, "", asked, Protocol.JNLP4, settle)
            return True
        except TurnedAway as away:
            self._door.refused(Protocol.JNLP4, leg, away, name=hello.name)
            if not dialogue.accepted:
                await self._refuse(leg, dialogue, away.message)
            return False

    async def _settle(self, leg: Descriptor, dialogue: ServerDialogue, entry: Entry) -> bytes:
        """Lets the agent in and hears that it knows; towards a WebSocket it also says what it says of its channel."""
        until = self._until()
        await leg.send(dialogue.accept(entry.cookie), until)
        while not dialogue.confirmed(await _some(leg, until)):
            pass
        leg.surplus = dialogue.surplus + leg.surplus
        if entry.accepted.head is None:
            return b""
        capability = await read_capability_block(leg, until)
        if mask_of(capability) != mask_of(USUAL):
            await self._door.ask_again(leg, entry, capability)
        return block(entry.accepted.capability.encode())

    async def _refuse(self, leg: Descriptor, dialogue: ServerDialogue, text: str) -> None:
        """Says why, and lets the agent read it: it answers with nine bytes before it leaves."""
        until = asyncio.get_running_loop().time() + self._limits.reply_s
        try:
            await leg.send(dialogue.refuse(text), until)
            while not dialogue.confirmed(await _some(leg, until)):
                pass
        except (OSError, EOFError):
            pass
        await reply(leg, b"", self._limits.reply_s)

    def _until(self) -> float:
        return asyncio.get_running_loop().time() + self._limits.head_s


async def _some(leg: Descriptor, until: float) -> bytes:
    data = await leg.read_some(until)
    if not data:
        raise EOFError("the agent left within the handshake")
    return data


def _malformed(error: Malformed) -> TurnedAway:
    return TurnedAway(400, Reason.NOT_AN_INBOUND_AGENT, str(error))
