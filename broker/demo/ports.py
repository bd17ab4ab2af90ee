"""Free ports of this machine, for a demo that brings up servers of its own."""

import socket


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now. Another program may still take it before its server does."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
