"""What can be asked without being an agent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.inbound.blocks import Malformed
from broker.inbound.ping import PAGE_REQUEST, REPLY, REQUEST, is_reply, page, read_page


def test_ping_has_the_bytes_that_java_writes() -> None:
    assert bytes.fromhex("000d50726f746f636f6c3a50696e67") == REQUEST
    assert bytes.fromhex("50696e670a") == REPLY


@pytest.mark.parametrize("cut", range(5))
def test_an_answer_is_waited_for(cut: int) -> None:
    assert not is_reply(REPLY[:cut])
    assert is_reply(REPLY)


@pytest.mark.parametrize("data", [b"U", b"Ping\r", REPLY + b"x", b"HTTP/1.1 400"])
def test_another_answer_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        is_reply(data)


def test_the_page_is_read_as_it_is_written() -> None:
    raw = page(PAGE_REQUEST[:10], {"Jenkins-Agent-Protocols": "JNLP4-connect, Ping", "Jenkins-Version": "2.568\n.2"})
    assert raw.startswith(b"HTTP/1.0 200 OK\r\n")
    assert read_page(raw) == {"Jenkins-Agent-Protocols": "JNLP4-connect, Ping", "Jenkins-Version": "2.568 .2"}


@pytest.mark.parametrize("taken", [b"GET /x HTT", b"GET //////", b"GET /login"])
def test_there_is_one_page(taken: bytes) -> None:
    assert page(taken, {}).startswith(b"HTTP/1.0 404 ")
    with pytest.raises(Malformed):
        read_page(page(taken, {}))


@given(st.binary() | st.binary().map(lambda data: b"HTTP/1.0 200 OK\r\n\r\n" + data))
def test_any_bytes_are_a_page_or_malformed(data: bytes) -> None:
    try:
        lines = read_page(data)
    except Malformed:
        return
    assert all(word.isprintable() for pair in lines.items() for word in pair)
