"""The fastest way at hand to mask what a WebSocket carries: compiled code, or else integers of the payload's length.

aiohttp has that code in a module of its own. It is loaded from its file: the package around it would bring each gateway
process 20 MiB that it has no use for.
"""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Final

from broker.inbound.frames import Mask, masked

_MODULE: Final = "aiohttp._websocket.mask"


def load() -> Mask:
    """Looks for the compiled code, which is the same function; what does not behave so is not taken."""
    in_place = _compiled()
    if in_place is None:
        return masked

    def compiled(payload: bytearray, mask: bytes) -> bytes:
        in_place(mask, payload)
        return bytes(payload)

    sample, mask = bytes(range(67)), b"\x01\x20\x80\xff"
    return compiled if compiled(bytearray(sample), mask) == masked(sample, mask) else masked


def _compiled() -> Callable[[bytes, bytearray], None] | None:
    package = importlib.util.find_spec(_MODULE.partition(".")[0])
    if package is None or package.origin is None:
        return None
    for file in Path(package.origin).parent.joinpath("_websocket").glob("mask.*.so"):
        spec = importlib.util.spec_from_file_location(_MODULE, file)
        if spec is None or spec.loader is None:
            continue
        module = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except ImportError:  # of another Python
            continue
        found: Callable[[bytes, bytearray], None] | None = getattr(module, "_websocket_mask_cython", None)
        if found is not None:
            return found
    return None


fast_masked: Final = load()
