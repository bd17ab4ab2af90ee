"""What a gateway's supervisor and its workers tell each other: JSON, one message a line, over a pair of sockets.

The end of the pair tells a worker that its supervisor is no more: it then accepts nobody, and keeps its sessions.
"""

from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from broker.errors import GatewayError
from broker.gateway.link import Counts
from broker.gateway.settings import GatewaySettings

MAX_LINE: Final = 16 * 1024 * 1024


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Order(_Message):
    """Supervisor → worker, once: what it is to be."""

    generation: int
    settings: GatewaySettings


class Report(_Message):
    """Worker → supervisor, again and again: how it stands. The first one says that it listens."""

    listen: str = ""
    tcp: str = ""
    up: bool = False
    """Whether it has its control link."""
    draining: bool = False
    sessions: int = 0
    counts: Counts = Counts()
    failure: str = ""
    """Why it cannot start; the last thing that it says."""


class Inherited(_Message):
    """A worker that a supervisor leaves to the one that it becomes."""

    pid: int
    started: int
    generation: int
    descriptor: int
    """Of the supervisor's end."""
    draining: bool = False
    report: Report = Report()
    """Its last one."""


class Handover(_Message):
    """What a supervisor leaves to the one that it becomes."""

    generation: int
    settings: GatewaySettings
    """Of the workers that accept."""
    workers: tuple[Inherited, ...]
    past: Counts = Counts()
    """What workers have counted that are no more."""


def line(message: Order | Report | Handover) -> bytes:
    """The line of a message."""
    return message.model_dump_json().encode() + b"\n"


def read_order(data: bytes) -> Order:
    """Raises `GatewayError` for what is none."""
    try:
        return Order.model_validate_json(data)
    except ValidationError as error:
        raise GatewayError(f"a worker was told nonsense: {error}") from error


def read_report(data: bytes) -> Report | None:
    """None for what is none: the rest of a line whose beginning a former supervisor has read."""
    try:
        return Report.model_validate_json(data)
    except ValidationError:
        return None


def read_handover(data: bytes) -> Handover:
    """Raises `GatewayError` for what is none."""
    try:
        return Handover.model_validate_json(data)
    except ValidationError as error:
        raise GatewayError(f"a supervisor was left nonsense: {error}") from error
