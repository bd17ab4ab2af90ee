"""A small strict HTTP/1.1: heads only, without any input or output (RFC 9112, sections 2 to 5)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from broker.inbound.blocks import Malformed

MAX_HEAD: Final = 16 * 1024
"""Bytes of a head, with the empty line that ends it."""
MAX_FIELDS: Final = 100
_END: Final = b"\r\n\r\n"
_REQUEST_LINE: Final = re.compile(rb"([A-Z]{1,16}) (/[\x21-\x7e]*) HTTP/1\.[01]")
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?")
_FIELD: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([\t\x20-\x7e\x80-\xff]*)")
"""Without looking for the blanks around the value: anybody's head could take hours then, and the loop with it."""

PHRASES: Final = {
    101: "Switching Protocols",
    200: "OK",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    431: "Request Header Fields Too Large",
    502: "Bad Gateway",
    503: "Service Unavailable",
}


class MalformedHead(Malformed):
    """The bytes are no head of HTTP/1.1, or one that cannot be understood in one way only."""


class HeadTooLarge(MalformedHead):
    """The head has more bytes or fields than are read."""


@dataclass(frozen=True, slots=True)
class Fields:
    """Header fields in their order. Never shown: they may hold a secret."""

    pairs: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    def all(self, name: str) -> list[str]:
        """The values of all fields of a name, in any case."""
        return [value for key, value in self.pairs if key.lower() == name.lower()]

    def one(self, name: str) -> str | None:
        """The value of the only field of a name, None if there is none. Raises `MalformedHead` if there are more."""
        values = self.all(name)
        if len(values) > 1:
            raise MalformedHead(f"{name} is there {len(values)} times")
        return values[0] if values else None

    def tokens(self, name: str) -> set[str]:
        """The comma-separated words of all fields of a name, in lower case."""
        return {token.strip().lower() for value in self.all(name) for token in value.split(",")} - {""}


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestHead:
    """A request up to its empty line. The target has its query still."""

    method: str
    target: str
    fields: Fields


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseHead:
    """A response up to its empty line."""

    status: int
    phrase: str
    fields: Fields


class HeadBuffer:
    """Collects bytes until a head is complete; what came after it is kept in `rest`."""

    def __init__(self, limit: int = MAX_HEAD) -> None:
        """Reads at most `limit` bytes of head."""
        self._limit = limit
        self._bytes = bytearray()
        self.rest = b""

    @property
    def started(self) -> bool:
        """Whether any byte has come."""
        return bool(self._bytes)

    def feed(self, data: bytes) -> bytes | None:
        """The head without its empty line once it is complete. Raises `HeadTooLarge`. Not to be fed after that."""
        searched = max(0, len(self._bytes) - len(_END) + 1)
        self._bytes += data
        end = self._bytes.find(_END, searched)
        if end > self._limit - len(_END) or (end < 0 and len(self._bytes) >= self._limit):
            raise HeadTooLarge(f"the head has more than {self._limit} bytes")
        if end < 0:
            return None
        self.rest = bytes(self._bytes[end + len(_END) :])
        return bytes(self._bytes[:end])


def parse_request(head: bytes) -> RequestHead:
    """Reads a request's head. Raises `MalformedHead`; a request with a body is one."""
    line, fields = _split(head)
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        raise MalformedHead("the request line is not of HTTP/1.1")
    if len(fields.all("Host")) > 1:
        raise MalformedHead("there is more than one Host")
    if fields.all("Transfer-Encoding") or fields.one("Content-Length") not in {None, "0"}:
        raise MalformedHead("a request with a body is not taken here")
    return RequestHead(method=match[1].decode("ascii"), target=match[2].decode("ascii"), fields=fields)


def parse_response(head: bytes) -> ResponseHead:
    """Reads a response's head. Raises `MalformedHead`."""
    line, fields = _split(head)
    match = _STATUS_LINE.fullmatch(line)
    if match is None:
        raise MalformedHead("the status line is not of HTTP/1.1")
    return ResponseHead(status=int(match[1]), phrase=(match[2] or b"").decode("latin-1"), fields=fields)


def render(first_line: str, fields: Iterable[tuple[str, str]]) -> bytes:
    """A head in bytes, with its empty line. Raises ValueError rather than let a value end its line."""
    lines = [first_line, *(f"{name}: {value}" for name, value in fields)]
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a header value holds a line end")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


RETRY_AFTER_S: Final = "1"
"""What is asked of whoever was refused for now. agent.jar reads no headers and waits longer by itself."""


def text_reply(
    status: int,
    text: str,
    *,
    phrase: str | None = None,
    fields: Iterable[tuple[str, str]] = (),
    media_type: str = "text/plain;charset=UTF-8",
) -> bytes:
    """A whole response with a text, after which the connection closes. A 503 says when to come again."""
    body = text.encode()
    own = [("Content-Type", media_type), ("Content-Length", str(len(body))), ("Connection", "close")]
    if status == 503:
        own.append(("Retry-After", RETRY_AFTER_S))
    return render(f"HTTP/1.1 {status} {phrase or PHRASES[status]}", [*own, *fields]) + body


def _split(head: bytes) -> tuple[bytes, Fields]:
    line, *rows = head.split(b"\r\n")
    if len(rows) > MAX_FIELDS:
        raise HeadTooLarge(f"the head has more than {MAX_FIELDS} fields")
    return line, Fields(tuple(_field(row) for row in rows))


def _field(row: bytes) -> tuple[str, str]:
    match = _FIELD.fullmatch(row)
    if match is None:
        raise MalformedHead("a header field is malformed")
    return match[1].decode("ascii"), match[2].strip(b" \t").decode("latin-1")
