"""The capability that each side of a channel tells first: a Java-serialised bit mask in base64.

Source: hudson.remoting.Capability (Remoting). Over TCP it is the first block after the OKs, over WebSocket a header.
"""

import binascii
import re
from typing import Final

from broker.inbound.blocks import Malformed

USUAL: Final = "rO0ABXNyABpodWRzb24ucmVtb3RpbmcuQ2FwYWJpbGl0eQAAAAAAAAABAgABSgAEbWFza3hwAAAAAAAAAf4="
"""That of every agent and controller since 2018: mask 0x1fe, observed on the wire."""
MAX_CAPABILITY: Final = 4 * 1024
"""Bytes of the block that holds it."""
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]{1,4094}={0,2}")
_MASK: Final = 8


def is_capability(text: str) -> bool:
    """Whether it looks like one, so that it can stand in a header; what it says is for the ends of the channel."""
    return _BASE64.fullmatch(text) is not None


def read_capability(data: bytes) -> str:
    """The text of a block. Raises `Malformed` for what could not stand in a header of a WebSocket."""
    text = data.decode("ascii", "replace")
    if not is_capability(text):
        raise Malformed("the capability is not in base64")
    return text


def mask_of(text: str) -> int:
    """The bits that it says. Raises `Malformed` if it is not the one class that is known, with its one field."""
    try:
        raw = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        raise Malformed("the capability is not in base64") from None
    if raw[:-_MASK] != _CLASS:
        raise Malformed("the capability is not that of a Remoting that is known")
    return int.from_bytes(raw[-_MASK:], "big")


_CLASS: Final = binascii.a2b_base64(USUAL)[:-_MASK]
