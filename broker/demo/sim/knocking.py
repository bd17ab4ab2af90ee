"""How a simulated agent gets in, step by step as agent.jar: discovery or login, then the dialogue of its transport.

Sources: hudson.remoting.Engine and JnlpAgentEndpointResolver (Remoting).
"""

import ssl
from dataclasses import dataclass, field

from broker.demo.sim.channels import Channel, TcpChannel, WebSocketChannel
from broker.demo.sim.misbehaviour import BIG, Kind, Script, Step, big_block
from broker.demo.sim.plans import AgentPlan, Transport
from broker.demo.sim.wire import Wire
from broker.inbound.address import HttpBase, parse_base
from broker.inbound.blocks import BlockReader, Malformed, block
from broker.inbound.capability import MAX_CAPABILITY, read_capability
from broker.inbound.dialogue import Accepted4, ClientDialogue, Refused4
from broker.inbound.discovery import Page, read_discovery
from broker.inbound.headers import NODE_NAME
from broker.inbound.http import HeadBuffer, ResponseHead, parse_response, render
from broker.inbound.identity import spki_of
from broker.inbound.pinned import client_context
from broker.inbound.preamble import ACK, AckReader, Protocol, request
from broker.inbound.websocket import COOKIE, AgentRequest, Answer, controller_request, judge, new_key

_MAX_BODY = 4096


class TurnedAway(Exception):
    """The other side does not want this agent, and has said why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An agent is in; `cookie` is what it shows the next time."""

    channel: Channel
    cookie: str = field(repr=False)


async def knock(plan: AgentPlan, cookie: str) -> Opened:
    """One attempt. Raises `TurnedAway`, Malformed, OSError, EOFError; keeps no connection then."""
    script = Script(plan.misbehaviour)
    by_port = plan.transport is Transport.TCP
    wire, identity = await (_dial_port(plan) if by_port else _dial_websocket(plan))
    try:
        await script.at(Step.CONNECTED, wire)
        if script.slow_from(Step.CONNECTED):
            wire.pause_s = script.pause_s
        if by_port:
            await _secure(wire, script, identity)
            opened = await _ask_port(plan, cookie, script, wire)
        else:
            opened = await _ask_websocket(plan, cookie, script, wire)
        wire.pause_s = 0.0
        return opened
    except BaseException:
        wire.close()
        raise


async def is_there(plan: AgentPlan) -> bool:
    """Whether discovery, or the login of WebSocket, answers 200. Raises Malformed, OSError, EOFError."""
    page = Page.DISCOVERY if plan.transport is Transport.TCP else Page.LOGIN
    head = await _get(plan, parse_base(plan.url), page)
    return head.status == 200


async def _dial_port(plan: AgentPlan) -> tuple[Wire, bytes]:
    """After the empty connection by which an agent sees whether the port can be reached."""
    if plan.address is not None:
        return await Wire.dial(*plan.address), plan.identity
    base = parse_base(plan.url)
    found = read_discovery(await _get(plan, base, Page.DISCOVERY), base)
    (await Wire.dial(found.host, found.port)).close()
    return await Wire.dial(found.host, found.port), found.identity


async def _secure(wire: Wire, script: Script, identity: bytes) -> None:
    await _say_protocol(wire, script)
    await wire.start_tls(client_context(), server=False)
    await script.at(Step.SECURED, wire)
    if script.slow_from(Step.SECURED):
        wire.pause_s = script.pause_s
    if spki_of(wire.certificate()) != identity:
        raise Malformed("the other side has another key than its identity")


async def _ask_port(plan: AgentPlan, cookie: str, script: Script, wire: Wire) -> Opened:
    accepted = await _say_headers(plan, cookie, script, wire)
    await wire.send(block(plan.capability.encode()))
    capability, surplus = BlockReader(MAX_CAPABILITY), accepted.surplus
    while (raw := capability.feed(surplus)) is None:
        surplus = await wire.read_some()
    read_capability(raw)
    return Opened(channel=TcpChannel(wire, bytes(capability.rest)), cookie=accepted.cookie)


async def _say_protocol(wire: Wire, script: Script) -> None:
    opening = request(Protocol.JNLP4)
    if script.cuts():
        await wire.send(opening[:9])
        await script.at(Step.CUT, wire)
    if script.is_(Kind.NO_ACK):
        await wire.send(opening)
        await wire.left()
    await wire.send(opening + ACK)
    await script.at(Step.NAMED, wire)
    ack = AckReader()
    while not ack.feed(await wire.read_some(ack.wants())):
        pass


async def _say_headers(plan: AgentPlan, cookie: str, script: Script, wire: Wire) -> Accepted4:
    dialogue = ClientDialogue()
    secret = _secret(plan, script)
    await wire.send(big_block() if script.is_(Kind.BIG_HEADER) else dialogue.start(plan.name, secret, cookie))
    await script.at(Step.SHOWN, wire)
    answer = None
    while answer is None:
        answer = dialogue.feed(await wire.read_some())
        if pending := dialogue.pending():
            await wire.send(pending)
    if isinstance(answer, Refused4):
        raise TurnedAway(answer.text)
    return answer


async def _dial_websocket(plan: AgentPlan) -> tuple[Wire, bytes]:
    base = parse_base(plan.url)
    head = await _get(plan, base, Page.LOGIN)
    if head.status != 200:
        raise TurnedAway(f"{Page.LOGIN} answers {head.status}")
    return await _dial_http(plan, base), b""


async def _ask_websocket(plan: AgentPlan, cookie: str, script: Script, wire: Wire) -> Opened:
    asked = AgentRequest(name=plan.name, secret="", capability=plan.capability, key=new_key())
    data = controller_request(asked, parse_base(plan.url), secret=_secret(plan, script), cookie=cookie)
    if script.cuts():
        await wire.send(data[:9])
        await script.at(Step.CUT, wire)
    if script.is_(Kind.BIG_HEADER):
        data = data[:-2] + b"X-Big: " + b"x" * BIG + b"\r\n\r\n"
    await wire.send(data)
    await script.at(Step.SHOWN, wire)
    head, surplus = await _read_head(wire)
    body = b"" if head.status == 101 else await _read_body(wire, head, surplus)
    answer, words = judge(head, body, asked.key)
    if answer is not Answer.ACCEPTED:
        raise TurnedAway(f"{head.status} {words}")
    channel = WebSocketChannel(wire, surplus, client=True)
    return Opened(channel=channel, cookie=head.fields.one(COOKIE) or "")


def _secret(plan: AgentPlan, script: Script) -> str:
    return "0" * 64 if script.is_(Kind.WRONG_SECRET) else plan.secret


async def _dial_http(plan: AgentPlan, base: HttpBase) -> Wire:
    wire = await Wire.dial(base.host, base.port)
    try:
        if base.secure:
            trust = plan.trust or ssl.create_default_context()
            await wire.start_tls(trust, server=False, name=base.host)
    except BaseException:
        wire.close()
        raise
    return wire


async def _get(plan: AgentPlan, base: HttpBase, page: Page) -> ResponseHead:
    wire = await _dial_http(plan, base)
    try:
        fields = [("Host", base.authority), ("Connection", "keep-alive")]
        if page is Page.DISCOVERY:
            fields.append((NODE_NAME, plan.name))
        await wire.send(render(f"GET {base.path}{page} HTTP/1.1", fields))
        return (await _read_head(wire))[0]
    finally:
        wire.close()


async def _read_head(wire: Wire) -> tuple[ResponseHead, bytes]:
    buffer = HeadBuffer()
    while (raw := buffer.feed(await wire.read_some())) is None:
        pass
    return parse_response(raw), buffer.rest


async def _read_body(wire: Wire, head: ResponseHead, body: bytes) -> bytes:
    said = head.fields.one("Content-Length") or "0"
    wanted = min(int(said) if said.isdecimal() else 0, _MAX_BODY)
    while len(body) < wanted and (more := await wire.read()):
        body += more
    return body[:wanted]
