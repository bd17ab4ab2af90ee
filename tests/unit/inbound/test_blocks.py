"""Blocks: two bytes of length, then so many bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.inbound.blocks import MAX_HEADERS, BlockReader, Malformed, block, plain

AUTHORIZATION_FAILURE = bytes.fromhex("001c4552524f523a20417574686f72697a6174696f6e206661696c757265")


def test_a_block_has_the_bytes_that_java_writes() -> None:
    assert block(b"ERROR: Authorization failure") == AUTHORIZATION_FAILURE
    assert block(b"") == b"\0\0"


def test_no_block_is_longer_than_its_length_can_say() -> None:
    assert block(bytes(0xFFFF))[:2] == b"\xff\xff"
    with pytest.raises(ValueError, match="65535"):
        block(bytes(0x10000))


@pytest.mark.parametrize("cut", range(len(AUTHORIZATION_FAILURE)))
def test_a_block_split_anywhere_is_whole_and_what_follows_is_kept(cut: int) -> None:
    reader = BlockReader(MAX_HEADERS)
    assert reader.feed(AUTHORIZATION_FAILURE[:cut]) is None
    assert reader.feed(AUTHORIZATION_FAILURE[cut:] + b"\0\2OK\0") == AUTHORIZATION_FAILURE[2:]
    assert reader.feed(b"") == b"OK"
    assert reader.feed(b"") is None
    assert reader.rest == b"\0"


def test_an_empty_block_is_one() -> None:
    assert BlockReader(10).feed(b"\0\0") == b""


def test_a_length_over_the_limit_is_malformed_as_soon_as_it_is_known() -> None:
    assert BlockReader(10).feed(b"\0\x0a" + bytes(10)) == bytes(10)
    reader = BlockReader(10)
    assert reader.feed(b"\0") is None
    with pytest.raises(Malformed, match="11 bytes"):
        reader.feed(b"\x0b")


def test_64_kib_are_not_waited_for() -> None:
    with pytest.raises(Malformed):
        BlockReader(MAX_HEADERS).feed(b"\xff\xff{")


@given(st.lists(st.binary(max_size=40)))
def test_any_bytes_are_blocks_or_malformed_and_little_is_kept(pieces: list[bytes]) -> None:
    reader = BlockReader(30)
    for piece in pieces:
        try:
            found = reader.feed(piece)
            while found is not None:
                assert len(found) <= 30
                found = reader.feed(b"")
        except Malformed:
            return
        assert len(reader.rest) < 32


def test_words_of_a_peer_are_one_printable_line() -> None:
    assert plain("a\r\nb\x1b[31m\u2028c\0 d") == "a b [31m c d"
    assert plain("x" * 300) == "x" * 200
