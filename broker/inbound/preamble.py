"""What comes before TLS on the port of inbound agents: the name of a protocol, then an ACK of each side.

Sources: hudson.TcpSlaveAgentListener.ConnectionHandler (Jenkins core),
org.jenkinsci.remoting.protocol.impl.AgentProtocolClientFilterLayer and AckFilterLayer (Remoting).
"""

from enum import StrEnum
from typing import Final

from broker.inbound.blocks import Malformed, block

ACK: Final = block(b"ACK")
"""Each side sends it and waits for the other's before anything else; the server once it knows the protocol."""
UNKNOWN: Final = b"Unknown protocol:\n"
"""The answer to any other protocol, after which the connection closes. An agent then tries its next protocol at once,
as it does after `JNLP4-connect-proxy`, which it names first when it was started with -direct."""
_FIRST: Final = 10
_SHORTEST: Final = 11
_LONGEST: Final = 64
_MARK: Final = b"Protocol:"


class Protocol(StrEnum):
    """What a connection asks for with its first bytes."""

    JNLP4 = "JNLP4-connect"
    PING = "Ping"
    HTTP = "http"
    OTHER = "other"


def request(protocol: Protocol) -> bytes:
    """The bytes with which a client names JNLP4 or Ping; its ACK may follow at once."""
    return block(_MARK + protocol.value.encode())


class PreambleReader:
    """Reads the name of a protocol, and not one byte more: what follows belongs to whoever speaks that protocol."""

    __slots__ = ("_size", "taken")

    def __init__(self) -> None:
        """Nothing has come yet."""
        self._size = _FIRST
        self.taken = b""
        """All that was read: of HTTP, the beginning of the request. Empty: a connection that only looked for the port,
        as an agent makes it before each real one."""

    def wants(self) -> int:
        """How many bytes may be read next, at most; 0 once the protocol is known."""
        return self._size - len(self.taken)

    def feed(self, data: bytes) -> Protocol | None:
        """The protocol once it is known. Raises `Malformed` for a length that no name has.

        ValueError if there are more bytes than `wants`.
        """
        if len(data) > self.wants():
            raise ValueError("more was read than is wanted")
        self.taken += data
        if self.wants():
            return None
        if self.taken.startswith(b"GET "):
            return Protocol.HTTP
        if self._size == _FIRST:
            size = int.from_bytes(self.taken[:2], "big")
            if not _SHORTEST <= size <= _LONGEST:
                raise Malformed("the first bytes name no protocol of agents")
            self._size = 2 + size
            return None
        return _NAMED.get(self.taken, Protocol.OTHER)


class AckReader:
    """Reads the other side's ACK, and not one byte more: TLS follows on the same socket."""

    __slots__ = ("_taken",)

    def __init__(self) -> None:
        """Nothing has come yet."""
        self._taken = b""

    def wants(self) -> int:
        """How many bytes may be read next, at most; 0 once the ACK is whole."""
        return len(ACK) - len(self._taken)

    def feed(self, data: bytes) -> bool:
        """Whether the ACK is whole. Raises `Malformed` at the first byte that differs, which one too many does too."""
        self._taken += data
        if not ACK.startswith(self._taken):
            raise Malformed("the other side has sent something else than the ACK of JNLP4-connect")
        return self._taken == ACK


_NAMED: Final = {request(protocol): protocol for protocol in (Protocol.JNLP4, Protocol.PING)}
