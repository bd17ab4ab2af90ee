"""Everything that reads a stranger's bytes, each with bytes that are right and with what holds for all others."""

import base64
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from broker.domain.reason import Reason
from broker.errors import GatewayError
from broker.gateway.channel import read_report
from broker.gateway.link import Admission, Admit, Controllers, Hello, Refusal, encode, from_control, from_gateway
from broker.inbound import ping
from broker.inbound.address import parse_base
from broker.inbound.blocks import MAX_HEADERS, BlockReader, Malformed, block
from broker.inbound.capability import USUAL, mask_of, read_capability
from broker.inbound.chunks import MAX_CHUNK, ChunkReader, chunk
from broker.inbound.dialogue import OK, AgentHello, ClientDialogue, ServerDialogue
from broker.inbound.discovery import Discovered, discovery_reply, read_discovery, split_target
from broker.inbound.frames import BINARY, CLOSE, PING, Frame, FrameReader, frame
from broker.inbound.headers import COOKIE, NODE_NAME, SECRET_KEY, read_headers, write_headers
from broker.inbound.http import MAX_HEAD, HeadBuffer, parse_request, parse_response, render
from broker.inbound.identity import Identity, spki_of
from broker.inbound.preamble import ACK, AckReader, PreambleReader, Protocol, request
from broker.inbound.secret import hide_jnlp, read_jnlp, read_key_file
from broker.inbound.websocket import AgentRequest, agent_reply, controller_request, judge, own_reply, read_agent_request
from tests.fuzz.mutations import CANARY

Parse = Callable[[list[bytes]], object]
"""What a parser makes of bytes that come in these pieces. Fails on what must not be."""
IDENTITY: Final = Identity.new()
BASE: Final = parse_base("https://ci.example.com/jenkins/")
MESSAGES: Final = 64 * 1024
SHOWN: Final = {NODE_NAME: "agent1", SECRET_KEY: CANARY, COOKIE: "ab" * 32}
ASKED: Final = AgentRequest(name="agent1", secret=CANARY, capability=USUAL, key="AAAAAAAAAAAAAAAAAAAAAA==")


@dataclass(frozen=True, kw_only=True)
class Parser:
    """A parser and what it is to be tried with."""

    name: str
    seeds: tuple[bytes, ...]
    parse: Parse
    refuses: tuple[type[Exception], ...] = (Malformed,)
    """What it may raise."""


def blocks(parts: list[bytes]) -> object:
    """Against a model that says at every byte what may be there."""
    reader, came, found = BlockReader(MAX_HEADERS), b"", list[bytes]()
    for part in parts:
        came += part
        one = reader.feed(part)
        while one is not None:
            found.append(one)
            one = reader.feed(b"")
        assert b"".join(map(block, found)) + reader.rest == came
        assert len(reader.rest) < 2 or int.from_bytes(reader.rest[:2], "big") <= MAX_HEADERS
        assert len(reader.rest) < 2 + MAX_HEADERS
    return found, bytes(reader.rest)


def preamble(parts: list[bytes]) -> object:
    """Fed as a door does: never more than is wanted."""
    reader, data, at, said = PreambleReader(), b"".join(parts), 0, None
    while said is None and at < len(data):
        wants = reader.wants()
        assert 0 < wants <= 66
        said = reader.feed(data[at : at + wants])
        at += wants
    assert len(reader.taken) <= 66
    return said, reader.taken


def ack(parts: list[bytes]) -> object:
    reader, data, at = AckReader(), b"".join(parts), 0
    while at < len(data) and (wants := reader.wants()):
        assert reader.feed(data[at : at + wants]) is (reader.wants() == 0)
        at += wants
    return at


def agents_side(parts: list[bytes]) -> object:
    dialogue, hello, rest = ServerDialogue(), None, list(parts)
    while rest and hello is None:
        hello = dialogue.feed(rest.pop(0))
    if hello is None:
        return None
    assert isinstance(hello, AgentHello)
    dialogue.accept("ab" * 32)
    done = dialogue.confirmed(b"")
    while rest and not done:
        done = dialogue.confirmed(rest.pop(0))
    return hello, done, dialogue.surplus + b"".join(rest)


def refused_agent(parts: list[bytes]) -> object:
    dialogue = ServerDialogue()
    dialogue.refuse("no")
    return any(dialogue.confirmed(part) for part in parts)


def controllers_side(parts: list[bytes]) -> object:
    dialogue, answer, rest, said = ClientDialogue(), None, list(parts), b""
    dialogue.start("agent1", CANARY, "ab" * 32)
    while rest and answer is None:
        answer = dialogue.feed(rest.pop(0))
        said += dialogue.pending()
    surplus = getattr(answer, "surplus", b"") + b"".join(rest)
    words = getattr(answer, "text", "")
    assert words.isprintable()
    return type(answer), words, said, surplus if words == "" else b""


def chunks(parts: list[bytes]) -> object:
    reader, found = ChunkReader(), list[bytes]()
    for part in parts:
        found += reader.feed(part)
        assert len(reader._partial) < MAX_CHUNK
    assert b"".join(found) + reader._partial == b"".join(parts)
    return found


def frames(*, masked: bool) -> Parse:
    def parse(parts: list[bytes]) -> object:
        reader, found = FrameReader(masked=masked, most=MESSAGES), list[Frame]()
        for part in parts:
            found += reader.feed(part)
            assert len(reader._buffer) + len(reader._fragments) <= MESSAGES + 14 + 125
        assert all(len(one.payload) <= MESSAGES for one in found)
        return found

    return parse


def head(parts: list[bytes], read: Callable[[bytes], object]) -> object:
    buffer, whole, rest = HeadBuffer(), None, list(parts)
    while rest and whole is None:
        whole = buffer.feed(rest.pop(0))
        assert len(buffer._bytes) < MAX_HEAD or whole is not None
    return None if whole is None else (read(whole), buffer.rest + b"".join(rest))


def agents_request(parts: list[bytes]) -> object:
    def read(raw: bytes) -> object:
        asked = parse_request(raw)
        split_target(asked.target)
        shown = read_agent_request(asked)
        controller_request(shown, BASE, secret=CANARY, cookie="")  # what is let through can be passed on
        return shown

    return head(parts, read)


def controllers_answer(parts: list[bytes]) -> object:
    def read(raw: bytes) -> object:
        answered = parse_response(raw)
        verdict, words = judge(answered, raw, ASKED.key)
        assert words.isprintable()
        agent_reply(answered, "ab" * 32)
        return verdict

    return head(parts, read)


def discovery(parts: list[bytes]) -> object:
    return head(parts, lambda raw: read_discovery(parse_response(raw), BASE))


def whole(parse: Callable[[bytes], object]) -> Parse:
    """For what is never read in pieces."""
    return lambda parts: parse(b"".join(parts))


def capability(data: bytes) -> object:
    return mask_of(read_capability(data))


def link_lines(read: Callable[[bytes], object]) -> Parse:
    return whole(lambda data: [read(line) for line in data.split(b"\n")])


def _json_blocks() -> Iterable[bytes]:
    yield block(write_headers(SHOWN)) + OK + block(USUAL.encode()) + chunk(b"first command")
    yield block(json.dumps({NODE_NAME: "a", SECRET_KEY: CANARY, "x": None}).encode())
    yield block(b"{}") + block(b"ERROR: Unknown client name: agent1") + OK
    yield block(write_headers({COOKIE: "cd" * 32})) + OK + block(USUAL.encode())


_HELLO: Final = Hello(gateway="g1", pid=1, started=2, version="1", listen="127.0.0.1:1")
_BLOCKS: Final = tuple(_json_blocks())
_REQUEST: Final = controller_request(ASKED, BASE, secret=CANARY, cookie="ab" * 32)
_KEY_FILE: Final = bytes.fromhex(
    "3ed7a25999ce797fb723c7592655f73da446fa7205c4bfd735d3a0744f2a1d72ca3f123965f80288bafd72dc92721c4c"
)
_CERTIFICATE: Final = IDENTITY.certificate(datetime(2026, 1, 1, tzinfo=UTC))
_DER: Final = tuple(
    base64.b64decode(b"".join(pem.split(b"-----")[2].split())) for pem in _CERTIFICATE if b"CERTIFICATE" in pem
)
_MASKED: Final = (
    frame(BINARY, chunk(b"data" * 50), b"mask") + frame(PING, b"?", b"ping") + frame(CLOSE, b"\x03\xe8", b"over"),
)
PARSERS: Final = (
    Parser(name="blocks", seeds=_BLOCKS, parse=blocks),
    Parser(name="headers", seeds=tuple(one[2:] for one in _BLOCKS[:2]), parse=whole(read_headers)),
    Parser(
        name="preamble",
        seeds=(request(Protocol.JNLP4) + ACK, request(Protocol.PING), b"GET / HTTP/1.0\r\n\r\n", block(b"Protocol:x")),
        parse=preamble,
    ),
    Parser(name="ack", seeds=(ACK, ACK + b"\x16\x03"), parse=ack),
    Parser(name="an agent's side", seeds=_BLOCKS, parse=agents_side),
    Parser(name="a refused agent's side", seeds=(OK + block(b"BYE"),), parse=refused_agent),
    Parser(name="a controller's side", seeds=_BLOCKS, parse=controllers_side),
    Parser(name="chunks", seeds=(chunk(b"x" * 300) + chunk(b"", more=True) + chunk(b"y"),), parse=chunks),
    Parser(name="frames of a client", seeds=_MASKED, parse=frames(masked=True)),
    Parser(
        name="frames of a server",
        seeds=(frame(BINARY, b"z" * 200, None) + frame(PING, b"", None),),
        parse=frames(masked=False),
    ),
    Parser(name="capability", seeds=(USUAL.encode(),), parse=whole(capability)),
    Parser(name="an agent's request", seeds=(_REQUEST, _REQUEST + b"more"), parse=agents_request),
    Parser(
        name="a controller's answer",
        seeds=(
            own_reply(ASKED.key, capability=USUAL, cookie="ab" * 32) + b"more",
            render("HTTP/1.1 400 Bad Request", [("Content-Type", "text/html")]) + b"<p>no such agent</p>",
        ),
        parse=controllers_answer,
    ),
    Parser(
        name="discovery",
        seeds=(discovery_reply(Discovered(host="h", port=50000, identity=IDENTITY.spki, protocols=("Ping",))),),
        parse=discovery,
    ),
    Parser(name="the answer to Ping", seeds=(ping.REPLY,), parse=whole(ping.is_reply)),
    Parser(name="the page of the port", seeds=(ping.page(b"GET / HTTP/1.0", {"A": "b"}),), parse=whole(ping.read_page)),
    Parser(name="a certificate", seeds=_DER, parse=whole(spki_of)),
    Parser(name="the key file", seeds=(_KEY_FILE,), parse=whole(lambda data: read_key_file(data, "ab" * 128))),
    Parser(
        name="a .jnlp file",
        seeds=(hide_jnlp(b"<jnlp/>", CANARY, bytes(16)),),
        parse=whole(lambda data: read_jnlp(data, CANARY)),
    ),
    Parser(
        name="what a gateway says on the link",
        seeds=(
            encode(_HELLO),
            encode(Admit(id="1", name="agent1", secret=CANARY, cookie="ab" * 32)),
            b'{"type":"a newer one"}',
        ),
        parse=link_lines(from_gateway),
        refuses=(GatewayError,),
    ),
    Parser(
        name="what the control plane says on the link",
        seeds=(
            encode(Admission(id="1", agent_id="a", attempt=1, secret=CANARY)),
            encode(Refusal(id="1", reason=Reason.HANDSHAKE_REJECTED, message="no")),
            encode(Controllers(urls={"main": "http://h/"}, paths={"/c/main/": "main"})),
        ),
        parse=link_lines(from_control),
        refuses=(GatewayError,),
    ),
    Parser(
        name="what a worker says",
        seeds=(b'{"listen":"127.0.0.1:1","tcp":"","up":true,"draining":false,"sessions":3}',),
        parse=link_lines(read_report),
    ),
)
