"""What a controller says of itself when it greets the broker."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Introduction:
    """Its port for agents, as it tells agents that ask; empty where it has none, or did not say."""

    identity: str = ""
    """The SubjectPublicKeyInfo of its RSA key, base64: whoever answers on its port must have that key."""
    host: str = ""
    """Where the port is; empty: on the host of its URL."""
    port: int = 0
    minimum_version: str = ""
    """Agents of an older Remoting are not taken."""
