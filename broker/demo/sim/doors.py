"""The two doors of a simulated controller: the port of JNLP4 and `wsagents/`, each up to an open channel.

Sources: hudson.TcpSlaveAgentListener, jenkins.slaves.JnlpSlaveAgentProtocol4, jenkins.agents.WebSocketAgents.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from broker.demo.sim.channels import Channel, TcpChannel, WebSocketChannel
from broker.demo.sim.misbehaviour import BIG, Kind, Script, Step, big_block
from broker.demo.sim.streams import Traffic
from broker.demo.sim.verdicts import Verdict, refusal_by_http, refusal_by_port
from broker.demo.sim.wire import Wire
from broker.inbound import ping
from broker.inbound.blocks import BlockReader, Malformed, block
from broker.inbound.capability import MAX_CAPABILITY, USUAL, read_capability
from broker.inbound.dialogue import AgentHello, ServerDialogue
from broker.inbound.discovery import MINIMUM_VERSION
from broker.inbound.headers import NODE_NAME, SECRET_KEY
from broker.inbound.http import RequestHead, text_reply
from broker.inbound.preamble import ACK, UNKNOWN, AckReader, PreambleReader, Protocol
from broker.inbound.websocket import CAPABILITY, COOKIE, new_cookie, own_reply

_CONFIRM_S: Final = 10.0
OLDEST: Final = "3176.v207ec082a_8c0"
"""The oldest Remoting that is said to do."""
PAGE: Final = {"Jenkins-Agent-Protocols": "JNLP4-connect, Ping", "Jenkins-Version": "simulated"}


@dataclass(slots=True, kw_only=True)
class Session:
    """One connection; of an agent once `admit` has said so."""

    wire: Wire
    name: str = ""
    cookie: str = field(default="", repr=False)
    capability: str = ""
    """What the agent has said of its channel."""
    channel: Channel | None = None
    """Open from here on."""
    traffic: Traffic = field(default_factory=Traffic)
    over: asyncio.Event = field(default_factory=asyncio.Event)


Admit = Callable[[Session, AgentHello], Awaitable[Verdict]]
"""Decides on an agent that shows a cookie or none. Where it is welcome, the session has its name from then on."""


async def by_port(session: Session, admit: Admit, script: Script, tls: ssl.SSLContext) -> None:
    """Opens the session's channel, unless it is refused or wants no JNLP4. Raises OSError, EOFError, Malformed."""
    wire = session.wire
    if not await _is_jnlp4(wire):
        return
    if script.is_(Kind.NO_ACK):
        await wire.left()
    await wire.send(ACK)
    await script.at(Step.NAMED, wire)
    ack = AckReader()
    while not ack.feed(await wire.read_some(ack.wants())):
        pass
    await wire.start_tls(tls, server=True)
    await script.at(Step.SECURED, wire)
    dialogue = ServerDialogue()
    while (hello := dialogue.feed(await wire.read_some())) is None:
        pass
    await script.at(Step.SHOWN, wire)
    await asyncio.sleep(script.pause_s if script.is_(Kind.SLOW) else 0)
    session.cookie = new_cookie()
    verdict = await admit(session, hello)
    if verdict is not Verdict.WELCOME:
        await _refuse(wire, dialogue, script.text or refusal_by_port(verdict, hello.name))
        return
    await wire.send(big_block() if script.is_(Kind.BIG_HEADER) else dialogue.accept(session.cookie))
    confirmed = dialogue.confirmed(b"")
    while not confirmed:
        confirmed = dialogue.confirmed(await wire.read_some())
    session.channel = await _channel(session, dialogue.surplus)


async def _is_jnlp4(wire: Wire) -> bool:
    preamble = PreambleReader()
    protocol = None
    while protocol is None:
        data = await wire.read(preamble.wants())
        if not data:
            return False
        protocol = preamble.feed(data)
    if protocol is Protocol.JNLP4:
        return True
    replies = {Protocol.PING: ping.REPLY, Protocol.OTHER: UNKNOWN, Protocol.HTTP: ping.page(preamble.taken, PAGE)}
    await wire.send(replies[protocol])
    return False


async def _refuse(wire: Wire, dialogue: ServerDialogue, text: str) -> None:
    await wire.send(dialogue.refuse(text))
    async with asyncio.timeout(_CONFIRM_S):
        while not dialogue.confirmed(await wire.read_some()):
            pass


async def _channel(session: Session, surplus: bytes) -> TcpChannel:
    wire = session.wire
    await wire.send(block(USUAL.encode()))
    capability = BlockReader(MAX_CAPABILITY)
    raw = capability.feed(surplus)
    while raw is None:
        raw = capability.feed(await wire.read_some())
    session.capability = read_capability(raw)
    return TcpChannel(wire, bytes(capability.rest))


async def by_upgrade(session: Session, admit: Admit, script: Script, head: RequestHead, surplus: bytes) -> None:
    """Opens the session's channel, unless it is refused. Raises OSError, EOFError, Malformed."""
    wire, fields = session.wire, head.fields
    name, secret, capability = (fields.one(field) or "" for field in (NODE_NAME, SECRET_KEY, CAPABILITY))
    if not (name and secret and capability):
        await _answer(wire, 400, "This endpoint is only for use from agent.jar in WebSocket mode")
        return
    await script.at(Step.SHOWN, wire)
    await asyncio.sleep(script.pause_s if script.is_(Kind.SLOW) else 0)
    cookie = fields.one(COOKIE) or ""
    session.cookie, session.capability = cookie or new_cookie(), capability
    verdict = await admit(session, AgentHello(name=name, secret=secret, cookie=cookie))
    if verdict is not Verdict.WELCOME:
        status, text = refusal_by_http(verdict, name)
        await _answer(wire, 400 if script.text else status, script.text or text)
        return
    told = [(CAPABILITY, USUAL), (MINIMUM_VERSION, OLDEST), (COOKIE, session.cookie)]
    if "websocket" not in fields.tokens("Upgrade"):
        await wire.send(text_reply(400, "only WS connections accepted here", fields=told))
        return
    key = fields.one("Sec-WebSocket-Key")
    if key is None:
        raise Malformed("there is no Sec-WebSocket-Key")
    reply = own_reply(key, capability=USUAL, cookie=session.cookie, minimum_version=OLDEST)
    if script.is_(Kind.BIG_HEADER):
        reply = reply[:-2] + b"X-Big: " + b"x" * BIG + b"\r\n\r\n"
    await wire.send(reply)
    session.channel = WebSocketChannel(wire, surplus, client=False)


async def _answer(wire: Wire, status: int, text: str) -> None:
    """As Jenkins: a page of HTML around the text."""
    await wire.send(
        text_reply(status, f"<html><body><p>{text}</p></body></html>", media_type="text/html;charset=UTF-8")
    )
