"""What can be asked on the port of inbound agents without being one: `Ping`, and a page over HTTP.

Source: hudson.TcpSlaveAgentListener, with its PingAgentProtocol and its answers to `GET ` (Jenkins core).
Neither proves who answers.
"""

from collections.abc import Mapping
from typing import Final

from broker.inbound.blocks import Malformed, plain
from broker.inbound.preamble import Protocol, request

REQUEST: Final = request(Protocol.PING)
REPLY: Final = b"Ping\n"
"""After it the server closes."""
PAGE_REQUEST: Final = b"GET / HTTP/1.0\r\n\r\n"
MAX_PAGE: Final = 4 * 1024
"""Bytes of the page; no more need be read."""
_PAGE_HEAD: Final = b"HTTP/1.0 200 OK\r\nContent-Type: text/plain;charset=UTF-8\r\n\r\n"
_NO_PAGE: Final = b"HTTP/1.0 404 Not Found\r\nContent-Type: text/plain;charset=UTF-8\r\n\r\nNot Found\n"


def is_reply(data: bytes) -> bool:
    """Whether these bytes are the whole answer to `REQUEST`; False while more has to come. Raises `Malformed`."""
    if not REPLY.startswith(data):
        raise Malformed("the answer to Ping is not that of a port for inbound agents")
    return data == REPLY


def page(taken: bytes, lines: Mapping[str, str]) -> bytes:
    """The whole answer to a request that begins with `taken`: the page for `/`, 404 for anything else."""
    if not taken.startswith((b"GET / ", b"GET /\r", b"GET /\n")):
        return _NO_PAGE
    return _PAGE_HEAD + "".join(f"{name}: {plain(value)}\n" for name, value in lines.items()).encode()


def read_page(data: bytes) -> Mapping[str, str]:
    """The lines of a controller's page by name, such as Jenkins-Version. Raises `Malformed`."""
    head, end, body = data[:MAX_PAGE].partition(b"\r\n\r\n")
    if not end or not head.startswith((b"HTTP/1.0 200", b"HTTP/1.1 200")):
        raise Malformed("the answer is not the page of a port for inbound agents")
    pairs = (line.partition(":") for line in body.decode(errors="replace").splitlines())
    return {plain(name): plain(value) for name, colon, value in pairs if colon}
