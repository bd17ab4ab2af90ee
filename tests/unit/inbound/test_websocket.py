"""The upgrade on both sides of a gateway."""

import time

import pytest

from broker.inbound.address import parse_base
from broker.inbound.capability import USUAL
from broker.inbound.discovery import MINIMUM_VERSION
from broker.inbound.http import parse_request, parse_response, render
from broker.inbound.websocket import (
    CAPABILITY,
    COOKIE,
    Answer,
    accept_value,
    agent_reply,
    controller_cookie,
    controller_request,
    derived_cookie,
    judge,
    new_cookie,
    new_key,
    own_reply,
    read_agent_request,
)

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # both from RFC 6455 section 1.3
FIELDS = [
    ("Host", "gw.example"),
    ("Upgrade", "websocket"),
    ("Connection", "keep-alive, Upgrade"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", KEY),
    ("Node-Name", "a1"),
    ("Secret-Key", "minted"),
    ("X-Remoting-Capability", "rO0ABQ=="),
]
ACCEPTED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: " + ACCEPT.encode() + b"\r\nX-Remoting-Capability: cap\r\nConnection-Cookie: aabb"
)


def request_head(extra: list[tuple[str, str]] | None = None) -> bytes:
    return render("GET /c/main/wsagents/ HTTP/1.1", FIELDS + (extra or []))[:-4]


def test_the_accept_value_is_that_of_the_rfc() -> None:
    assert accept_value(KEY) == ACCEPT


def test_the_controller_is_asked_in_the_agents_words_with_other_secrets() -> None:
    request = read_agent_request(parse_request(request_head([(COOKIE, "cc" * 32), ("X-Other", "dropped")])))
    raw = controller_request(request, parse_base("https://ci.example.com/jenkins"), secret="real", cookie="dd" * 32)
    asked = parse_request(raw[:-4])
    assert asked.target == "/jenkins/wsagents/"
    assert {name: value for name, value in asked.fields.pairs if name not in {"Upgrade", "Connection"}} == {
        "Host": "ci.example.com",
        "Origin": "https://ci.example.com",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Version": "13",
        "Node-Name": "a1",
        "Secret-Key": "real",
        "X-Remoting-Capability": "rO0ABQ==",
        COOKIE: "dd" * 32,
    }


def test_extensions_pass_in_both_directions() -> None:
    request = read_agent_request(parse_request(request_head([("Sec-WebSocket-Extensions", "x-test")])))
    raw = controller_request(request, parse_base("http://c:8080/"), secret="s", cookie="aa")
    assert parse_request(raw[:-4]).fields.all("Sec-WebSocket-Extensions") == ["x-test"]
    reply = agent_reply(parse_response(ACCEPTED + b"\r\nSec-WebSocket-Extensions: x-test"), "ee")
    assert parse_response(reply[:-4]).fields.all("Sec-WebSocket-Extensions") == ["x-test"]


def test_the_agent_gets_our_cookie_and_not_the_controllers() -> None:
    reply = parse_response(agent_reply(parse_response(ACCEPTED), "ee" * 32)[:-4])
    assert reply.fields.all(COOKIE) == ["ee" * 32]
    assert reply.fields.one("Sec-WebSocket-Accept") == ACCEPT
    assert controller_cookie(parse_response(ACCEPTED), "ff") == "aabb"
    assert controller_cookie(parse_response(b"HTTP/1.1 101 x"), "ff") == "ff"


@pytest.mark.parametrize(
    ("head", "body", "answer"),
    [
        (ACCEPTED, b"", Answer.ACCEPTED),
        (ACCEPTED.replace(b"s3pP", b"AAAA"), b"", Answer.UNAVAILABLE),
        (b"HTTP/1.1 101 x", b"", Answer.UNAVAILABLE),
        (b"HTTP/1.1 400 Bad", b"<p>no such agent</p>", Answer.UNKNOWN_NAME),
        (b"HTTP/1.1 400 Bad", b"a1 is already connected", Answer.REFUSED),
        (b"HTTP/1.1 403 Forbidden", b"", Answer.FORBIDDEN),
        (b"HTTP/1.1 503 x", b"no such agent", Answer.UNAVAILABLE),
        (b"HTTP/1.1 302 Found", b"", Answer.UNAVAILABLE),
        (b"HTTP/1.1 404 Not Found", b"", Answer.UNAVAILABLE),
    ],
)
def test_every_reply_of_a_controller_has_its_meaning(head: bytes, body: bytes, answer: Answer) -> None:
    assert judge(parse_response(head), body, KEY)[0] is answer


@pytest.mark.parametrize("piece", ["<", "<style", "<style>", "<script>", "<a "])
def test_no_words_of_a_controller_take_long_to_read(piece: str) -> None:
    before = time.thread_time()
    judge(parse_response(b"HTTP/1.1 400 x"), (piece * 65_536)[:65_536].encode(), KEY)
    assert time.thread_time() - before < 0.5


def test_a_phrase_is_told_as_one_short_line_that_can_be_printed() -> None:
    head = parse_response(b"HTTP/1.1 502 Bad\t\x9b31mGateway" + b"!" * 10_000)
    words = judge(head, b"", KEY)[1]
    assert words.startswith("it answered 502 Bad 31mGateway!!")
    assert words.isprintable()
    assert len(words) < 300


def test_the_controllers_words_come_without_markup() -> None:
    body = b"<html><style>a {}</style><body><h1>a1  is <b>already</b>\nconnected</h1></body></html>"
    assert judge(parse_response(b"HTTP/1.1 400 x"), body, KEY)[1] == "a1 is already connected"


def test_cookies_are_as_jenkins_makes_them() -> None:
    assert len(bytes.fromhex(new_cookie())) == 32
    assert new_cookie() != new_cookie()
    assert len(bytes.fromhex(derived_cookie("a1", "real"))) == 32
    assert derived_cookie("a1", "real") == derived_cookie("a1", "real")
    assert derived_cookie("a1", "real") != derived_cookie("a2", "real") != derived_cookie("a2", "other")


def test_what_an_agent_shows_is_not_shown() -> None:
    shown = repr(read_agent_request(parse_request(request_head([(COOKIE, "cc" * 32)]))))
    assert "minted" not in shown
    assert "cc" * 32 not in shown


def test_a_reply_of_our_own_is_that_of_a_controller() -> None:
    key = new_key()
    reply = parse_response(own_reply(key, capability=USUAL, cookie="ee" * 32, minimum_version="3176")[:-4])
    assert judge(reply, b"", key) == (Answer.ACCEPTED, "")
    assert controller_cookie(reply, "") == "ee" * 32
    assert (reply.fields.one(CAPABILITY), reply.fields.one(MINIMUM_VERSION)) == (USUAL, "3176")
    bare = parse_response(own_reply(key, capability=USUAL, cookie="ee")[:-4])
    assert bare.fields.all(MINIMUM_VERSION) == []
