"""The address under which hosts see the broker: that of the route to them, unless the config says blocks."""

import asyncio
import ipaddress
import socket
from typing import Final

from broker.errors import BackendRejected

_LOOKUP_S: Final = 10.0
_DISCARD: Final = 9


def block_of(address: str) -> str:
    """The block that is just this address."""
    return f"{ipaddress.ip_address(address)}/32"


async def local_address(toward: str) -> str:
    """The IPv4 address from which packets to `toward` go; nothing is sent. OSError where there is no route."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(_LOOKUP_S):
        found = await loop.getaddrinfo(toward, _DISCARD, family=socket.AF_INET, type=socket.SOCK_DGRAM)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(found[0][4])
        return str(probe.getsockname()[0])


def checked(blocks: tuple[str, ...], key: str) -> tuple[str, ...]:
    """The blocks as the cloud writes them. BackendRejected for one that is none, or that is everybody."""
    found = []
    for block in blocks:
        try:
            parsed = ipaddress.ip_network(block, strict=False)
        except ValueError as error:
            raise BackendRejected("BadSource", f"{key}: {block!r} is no block such as 203.0.113.7/32") from error
        if parsed.prefixlen == 0:
            raise BackendRejected("OpenToTheWorld", f"{key}: {block} is everybody; say the broker's own block")
        found.append(str(parsed))
    return tuple(found)
