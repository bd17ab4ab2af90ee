"""JNLP4-connect in plain blocking sockets, for simulated agents: from discovery to an open channel of chunks.

Imported by agents that were started without -webSocket alone: what it needs is not quick to import.
"""

import socket
from collections.abc import Mapping
from typing import Final

from broker.demo.channel import Address, Closed, Refused, read_head, receive, send
from broker.inbound.address import parse_base
from broker.inbound.blocks import BlockReader, Malformed, block
from broker.inbound.capability import MAX_CAPABILITY, USUAL
from broker.inbound.chunks import ChunkReader, chunk
from broker.inbound.dialogue import Accepted4, ClientDialogue, Refused4
from broker.inbound.discovery import Discovered, Page, read_discovery
from broker.inbound.http import Fields, ResponseHead
from broker.inbound.identity import spki_of
from broker.inbound.pinned import client_context
from broker.inbound.preamble import ACK, Protocol, request

_HEADER: Final = 2
_TURNED_AWAY: Final = 403


class PortChannel:
    """An established connection to the controller over TCP; as `broker.demo.channel.Channel`."""

    def __init__(self, sock: socket.socket, cookie: str, surplus: bytes) -> None:
        """`surplus` is what was read beyond the capability."""
        self.headers: Mapping[str, str] = {"connection-cookie": cookie}
        self._socket = sock
        self._reader = ChunkReader()
        self._chunks = self._reader.feed(surplus)

    def receive(self, until: float | None = None) -> bytes:
        """The data of the next chunk. Raises Closed at the end, TimeoutError at `until` by the monotonic clock."""
        while not self._chunks:
            self._chunks = self._reader.feed(receive(self._socket, until))
        return bytes(self._chunks.pop(0)[_HEADER:])

    def send(self, data: bytes) -> None:
        """Sends one chunk of at most 32 767 bytes; raises Closed if the connection is over."""
        send(self._socket, chunk(data))

    def close(self) -> None:
        """Ends the connection with a FIN; safe to repeat."""
        self._socket.close()


def connect_by_port(
    address: Address, url: str, *, name: str, secret: str, cookie: str, timeout_s: float = 60
) -> PortChannel:
    """Asks the URL where the port is, and knocks there; raises OSError, Closed, Malformed or Refused."""
    found = _discover(address, url, timeout_s)
    sock = socket.create_connection((found.host, found.port), timeout=timeout_s)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(request(Protocol.JNLP4) + ACK)
        if _exactly(sock, len(ACK)) != ACK:
            raise Malformed("the other side has sent no ACK")
        tls = sock = client_context().wrap_socket(sock)
        if spki_of(tls.getpeercert(binary_form=True) or b"") != found.identity:
            raise Malformed("the other side has another key than its identity")
        accepted = _ask(sock, name, secret, cookie)
        sock.sendall(block(USUAL.encode()))
        capability, surplus = BlockReader(MAX_CAPABILITY), accepted.surplus
        while capability.feed(surplus) is None:
            surplus = _some(sock)
        return PortChannel(sock, accepted.cookie, bytes(capability.rest))
    except BaseException:
        sock.close()
        raise


def _discover(address: Address, url: str, timeout_s: float) -> Discovered:
    with address.dial(timeout_s) as sock:
        target = f"{address.path}{Page.DISCOVERY}"
        sock.sendall(f"GET {target} HTTP/1.1\r\nHost: {address.authority}\r\nConnection: close\r\n\r\n".encode())
        status, fields, _ = read_head(sock)
    return read_discovery(ResponseHead(status=status, phrase="", fields=Fields(tuple(fields.items()))), parse_base(url))


def _ask(sock: socket.socket, name: str, secret: str, cookie: str) -> Accepted4:
    dialogue = ClientDialogue()
    sock.sendall(dialogue.start(name, secret, cookie))
    answer = None
    while answer is None:
        answer = dialogue.feed(_some(sock))
        sock.sendall(dialogue.pending())
    if isinstance(answer, Refused4):
        raise Refused(_TURNED_AWAY, answer.text)
    return answer


def _exactly(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = sock.recv(count - len(data))
        if not more:
            raise Closed("the other side left")
        data += more
    return data


def _some(sock: socket.socket) -> bytes:
    data = sock.recv(65536)
    if not data:
        raise Closed("the other side left")
    return data
