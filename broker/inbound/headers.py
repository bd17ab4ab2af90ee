"""The headers of JNLP4-connect: one flat JSON object of texts, and what an agent may show in it.

Sources: org.jenkinsci.remoting.protocol.impl.ConnectionHeaders and org.jenkinsci.remoting.engine.JnlpConnectionState
(Remoting), jenkins.slaves.JnlpSlaveAgentProtocol4 and JnlpAgentReceiver (Jenkins core).
"""

import json
import re
from collections.abc import Mapping
from typing import Final

from broker.inbound.blocks import Malformed

NODE_NAME: Final = "Node-Name"
SECRET_KEY: Final = "Secret-Key"  # noqa: S105  # the name of a header
COOKIE: Final = "JnlpAgentProtocol.cookie"

NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")
"""Names that are taken from agents: they fit into headers, paths and shells."""
SECRET: Final = re.compile(r"[\x21-\x7e]{1,256}")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
COOKIES: Final = re.compile(r"(?:[0-9a-fA-F]{2}){1,64}")
"""Jenkins makes 64 hex digits, and fails on one of a WebSocket that is not hex (jenkins.agents.WebSocketAgents)."""


def read_headers(data: bytes) -> Mapping[str, str | None]:
    """The headers of a block. Raises `Malformed`.

    Stricter than Java, whose parser takes an object without its end, invalid UTF-8 and the last of two equal names.
    The error is never chained: one of JSON's own would quote what it could not read, and that may be a secret.
    """
    try:
        found = _DECODER.decode(data.decode())
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Malformed("the headers are not one JSON object with names of its own")
    for name, value in found.items():
        if not _is_text(name) or not (value is None or _is_text(value)):
            raise Malformed("a header is not a text")
    return found


def write_headers(headers: Mapping[str, str | None]) -> bytes:
    """The headers as Java writes them, without their block. Raises ValueError for half a surrogate pair."""
    if not all(_is_text(text) for pair in headers.items() for text in pair if text is not None):
        raise ValueError("a header holds half a surrogate pair")
    return json.dumps(dict(headers), ensure_ascii=False, separators=(",", ":")).encode()


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_object)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and (value.isascii() or not _SURROGATE.search(value))
