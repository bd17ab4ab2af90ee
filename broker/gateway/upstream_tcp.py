"""Asks a controller on its port of inbound agents, over JNLP4-connect, with the real secret."""

import asyncio
import base64
import hmac
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import Final

from broker.gateway.facts import Facts
from broker.gateway.presence import Presence
from broker.gateway.settings import Limits
from broker.gateway.word import Accepted, Declined
from broker.inbound.address import HttpBase
from broker.inbound.blocks import BlockReader, Malformed, block
from broker.inbound.capability import MAX_CAPABILITY, read_capability
from broker.inbound.descriptor import Descriptor, dial
from broker.inbound.dialogue import Accepted4, ClientDialogue, Refused4
from broker.inbound.discovery import Discovered, Page, read_discovery
from broker.inbound.exchange import reply
from broker.inbound.http import ResponseHead
from broker.inbound.pinned import client_context
from broker.inbound.preamble import ACK, AckReader, Protocol, request
from broker.inbound.websocket import AgentRequest, Answer

_LINGER_S: Final = 1.0
_UNBELIEVABLE: Final = (
    "its identity is not known: it has not told it to the broker, and what an http:// URL tells may be anybody's;"
    " set controllers.*.instance_identity, or use https://"
)

Get = Callable[[str, str], Awaitable[tuple[Descriptor, ResponseHead] | Declined]]
"""Begins a GET of a controller's page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A controller that is asked on its port."""

    name: str
    base: HttpBase
    pin: str = ""
    """Its identity in base64; empty: the one that its URL tells, as for an agent."""
    facts: Facts = field(default_factory=Facts)

    @property
    def key(self) -> tuple[str, HttpBase]:
        """What tells it from all others, also from a former one of its name."""
        return self.name, self.base


class PortUpstream:
    """The ports of controllers: where they say themselves, or as discovery tells; a URL is asked when a port fails."""

    def __init__(self, limits: Limits, presence: Presence, get: Get) -> None:
        """Knows no port yet."""
        self._limits = limits
        self._presence = presence
        self._get = get
        self._tls = client_context()
        self._found: dict[tuple[str, HttpBase], Discovered] = {}
        """By name and URL: where a controller was must not be where another one of its name is asked."""

    def forget(self) -> None:
        """Controllers may be elsewhere now."""
        self._found.clear()

    async def open(
        self, target: Target, asked: AgentRequest, *, secret: str, cookie: str, ends: bool
    ) -> Accepted | Declined:
        """The controller's word. The secret is sent to nobody who has not its key.

        With `ends` the capabilities are exchanged here, because the agent gets the controller's in another way.
        """
        leg: Descriptor | None = None
        kept = False
        try:
            leg = await self._reach(target)
            until = asyncio.get_running_loop().time() + self._limits.dial_s
            answer: Accepted | Declined = await _converse(leg, asked, secret, cookie, until)
            if isinstance(answer, Accepted) and ends:
                answer = await _exchanged(answer, asked.capability, until, target.facts.minimum_version)
            kept = isinstance(answer, Accepted)
        except (OSError, EOFError, Malformed) as error:
            answer = Declined(answer=Answer.UNAVAILABLE, message=str(error) or type(error).__name__)
        finally:
            if leg is not None and not kept:
                leg.close()
        return answer

    async def _reach(self, target: Target) -> Descriptor:
        """Whoever has the controller's key: where it was last, where it says, or where its URL tells now.

        Raises what `open` tells.
        """
        failure: Exception | None = None
        for place in self._places(target):
            try:
                return await self._found_at(target, place)
            except (OSError, EOFError, Malformed) as error:
                failure = error
                if self._found.get(target.key) == place:
                    del self._found[target.key]
        if failure is not None and target.facts.fixed:
            raise failure
        return await self._found_at(target, await self._discover(target))

    def _places(self, target: Target) -> Iterable[Discovered]:
        """Where it may be without asking its URL; each must show the identity that is known now."""
        known, told = self._found.get(target.key), _told(target)
        if target.facts.fixed:
            return [told] if told else []
        if known is not None and target.pin:
            known = replace(known, identity=_key(target.pin))
        return dict.fromkeys(place for place in (known, told) if place is not None)

    async def _found_at(self, target: Target, place: Discovered) -> Descriptor:
        leg = await self._secured(place, asyncio.get_running_loop().time() + self._limits.reach_s)
        self._found[target.key] = place
        return leg

    async def _discover(self, target: Target) -> Discovered:
        """What its URL tells; of its identity only as much as can be believed."""
        got = await self._get(target.name, Page.DISCOVERY)
        if isinstance(got, Declined):
            raise OSError(got.message)
        leg, head = got
        leg.close()
        found = read_discovery(head, target.base)
        if target.facts.fixed:
            found = replace(found, host=target.facts.host, port=target.facts.port)
        if target.pin:
            return replace(found, identity=_key(target.pin))
        if not (target.base.secure or _is_loopback(target.base.host)):
            raise Malformed(_UNBELIEVABLE)
        return found

    async def _secured(self, found: Discovered, until: float) -> Descriptor:
        leg = await dial((found.host, found.port), until)
        shaken = False
        try:
            self._presence.watch(leg.sock)
            await leg.send(request(Protocol.JNLP4) + ACK, until)
            ack = AckReader()
            while not ack.feed(await leg.read_exactly(ack.wants(), until)):
                pass
            await leg.start_tls(self._tls, server=False, name=None, until=until)
            if not hmac.compare_digest(leg.peer_spki(), found.identity):
                raise Malformed("who answers on its agent port has another key than its identity")
            shaken = True
        finally:
            if not shaken:
                leg.close()
        return leg


def _told(target: Target) -> Discovered | None:
    """Where the config or the controller itself says that its port is; nothing without its identity."""
    if not target.facts.port or not target.pin:
        return None
    host = target.facts.host or target.base.host
    return Discovered(host=host, port=target.facts.port, identity=_key(target.pin))


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _key(pin: str) -> bytes:
    with suppress(ValueError):
        return base64.b64decode(pin, validate=True)
    raise Malformed("the identity that is configured for it is not base64")


async def _converse(
    leg: Descriptor, asked: AgentRequest, secret: str, cookie: str, until: float
) -> Accepted | Declined:
    dialogue = ClientDialogue()
    await leg.send(dialogue.start(asked.name, secret, cookie), until)
    answer: Accepted4 | Refused4 | None = None
    while answer is None:
        data = await leg.read_some(until)
        if not data:
            raise EOFError("it closed without an answer")
        answer = dialogue.feed(data)
        if not isinstance(answer, Refused4):
            await leg.send(dialogue.pending(), until)
    if isinstance(answer, Refused4):
        await reply(leg, dialogue.pending(), _LINGER_S)
        return _declined(answer)
    leg.surplus = answer.surplus
    return Accepted(leg=leg, cookie=answer.cookie)


def _declined(refused: Refused4) -> Declined:
    if refused.unknown_name:
        return Declined(answer=Answer.UNKNOWN_NAME, message="no such agent")
    if refused.bad_secret:
        return Declined(answer=Answer.FORBIDDEN, message="the controller does not take the agent's secret")
    return Declined(answer=Answer.REFUSED, message=refused.text)


async def _exchanged(accepted: Accepted, capability: str, until: float, minimum_version: str) -> Accepted:
    leg = accepted.leg
    await leg.send(block(capability.encode()), until)
    return replace(accepted, capability=await read_capability_block(leg, until), minimum_version=minimum_version)


async def read_capability_block(leg: Descriptor, until: float) -> str:
    """What the other side says of its channel; what follows is surplus. Raises `Malformed`, OSError, EOFError."""
    blocks = BlockReader(MAX_CAPABILITY)
    while (raw := blocks.feed(data := await leg.read_some(until))) is None:
        if not data:
            raise EOFError("the other side left before its channel began")
    leg.surplus = bytes(blocks.rest) + leg.surplus
    return read_capability(raw)
