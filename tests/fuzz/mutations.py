"""Wrong bytes that were right ones: the same for the same seed, so that a finding can be looked at again."""

import random
from collections.abc import Iterator, Sequence
from typing import Final

CANARY: Final = "c0ffee5ec7e7" + "0b" * 26
"""Stands for a secret in what is mutated: it is in no error and no log, and no twelve letters of it."""
_NUMBERS: Final = (0, 1, 2, 9, 10, 11, 64, 65, 0x7D, 0x7E, 0x7F, 0x80, 0xFE, 0xFF)
_LENGTHS: Final = (b"\x00\x00", b"\x00\x01", b"\x20\x00", b"\x20\x01", b"\x7f\xff", b"\x80\x00", b"\xff\xff")
_WORDS: Final = (
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\0",
    b'"',
    b"{}",
    b"}",
    b"[[[[",
    b"null",
    b"\\ud800",
    b"\xed\xa0\x80",
    b"\xff\xfe",
    b"ERROR: ",
    b"OK",
    b"GET ",
    b"Protocol:",
    b"Content-Length: 1\r\n",
    b"=" * 5,
    b"9" * 400,
    b"x" * 9000,
    b"\x16\x03\x01",
)


def mutated(seeds: Sequence[bytes], count: int, seed: str) -> Iterator[bytes]:
    """So many: the seeds themselves, what differs from one in a few places, and noise."""
    yield from seeds[:count]
    chance = random.Random(seed)
    for number in range(len(seeds), count):
        if number % 20 == 0:
            yield chance.randbytes(chance.randrange(200))
            continue
        data = bytearray(chance.choice(seeds))
        for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
            _change(data, chance, seeds)
        yield bytes(data)


def pieces(data: bytes, chance: random.Random) -> list[bytes]:
    """The same bytes as a network may bring them."""
    found, at = [], 0
    while at < len(data):
        size = chance.choice((1, 1, 2, 3, 7, 100, 5000))
        found.append(data[at : at + size])
        at += size
    return found


def _change(data: bytearray, chance: random.Random, seeds: Sequence[bytes]) -> None:
    at = chance.randrange(len(data) + 1)
    match chance.randrange(9):
        case 0:
            data[at : at + 1] = bytes([chance.randrange(256)])
        case 1:
            data[at : at + 1] = bytes([chance.choice(_NUMBERS)])
        case 2:
            data[at : at + 2] = chance.choice(_LENGTHS)
        case 3:
            data[:2] = chance.choice(_LENGTHS)
        case 4:
            del data[at:]
        case 5:
            del data[at : at + chance.randrange(1, 9)]
        case 6:
            data[at:at] = chance.choice(_WORDS)
        case 7:
            data[at:at] = data[chance.randrange(len(data) + 1) :][: chance.randrange(1, 40)]
        case _:
            data += chance.choice(seeds)
