"""Memory goes back to the system when many connections have ended."""

import ctypes
from pathlib import Path

from broker.gateway.memory import Trimmer, give_back

MIB = 1024 * 1024


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_it_is_given_back_once_for_many_connections_and_not_for_a_few() -> None:
    ended, trims = [0], list[int]()
    trimmer = Trimmer(lambda: ended[0], lambda: trims.append(ended[0]))
    for now in (0, 99, 100, 150, 199, 250, 259, 259):
        ended[0] = now
        trimmer.look()
    assert trims == [100, 250]


def test_the_rest_of_many_is_given_back_when_no_more_come() -> None:
    ended, trims = [0], list[int]()
    trimmer = Trimmer(lambda: ended[0], lambda: trims.append(ended[0]))
    for now in (200, 210, 230, 230, 230):
        ended[0] = now
        trimmer.look()
    assert trims == [200, 230]


def test_what_is_free_between_pieces_in_use_is_given_back() -> None:
    c = ctypes.CDLL(None)
    c.malloc.restype = ctypes.c_void_p
    c.free.argtypes = [ctypes.c_void_p]
    pieces = []
    for number in range(64 * 1024):
        pieces.append(c.malloc(1000))
        ctypes.memset(pieces[-1], number % 256, 1000)
    held = pieces[::1000]
    for number, piece in enumerate(pieces):
        if number % 1000:
            c.free(piece)
    before = resident()
    give_back()
    assert before - resident() > 30 * MIB
    for piece in held:
        c.free(piece)
