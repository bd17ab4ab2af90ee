"""WebSocket's frames."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.inbound.blocks import Malformed
from broker.inbound.frames import BINARY, CLOSE, PING, PONG, TEXT, Frame, FrameReader, close_payload, frame

MASK = bytes.fromhex("37fa213d")
HELLO = bytes.fromhex("818537fa213d7f9f4d5158")  # RFC 6455 section 5.7


def server(most: int = 1000) -> FrameReader:
    return FrameReader(masked=True, most=most)


def client(most: int = 1000) -> FrameReader:
    return FrameReader(masked=False, most=most)


@pytest.mark.parametrize(
    ("raw", "made", "reader"),
    [
        ("810548656c6c6f", (TEXT, b"Hello"), client),
        ("818537fa213d7f9f4d5158", (TEXT, b"Hello"), server),
        ("890548656c6c6f", (PING, b"Hello"), client),
        ("8a8537fa213d7f9f4d5158", (PONG, b"Hello"), server),
        ("827e0100" + "00" * 256, (BINARY, bytes(256)), client),
        ("827f0000000000010000" + "00" * 65536, (BINARY, bytes(65536)), lambda: client(65536)),
    ],
)
def test_frames_have_the_bytes_of_the_rfc(raw: str, made: tuple[int, bytes], reader: Callable[[], FrameReader]) -> None:
    mask = MASK if reader is server else None
    assert frame(*made, mask).hex() == raw
    assert reader().feed(bytes.fromhex(raw)) == [made]


def test_a_fragmented_message_is_joined_and_a_ping_may_come_between() -> None:
    parts = bytes.fromhex("010348656c") + frame(PING, b"", None) + bytes.fromhex("80026c6f")
    assert client().feed(parts) == [Frame(PING, b""), Frame(TEXT, b"Hello")]


STREAM = frame(BINARY, b"x" * 130, MASK) + HELLO + frame(CLOSE, close_payload(1000, "bye"), MASK)


@pytest.mark.parametrize("cut", range(len(STREAM)))
def test_frames_split_anywhere_are_whole(cut: int) -> None:
    reader = server()
    found = reader.feed(STREAM[:cut]) + reader.feed(STREAM[cut:])
    assert found == [Frame(BINARY, b"x" * 130), Frame(TEXT, b"Hello"), Frame(CLOSE, b"\x03\xe8bye")]


@pytest.mark.parametrize(
    ("raw", "reader"),
    [
        ("810548656c6c6f", server),  # not masked
        ("818537fa213d7f9f4d5158", client),  # masked
        ("c100", client),  # reserved bits
        ("a100", client),
        ("8300", client),  # opcodes that are not in use
        ("8b00", client),
        ("0900", client),  # a control frame in pieces
        ("897e007e", client),  # a control frame of 126 bytes
        ("827e007d", client),  # a length that fits into fewer bytes
        ("827f000000000000ffff", client),
        ("8000", client),  # a fragment of nothing
        ("01008100", client),  # a message within one
    ],
)
def test_what_the_rfc_forbids_is_malformed(raw: str, reader: Callable[[], FrameReader]) -> None:
    with pytest.raises(Malformed):
        reader().feed(bytes.fromhex(raw))


@pytest.mark.parametrize(
    "raw", ["827e03e9", "827f8000000000000000", "827f0000000000010000", "027e03e8" + "00" * 1000 + "8001"]
)
def test_a_message_over_the_limit_is_malformed_before_it_has_come(raw: str) -> None:
    with pytest.raises(Malformed, match="more than 1000"):
        client().feed(bytes.fromhex(raw))


def test_a_message_at_the_limit_passes() -> None:
    assert client().feed(frame(BINARY, bytes(1000), None)) == [Frame(BINARY, bytes(1000))]
    assert client().feed(bytes.fromhex("027e03e7") + bytes(999) + bytes.fromhex("800100")) == [
        Frame(BINARY, bytes(1000))
    ]


def test_control_frames_are_short() -> None:
    assert len(close_payload(1001, "ä" * 100)) <= 125
    with pytest.raises(ValueError, match="125"):
        frame(PING, bytes(126), None)


@given(st.lists(st.binary(max_size=60)), st.booleans())
def test_any_bytes_are_frames_or_malformed_and_little_is_kept(pieces: list[bytes], masks: bool) -> None:
    reader = FrameReader(masked=masks, most=200)
    for piece in pieces:
        try:
            found = reader.feed(piece)
        except Malformed:
            return
        assert all(len(one.payload) <= 200 for one in found)
        assert kept(reader) <= 2 * 200 + 14


def kept(reader: FrameReader) -> int:
    return len(reader._buffer) + len(reader._fragments)


@given(st.binary(max_size=70_000), st.binary(min_size=4, max_size=4) | st.none())
def test_what_is_framed_is_read(payload: bytes, mask: bytes | None) -> None:
    reader = FrameReader(masked=mask is not None, most=70_000)
    assert reader.feed(frame(BINARY, payload, mask)) == [Frame(BINARY, payload)]
