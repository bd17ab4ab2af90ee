"""What a simulated agent is to do."""

import ssl
from dataclasses import dataclass, field
from enum import StrEnum

from broker.demo.sim.misbehaviour import Behaviour
from broker.inbound.capability import USUAL


class Transport(StrEnum):
    """How agents and controllers speak."""

    TCP = "tcp"
    WEBSOCKET = "websocket"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentPlan:
    """One agent. Either `url`, from which TCP is discovered, or `address` with `identity` as after `-direct`."""

    name: str
    secret: str = field(repr=False)
    transport: Transport = Transport.TCP
    url: str = ""
    address: tuple[str, int] | None = None
    identity: bytes = b""
    """The SubjectPublicKeyInfo that the TLS side must have."""
    trust: ssl.SSLContext | None = None
    """For an https `url`; None is what the system trusts."""
    capability: str = USUAL
    """What it says of its channel."""
    misbehaviour: Behaviour | None = None
    stream_seed: str = ""
    """Sends the stream of this seed and its name; empty: nothing."""
    bytes_per_s: float = 0.0
    """Of the stream; 0: as fast as it goes."""
    comes_back: bool = False
    """Connects again after an end or a refusal, by the rules of agent.jar."""
    haste: float = 1.0
    """How much faster than agent.jar its waits between attempts are."""
    patience_s: float = 60.0
    """For a whole attempt to connect, unless it misbehaves."""
