"""What a controller makes of an agent, whichever way it is asked."""

from dataclasses import dataclass, field
from enum import StrEnum

from broker.inbound.descriptor import Descriptor
from broker.inbound.http import ResponseHead
from broker.inbound.websocket import Answer


class Protocol(StrEnum):
    """How an agent, or a controller, speaks."""

    WEBSOCKET = "websocket"
    JNLP4 = "jnlp4"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The controller takes the agent on this connection."""

    leg: Descriptor
    cookie: str = field(repr=False)
    """What the controller wants to see when the agent takes over from itself."""
    head: ResponseHead | None = None
    """Its reply to an upgrade; None over TCP."""
    minimum_version: str = ""
    """Agents of an older Remoting are not taken; empty where `head` says it, or nobody does."""
    capability: str = ""
    """What it says of its channel; empty over TCP where nobody had to ask, and it is still to come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declined:
    """The controller does not, or could not be asked; `message` is for people."""

    answer: Answer
    message: str
