"""What a gateway is told of a controller beside its URL, its path and its identity."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Empty where nobody has said it."""

    host: str = ""
    """Of its TCP port for agents; empty: that of its URL."""
    port: int = 0
    fixed: bool = False
    """The config says where the port is, so that it is nowhere else; or the controller, whose URL may say it better."""
    authorities: str = ""
    """PEM of the certificates that its https certificate is checked against, beside the system's own."""
    minimum_version: str = ""
    """Agents of an older Remoting are not taken."""
    away: bool = False
    """Nobody new gets in: the broker does not hear from it."""
