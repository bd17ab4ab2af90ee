"""The small strict HTTP/1.1."""

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.inbound.http import (
    MAX_HEAD,
    HeadBuffer,
    HeadTooLarge,
    MalformedHead,
    parse_request,
    parse_response,
    render,
    text_reply,
)

HEAD = b"GET /a?b HTTP/1.1\r\nHost: h\r\nNode-Name:  a1 \r\nUpgrade: websocket\r\n\r\n"


@pytest.mark.parametrize("cut", range(1, len(HEAD)))
def test_a_head_split_anywhere_is_whole_and_what_follows_is_kept(cut: int) -> None:
    buffer = HeadBuffer()
    assert buffer.feed(HEAD[:cut]) is None
    assert buffer.feed(HEAD[cut:] + b"\x82\x00rest") == HEAD[:-4]
    assert buffer.rest == b"\x82\x00rest"


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=20))
def test_any_bytes_are_a_head_or_malformed(chunks: list[bytes]) -> None:
    buffer = HeadBuffer(limit=200)
    for chunk in chunks:
        try:
            head = buffer.feed(chunk)
            if head is not None:
                parse_request(head)
        except MalformedHead:
            return
        if head is not None:
            return


def test_a_head_at_the_limit_passes_and_one_byte_more_does_not() -> None:
    head = b"GET / HTTP/1.1\r\n\r\n"
    assert HeadBuffer(limit=len(head)).feed(head) is not None
    with pytest.raises(HeadTooLarge):
        HeadBuffer(limit=len(head) - 1).feed(head)


def test_fields_are_found_in_any_case_and_trimmed() -> None:
    request = parse_request(HEAD[:-4])
    assert (request.method, request.target) == ("GET", "/a?b")
    assert request.fields.one("node-name") == "a1"
    assert request.fields.one("Secret-Key") is None
    assert request.fields.tokens("UPGRADE") == {"websocket"}


def test_a_field_that_is_there_twice_is_not_one() -> None:
    request = parse_request(b"GET / HTTP/1.1\r\nSecret-Key: a\r\nsecret-key: b")
    with pytest.raises(MalformedHead):
        request.fields.one("Secret-Key")


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"GET /",
        b"get / HTTP/1.1",
        b"GET  / HTTP/1.1",
        b"GET x HTTP/1.1",
        b"GET / HTTP/1.1\r\nno colon",
        b"GET / HTTP/1.1\r\nspace : x",
        b"GET / HTTP/1.1\r\n folded: x",
        b"GET / HTTP/1.1\r\na: b\nc: d",
        b"GET / HTTP/1.1\r\na: b\x00",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b",
        b"GET / HTTP/1.1\r\nContent-Length: 1",
        b"GET / HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 0",
        b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked",
        b"GET /\x80 HTTP/1.1",
    ],
)
def test_what_can_be_understood_in_two_ways_is_malformed(head: bytes) -> None:
    with pytest.raises(MalformedHead):
        parse_request(head)


def test_a_reply_is_read_with_and_without_a_phrase() -> None:
    assert parse_response(b"HTTP/1.1 503 Service Unavailable").phrase == "Service Unavailable"
    assert parse_response(b"HTTP/1.1 200").status == 200
    with pytest.raises(MalformedHead):
        parse_response(b"SSH-2.0-OpenSSH")


def test_no_value_can_end_its_line() -> None:
    with pytest.raises(ValueError, match="line end"):
        render("GET / HTTP/1.1", [("Node-Name", "a\r\nSecret-Key: b")])


def test_a_text_reply_closes_and_says_its_length() -> None:
    reply = text_reply(403, "no: ä\n")
    assert reply.startswith(b"HTTP/1.1 403 Forbidden\r\n")
    assert b"Content-Length: 7\r\n" in reply
    assert reply.endswith(b"Connection: close\r\n\r\nno: \xc3\xa4\n")


def test_heads_do_not_show_their_fields() -> None:
    assert "a1" not in repr(parse_request(HEAD[:-4]))


@pytest.mark.parametrize("blank", [b" ", b"\t", b" a", b"\t "])
@pytest.mark.parametrize("end", [b"", b"\x01"], ids=["good", "malformed"])
def test_no_head_takes_long_to_read(blank: bytes, end: bytes) -> None:
    head = b"GET / HTTP/1.1\r\nName:" + (blank * MAX_HEAD)[: MAX_HEAD - 100] + end
    before = time.thread_time()
    with suppress(MalformedHead):
        parse_request(head)
    assert time.thread_time() - before < 0.1


def test_a_value_has_no_blanks_around_it() -> None:
    head = parse_request(b"GET / HTTP/1.1\r\nName: \t a b\t \r\nEmpty: \t")
    assert head.fields.pairs == (("Name", "a b"), ("Empty", ""))
