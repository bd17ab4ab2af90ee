"""The control link's messages: JSON, one a line, over the Unix socket on which the control plane listens.

A gateway speaks first, with `Hello`: its full truth, so that nothing ever has to be replayed. Requests and their
answers carry the same `id`. Unknown fields and unknown messages are passed over, so that the two sides may be of
neighbouring versions.
"""

from datetime import datetime
from typing import Annotated, Final, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from broker.domain.ids import AgentId, AgentName, ControllerName
from broker.domain.reason import Reason
from broker.errors import GatewayError
from broker.gateway.facts import Facts
from broker.ports import Session
from broker.telemetry.readings import GatewayCounts

MAX_LINE: Final = 16 * 1024 * 1024
"""Bytes of a message: a hello with some 40 000 sessions. It is no more than one message because a control plane takes
15 ms for one of 2 000 sessions, and 0.2 s for one of 20 000."""
LINK_VERSION: Final = 1


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class LinkedSession(_Message):
    """A session as the link carries it: with the cookie that the controller holds for it."""

    id: str
    agent_id: str
    controller: str
    name: str
    attempt: int
    protocol: str = "websocket"
    peer: str
    since: datetime
    cookie: str = Field(repr=False)
    controller_cookie: str = Field(repr=False)

    def session(self) -> Session:
        """The session as the core sees it."""
        return Session(
            id=self.id,
            agent_id=AgentId(self.agent_id),
            controller=ControllerName(self.controller),
            name=AgentName(self.name),
            attempt=self.attempt,
            protocol=self.protocol,
            peer=self.peer,
            since=self.since,
            cookie=self.cookie,
        )


class Hello(_Message):
    """Gateway → control plane, first on every connection: who it is and all its live sessions."""

    type: Literal["hello"] = "hello"
    link: int = LINK_VERSION
    gateway: str
    pid: int
    started: int
    """Start time of the process as in /proc/PID/stat, which tells it from a later one of the same pid."""
    version: str
    listen: str
    host: str = ""
    """Where the pid is one, as `sockets.this_host` says; empty from a version that does not tell."""
    accepting: bool = True
    """False from one that only keeps the sessions that it has."""
    generation: int = 0
    """Counted by its supervisor; 0 without one."""
    sessions: tuple[LinkedSession, ...] = ()


class Admit(_Message):
    """Gateway → control plane: may this agent come in? Answered by `Admission` or `Refusal`.

    `controller` is empty where the agent has not said whose it is.
    """

    type: Literal["admit"] = "admit"
    id: str
    controller: str = ""
    name: str
    secret: str = Field(repr=False)
    cookie: str = Field(default="", repr=False)
    protocol: str = "websocket"
    peer: str = ""
    within_s: float = 5.0
    """How long the gateway waits for the answer."""


class Admission(_Message):
    """Control plane → gateway: yes, as this agent, whose name is now held until `Opened` or `Failed`."""

    type: Literal["admission"] = "admission"
    id: str
    agent_id: str
    attempt: int
    secret: str = Field(repr=False)
    controller: str = ""
    """Whose agent it is; empty from a version that knew only agents that say so."""
    controller_cookie: str = Field(default="", repr=False)


class Refusal(_Message):
    """Control plane → gateway: no; with `retry`, not now."""

    type: Literal["refusal"] = "refusal"
    id: str
    reason: Reason
    message: str
    retry: bool = False
    over: bool = False
    """The agent showed the secret of an attempt that is over for good: it may be told to leave."""
    wait_s: float = 0.0
    """No sooner than after so many seconds the answer may be another one."""


class Failed(_Message):
    """Gateway → control plane: an admitted agent did not get its session."""

    type: Literal["failed"] = "failed"
    id: str
    agent_id: str
    reason: Reason
    message: str


class Opened(_Message):
    """Gateway → control plane: an admitted agent has its session; `id` is that of the admission."""

    type: Literal["opened"] = "opened"
    id: str
    session: LinkedSession


class Closed(_Message):
    """Gateway → control plane: a session is over; `why` is who or what ended it."""

    type: Literal["closed"] = "closed"
    agent_id: str
    session: str
    why: str
    received_bytes: int
    sent_bytes: int
    lasted_s: float | None = None
    """None from a version that does not tell."""


class End(_Message):
    """Control plane → gateway: close this session; `message` is for the log."""

    type: Literal["end"] = "end"
    agent_id: str
    session: str
    message: str


class Counts(_Message):
    """Gateway → control plane, every few seconds: what it has counted since its start."""

    type: Literal["counts"] = "counts"
    connections: dict[str, int] = {}
    handshakes: tuple[tuple[str, str, str, int], ...] = ()
    disconnects: tuple[tuple[str, str, int], ...] = ()
    received_bytes: dict[str, int] = {}
    sent_bytes: dict[str, int] = {}
    durations: tuple[tuple[str, str, int], ...] = ()
    dropped: dict[str, int] = {}
    certificate_expires: datetime | None = None

    @classmethod
    def of(cls, counts: GatewayCounts) -> Self:
        """The message for these counts."""
        return cls(
            connections=dict(counts.connections),
            handshakes=tuple((*key, number) for key, number in counts.handshakes.items()),
            disconnects=tuple((*key, number) for key, number in counts.disconnects.items()),
            received_bytes=dict(counts.received_bytes),
            sent_bytes=dict(counts.sent_bytes),
            durations=tuple((*key, number) for key, number in counts.durations.items()),
            dropped=dict(counts.dropped),
            certificate_expires=counts.certificate_expires,
        )

    def counts(self) -> GatewayCounts:
        """The counts in this message."""
        return GatewayCounts(
            connections=self.connections,
            handshakes={(protocol, outcome, reason): n for protocol, outcome, reason, n in self.handshakes},
            disconnects={(protocol, reason): n for protocol, reason, n in self.disconnects},
            received_bytes=self.received_bytes,
            sent_bytes=self.sent_bytes,
            durations={(protocol, bucket): n for protocol, bucket, n in self.durations},
            dropped=self.dropped,
            certificate_expires=self.certificate_expires,
        )


class Controllers(_Message):
    """Control plane → gateway, after its hello and whenever the config has changed: all controllers that there are.

    `urls` is from names to base URLs, `paths` from the path prefixes of their agents to names, `tcp` from the names of
    those that are reached on their TCP port to their identities, which may be empty. `facts` are of any of them.
    """

    type: Literal["controllers"] = "controllers"
    urls: dict[str, str]
    paths: dict[str, str]
    tcp: dict[str, str] = {}
    facts: dict[str, Facts] = {}


class Draining(_Message):
    """Gateway → control plane: it accepts nobody any more, and keeps its sessions until they end."""

    type: Literal["draining"] = "draining"


class Leaving(_Message):
    """Gateway → control plane, last: it ends its sessions now, and never links again."""

    type: Literal["leaving"] = "leaving"


class Ping(_Message):
    """Gateway → control plane: are you there? Answered by `Pong`."""

    type: Literal["ping"] = "ping"


class Pong(_Message):
    """Control plane → gateway: yes."""

    type: Literal["pong"] = "pong"


T = TypeVar("T")
FromGateway = Hello | Admit | Failed | Opened | Closed | Counts | Draining | Leaving | Ping
FromControl = Admission | Refusal | End | Controllers | Pong

_CONFIG: Final = ConfigDict(cache_strings="keys")
"""Values are names and secrets of single agents: none is worth to be kept for the next message."""
_FROM_GATEWAY: Final = TypeAdapter[FromGateway](Annotated[FromGateway, Field(discriminator="type")], config=_CONFIG)
_FROM_CONTROL: Final = TypeAdapter[FromControl](Annotated[FromControl, Field(discriminator="type")], config=_CONFIG)


def encode(message: FromGateway | FromControl) -> bytes:
    """The line of a message."""
    return message.model_dump_json().encode() + b"\n"


def from_gateway(line: bytes) -> FromGateway | None:
    """A gateway's message; None for one of a type that is not known. Raises `GatewayError`."""
    return _decode(_FROM_GATEWAY, line)


def from_control(line: bytes) -> FromControl | None:
    """The control plane's message; None for one of a type that is not known. Raises `GatewayError`."""
    return _decode(_FROM_CONTROL, line)


def _decode(adapter: TypeAdapter[T], line: bytes) -> T | None:
    try:
        return adapter.validate_json(line)
    except ValidationError as error:
        if any(problem["type"] == "union_tag_invalid" for problem in error.errors(include_input=False)):
            return None
    raise GatewayError("a message on the control link is malformed")  # without its text: it may hold a secret
