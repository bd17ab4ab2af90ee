"""A WebSocket client in plain blocking sockets, for simulated agents: quick to import.

It knows what the inbound agent protocol needs of RFC 6455 and no more: one upgrade with the agent's headers, masked
binary messages, pings answered. Each message is one chunk of the agent protocol: two bytes of length, then the data.
"""

import binascii
import os
import socket
import time
from collections.abc import Mapping
from typing import Final

from broker.inbound.blocks import Malformed
from broker.inbound.chunks import chunk
from broker.inbound.frames import BINARY, CLOSE, PING, PONG, Frame, FrameReader, frame

_MOST: Final = 4 * 1024 * 1024
"""Bytes of a message that an agent takes."""
_SOON_S: Final = 0.001
_SEND_S: Final = 60.0


class Refused(Exception):
    """The server answered the upgrade with something else than 101; `status` is its HTTP status.

    `over`: it asked for a version of the agent that does not exist, at which agent.jar ends itself.
    """

    def __init__(self, status: int, body: str, *, over: bool = False) -> None:
        """Keeps what the server said, for the log of the agent."""
        super().__init__(f"{status} {body}".strip())
        self.status = status
        self.body = body
        self.over = over


class Closed(Exception):
    """The connection is over, however it ended."""


class Address:
    """Where a base URL leads: `http://host:port/path/`; the path always ends in a slash."""

    def __init__(self, url: str, ca: str | None = None) -> None:
        """Reads the URL; raises ValueError for anything that is not http or https.

        `ca` is the file of the authorities to trust; without it OpenSSL's own, which SSL_CERT_FILE names, are.
        """
        self._ca = ca
        scheme, separator, rest = url.partition("://")
        if not separator or scheme not in {"http", "https"}:
            raise ValueError(f"not an http URL: {url}")
        self.tls = scheme == "https"
        authority, _, path = rest.partition("/")
        host, colon, port = authority.rpartition(":")
        self.host = (host if colon else authority).strip("[]")
        self.port = int(port) if colon else (443 if self.tls else 80)
        self.authority = authority
        self.path = "/" + path + ("" if not path or path.endswith("/") else "/")

    def dial(self, timeout_s: float) -> socket.socket:
        """Opens a connection; raises OSError."""
        raw = socket.create_connection((self.host, self.port), timeout=timeout_s)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not self.tls:
            return raw
        import ssl  # noqa: PLC0415  # costs more than all other imports together

        return ssl.create_default_context(cafile=self._ca).wrap_socket(raw, server_hostname=self.host)


class Channel:
    """An established connection to the controller, through whatever relays it."""

    def __init__(self, sock: socket.socket, reply: Mapping[str, str], surplus: bytes) -> None:
        """`reply` holds the headers of the 101 by lower-case name; `surplus` is what was read beyond them."""
        self.headers = reply
        self._socket = sock
        self._surplus = surplus
        self._reader = FrameReader(masked=False, most=_MOST)
        self._frames: list[Frame] = []

    def receive(self, until: float | None = None) -> bytes:
        """The data of the next chunk; answers pings on the way, which give it no more time.

        Raises Closed at the end, TimeoutError at `until` by the monotonic clock; nothing read is lost by it.
        """
        while True:
            while not self._frames:
                self._more(until)
            opcode, payload = self._frames.pop(0)
            if opcode == BINARY:
                return payload[2:]
            if opcode == PING:
                self._send_frame(PONG, payload)
            elif opcode == CLOSE:
                raise Closed("closed by the other side")

    def send(self, data: bytes) -> None:
        """Sends one chunk of at most 32 767 bytes; raises Closed if the connection is over."""
        self._send_frame(BINARY, chunk(data))

    def close(self) -> None:
        """Ends the connection; safe to repeat."""
        self._socket.close()

    def _more(self, until: float | None) -> None:
        data = self._surplus or receive(self._socket, until)
        self._surplus = b""
        try:
            self._frames += self._reader.feed(data)
        except Malformed as error:
            raise Closed(str(error)) from error

    def _send_frame(self, opcode: int, payload: bytes) -> None:
        send(self._socket, frame(opcode, payload, os.urandom(4)))


def receive(sock: socket.socket, until: float | None) -> bytes:
    """Some bytes. Raises Closed at the end, TimeoutError at `until` by the monotonic clock."""
    try:
        sock.settimeout(None if until is None else max(_SOON_S, until - time.monotonic()))
        data = sock.recv(65536)
    except TimeoutError:
        raise
    except OSError as error:
        raise Closed(str(error)) from error
    if not data:
        raise Closed("end of stream")
    return data


def send(sock: socket.socket, data: bytes) -> None:
    """Sends all of it; raises Closed if the connection is over."""
    try:
        sock.settimeout(_SEND_S)
        sock.sendall(data)
    except OSError as error:
        raise Closed(str(error)) from error


def get(address: Address, path: str, *, timeout_s: float = 30) -> int:
    """The HTTP status of a plain GET below the address; raises OSError or Closed."""
    with address.dial(timeout_s) as sock:
        request = f"GET {address.path}{path} HTTP/1.1\r\nHost: {address.authority}\r\nConnection: close\r\n\r\n"
        sock.sendall(request.encode())
        status, _, _ = read_head(sock)
        return status


def connect(address: Address, headers: Mapping[str, str], *, timeout_s: float = 60) -> Channel:
    """Upgrades `wsagents/` below the address with the agent's headers; raises OSError, Closed or Refused."""
    sock = address.dial(timeout_s)
    try:
        lines = {
            "Host": address.authority,
            "Origin": f"{'https' if address.tls else 'http'}://{address.authority}",
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": binascii.b2a_base64(os.urandom(16), newline=False).decode(),
            **headers,
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        sock.sendall(f"GET {address.path}wsagents/ HTTP/1.1\r\n{head}\r\n".encode())
        status, reply, surplus = read_head(sock)
        if status != 101:
            over = reply.get("x-remoting-minimum-version", "").startswith("99999")
            raise Refused(status, _read_body(sock, reply, surplus), over=over)
    except BaseException:
        sock.close()
        raise
    return Channel(sock, reply, surplus)


def read_head(sock: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Status, fields by lower-case name, and what came after the head; raises OSError or Closed."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = sock.recv(4096)
        if not more or len(data) > 65536:
            raise Closed("no HTTP answer")
        data += more
    head, _, surplus = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = (line.partition(":") for line in lines)
    return int(first.split(" ", 2)[1]), {name.strip().lower(): value.strip() for name, _, value in fields}, surplus


def _read_body(sock: socket.socket, reply: Mapping[str, str], surplus: bytes) -> str:
    wanted = min(int(reply.get("content-length", "0")), 4096)
    while len(surplus) < wanted:
        more = sock.recv(4096)
        if not more:
            break
        surplus += more
    return surplus[:wanted].decode("utf-8", "replace").strip()
