"""Which block of addresses a new vSwitch gets: pure functions over what a VPC has and what is taken of it.

A vSwitch has between /16 and /29, and lies in one of its VPC's blocks (VPC API reference, CreateVSwitch, CidrBlock).
Blocks of one size, the first free one each time: halves of what is left would use a /16 up in two zones, and come to
sizes that are not allowed.
"""

import ipaddress
from collections.abc import Iterable, Iterator
from typing import Final

Block = ipaddress.IPv4Network

LARGEST: Final = 16
SMALLEST: Final = 29
USUAL: Final = 20
"""4,096 addresses, of which the cloud keeps four; a VPC of /16 has sixteen such."""
_SHARES: Final = 2
"""A small VPC is cut into four at least (two bits), so that more than one zone has a part."""


def size_in(vpc: Block, prefix: int = USUAL) -> int | None:
    """The prefix length of blocks that are cut from one of a VPC's; None if not even the smallest fits."""
    if vpc.prefixlen > SMALLEST:
        return None
    return min(SMALLEST, max(LARGEST, prefix, vpc.prefixlen + _SHARES))


def free_block(vpc: Iterable[Block], taken: Iterable[Block], prefix: int = USUAL) -> Block | None:
    """The first free aligned block: of the VPC's blocks in their order, of the usual size before any smaller one.

    `taken` are the blocks of all its vSwitches. None: not even a /29 is free.
    """
    blocks, others = list(vpc), sorted(taken)
    sizes = {block: size for block in blocks if (size := size_in(block, prefix)) is not None}
    for less in range(SMALLEST - LARGEST + 1):
        for block, size in sizes.items():
            if size + less <= SMALLEST and (found := next(_free(block, others, size + less), None)):
                return found
    return None


def _free(vpc: Block, taken: list[Block], prefix: int) -> Iterator[Block]:
    """The aligned blocks of one size that meet none of `taken`, which is in the order of addresses."""
    step = 1 << (32 - prefix)
    start, end = int(vpc.network_address), int(vpc.broadcast_address) + 1
    for other in taken:
        first, after = int(other.network_address), int(other.broadcast_address) + 1
        while start + step <= min(first, end):
            yield Block((start, prefix))
            start += step
        start = max(start, -(-after // step) * step)
    while start + step <= end:
        yield Block((start, prefix))
        start += step
