"""The first bytes on the port of inbound agents."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.inbound.blocks import Malformed, block
from broker.inbound.preamble import ACK, AckReader, PreambleReader, Protocol, request

JNLP4 = bytes.fromhex("001650726f746f636f6c3a4a4e4c50342d636f6e6e656374")
PING = bytes.fromhex("000d50726f746f636f6c3a50696e67")
PROXY = bytes.fromhex("001c50726f746f636f6c3a4a4e4c50342d636f6e6e6563742d70726f7879")
ALL = [
    (JNLP4, Protocol.JNLP4),
    (PING, Protocol.PING),
    (PROXY, Protocol.OTHER),
    (b"GET / HTTP", Protocol.HTTP),
    (block(b"Protocol:JNLP4-connect\0"), Protocol.OTHER),
    (block(b"Protokoll:Ping"), Protocol.OTHER),
    (block(b"Protocol:xy"), Protocol.OTHER),
    (block(b"Protocol:" + b"x" * 55), Protocol.OTHER),
]


def read(reader: PreambleReader, stream: bytes, step: int = 64) -> tuple[Protocol | None, bytes]:
    """Feeds what the reader wants, at most `step` bytes at a time; the verdict, and what it has left."""
    while reader.wants() and stream:
        count = min(step, reader.wants())
        found = reader.feed(stream[:count])
        stream = stream[count:]
        if found is not None:
            return found, stream
    return None, stream


def test_requests_and_the_ack_have_the_bytes_that_java_writes() -> None:
    assert request(Protocol.JNLP4) == JNLP4
    assert request(Protocol.PING) == PING
    assert bytes.fromhex("000341434b") == ACK


@pytest.mark.parametrize(("raw", "protocol"), ALL)
def test_a_protocol_is_known_and_nothing_is_taken_of_what_follows(raw: bytes, protocol: Protocol) -> None:
    reader = PreambleReader()
    assert read(reader, raw + ACK) == (protocol, ACK)
    assert reader.taken == raw
    assert reader.wants() == 0


@pytest.mark.parametrize(("raw", "protocol"), ALL)
def test_a_preamble_split_at_every_byte_is_the_same(raw: bytes, protocol: Protocol) -> None:
    assert read(PreambleReader(), raw, step=1) == (protocol, b"")
    for cut in range(len(raw)):
        reader = PreambleReader()
        assert read(reader, raw[:cut]) == (None, b"")
        assert read(reader, raw[cut:]) == (protocol, b"")


def test_no_byte_at_all_is_told_from_a_few() -> None:
    reader = PreambleReader()
    assert reader.taken == b""
    assert reader.wants() == 10
    assert reader.feed(JNLP4[:9]) is None
    assert (reader.taken, reader.wants()) == (JNLP4[:9], 1)


@pytest.mark.parametrize(
    "raw",
    [
        b"\xff\xffProtocol",
        b"\x00\x41Protocol",
        b"\x00\x0aProtocol",
        b"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
        b"POST / HTT",
        b"SSH-2.0-Op",
        bytes.fromhex("16030100f5010000f103"),
    ],
)
def test_what_is_no_name_is_malformed_after_ten_bytes(raw: bytes) -> None:
    with pytest.raises(Malformed):
        PreambleReader().feed(raw)


def test_more_than_is_wanted_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="wanted"):
        PreambleReader().feed(JNLP4)


@given(st.binary(max_size=200), st.integers(min_value=1, max_value=64))
def test_any_bytes_are_a_protocol_or_malformed_and_at_most_66_are_taken(raw: bytes, step: int) -> None:
    reader = PreambleReader()
    try:
        found, rest = read(reader, raw, step)
    except Malformed:
        rest = raw[10:]
        assert len(reader.taken) == 10
    else:
        assert (found is None) == (reader.wants() > 0)
    assert raw == reader.taken + rest
    assert len(reader.taken) <= 66


@pytest.mark.parametrize("cut", range(5))
def test_an_ack_split_anywhere_is_whole(cut: int) -> None:
    reader = AckReader()
    assert not reader.feed(ACK[:cut])
    assert reader.wants() == 5 - cut
    assert reader.feed(ACK[cut:])
    assert reader.wants() == 0


@pytest.mark.parametrize("raw", [b"\0\4", b"U", b"\0\3ACk", ACK + b"\x16", b"\0\2OK"])
def test_any_other_bytes_are_malformed_at_once(raw: bytes) -> None:
    with pytest.raises(Malformed):
        AckReader().feed(raw)
