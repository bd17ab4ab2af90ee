"""The chunks of a channel."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.inbound.chunks import MAX_CHUNK, ChunkReader, chunk, chunks


@pytest.mark.parametrize(
    ("size", "more", "header"),
    [(1, False, "0001"), (8192, True, "a000"), (8192, False, "2000"), (32767, True, "ffff")],
)
def test_a_chunk_has_the_header_of_java(size: int, more: bool, header: str) -> None:
    assert chunk(bytes(size), more=more)[:2].hex() == header
    assert ChunkReader().feed(chunk(bytes(size), more=more)) == [chunk(bytes(size), more=more)]


def test_no_chunk_is_longer_than_its_header_can_say() -> None:
    with pytest.raises(ValueError, match="32767"):
        chunk(bytes(32768))


def test_a_command_is_cut_as_java_cuts_it() -> None:
    assert [piece[:2].hex() for piece in chunks(bytes(20_000))] == ["a000", "a000", "0e20"]
    assert [piece[:2].hex() for piece in chunks(bytes(16_384))] == ["a000", "2000"]
    assert chunks(b"") == [b"\0\0"]


@pytest.mark.parametrize("cut", range(12))
def test_chunks_split_anywhere_are_whole(cut: int) -> None:
    stream = chunk(b"abc", more=True) + chunk(b"") + chunk(b"defg")
    reader = ChunkReader()
    found = reader.feed(stream[:cut]) + reader.feed(stream[cut:])
    assert found == [chunk(b"abc", more=True), b"\0\0", chunk(b"defg")]


@given(st.lists(st.binary(max_size=70)))
def test_any_bytes_are_chunks_and_none_is_lost(pieces: list[bytes]) -> None:
    reader = ChunkReader()
    found = [whole for piece in pieces for whole in reader.feed(piece)]
    assert all(len(whole) == 2 + int.from_bytes(whole[:2], "big") % 0x8000 <= MAX_CHUNK for whole in found)
    stream, read = b"".join(pieces), b"".join(found)
    assert stream.startswith(read)
    partial = stream[len(read) :]
    assert len(partial) < 2 or len(partial) < 2 + int.from_bytes(partial[:2], "big") % 0x8000


def test_a_stream_in_single_bytes_is_found_too() -> None:
    reader = ChunkReader()
    assert [whole for byte in chunk(b"x" * 300) for whole in reader.feed(bytes([byte]))] == [chunk(b"x" * 300)]
