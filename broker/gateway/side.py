"""One side of a relay."""

import ssl
from collections.abc import Callable

from broker.inbound.descriptor import Descriptor


class Side:
    """One connection of a relay, and what is still to go out to it."""

    __slots__ = (
        "act", "connection", "descriptor", "ended", "finished", "name", "other", "read_waits", "sock", "streams", "tls",
        "unsent", "watched", "write_waits",
    )  # fmt: skip
    other: "Side"

    def __init__(self, name: str, connection: Descriptor, act: Callable[["Side", int], None]) -> None:
        """Nothing has passed yet. `act` is the relay's, for when the side is ready."""
        self.act = act
        self.name = name
        self.connection = connection
        self.sock = connection.sock
        self.descriptor = connection.sock.fileno()
        self.tls = connection.sock if isinstance(connection.sock, ssl.SSLSocket) else None
        self.unsent: bytes | None = None
        """What it did not take: the same bytes are offered again, for under TLS some of them may be on their way."""
        self.ended = False
        """No more comes from it."""
        self.finished = False
        """No more goes to it: it has our FIN, or it is gone."""
        self.read_waits = False
        """OpenSSL has to write before it can read on."""
        self.write_waits = False
        """OpenSSL has to read before it can write on."""
        self.streams = False
        """Much came from it last time: what comes next need not be copied."""
        self.watched: int | None = None

    def ready(self, events: int) -> None:
        """What the reactor calls."""
        self.act(self, events)
