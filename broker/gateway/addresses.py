"""Addresses that the processes of one gateway share, and nobody else."""

import asyncio
from typing import Final

from broker.errors import GatewayError
from broker.gateway.listener import listen

FREE_S: Final = 5.0
"""A gateway that has just been told to drain is about to leave its addresses."""
_LOOK_S: Final = 0.1

Place = tuple[str, int]
"""Host and port."""


async def port_of(wanted: Place, had: Place | None) -> int:
    """The port to listen at, for 0 one that is free, or as long as it can be the one that workers of ours `had`.

    Sockets that share an address are spread connections by the kernel whoever they belong to, be it another gateway of
    this user by mistake: so nobody else may listen there. Raises `GatewayError` that names the address.
    """
    host, port = wanted
    if had is not None and host == had[0] and port in {0, had[1]}:
        return had[1]
    until = asyncio.get_running_loop().time() + FREE_S
    while True:
        try:
            with listen(host, port) as sock:
                return int(sock.getsockname()[1])
        except GatewayError:
            if asyncio.get_running_loop().time() > until:
                raise
        await asyncio.sleep(_LOOK_S)
