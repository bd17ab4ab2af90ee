"""Whether the listener for controllers takes connections, as one of them would see it."""

import asyncio
from typing import Final

_CONNECT_S: Final = 2.0
_ANY: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "[::]": "::1", "": "127.0.0.1"}


async def what_is_wrong(host: str, port: int) -> str:
    """Connects and leaves; empty if that went well, else in words. `host` is where it listens."""
    try:
        async with asyncio.timeout(_CONNECT_S):
            _, writer = await asyncio.open_connection(_ANY.get(host, host), port)
    except TimeoutError:
        return f"{host}:{port} does not answer within {_CONNECT_S:g} s"
    except OSError as error:
        return f"{host}:{port} takes no connection: {error.strerror or error}"
    writer.close()
    return ""
