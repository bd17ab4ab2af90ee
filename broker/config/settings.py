"""What the loader hands to the rest of the broker: one immutable value, all defaults filled in."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Literal

from broker.domain.definitions import Definitions
from broker.domain.timed_override import TimedOverride

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["console", "json"]


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen: a host name or IP address, and a port; port 0 lets the system choose."""

    host: str
    port: int

    def __str__(self) -> str:
        """`host:port`, with brackets around an IPv6 address."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def is_wildcard(self) -> bool:
        """Whether it listens on every address of the machine."""
        return self.host in {"0.0.0.0", "::"}

    def overlaps(self, other: "Address") -> bool:
        """Whether the two cannot be listened on at once."""
        if self.port == 0 or self.port != other.port:
            return False
        return self.host == other.host or self.is_wildcard or other.is_wildcard


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """PEM files of a listener. `client_ca_file` asks clients for a certificate; agents are to trust `ca_file`."""

    cert_file: Path
    key_file: Path
    client_ca_file: Path | None = None
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """An address, with TLS or without."""

    listen: Address
    tls: TlsFiles | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """How much is logged, and for whom."""

    level: LogLevel = "info"
    format: LogFormat = "console"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSettings:
    """A PostgreSQL database: `postgresql://user@host:port/name`, as libpq takes it, with the password in a file."""

    url: str
    password_file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """The control plane: what people, Jenkins and Prometheus talk to, and where it keeps its state."""

    http: Listener
    grpc: Listener
    public_url: str
    """Where people reach the broker over HTTP, without a slash at its end; empty where nobody has said it and `http` is
    not on loopback. It ends in `:0` when that listens on port 0: who binds puts in the real port."""
    state_dir: Path
    keys_dir: Path
    shutdown_grace: timedelta
    log: LogSettings
    database: DatabaseSettings | None = None
    """None for SQLite in the state directory."""
    keep_history: timedelta = timedelta(days=14)
    """How long an agent that is gone, and what happened to it, can be looked up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """The gateway: where agents connect.

    `advertise` is what agents are given, such as `wss://agents.example.com`, without a slash at its end; it ends in
    `:0` when `websocket` listens on port 0: who binds puts in the real port. `control` is `unix:PATH` or
    `tls://HOST:PORT`. `http` is the gateway's own health and metrics address as a unit of its own.
    """

    websocket: Address
    advertise: str
    tls: TlsFiles | None
    control: str
    control_tls: TlsFiles | None
    """Both ends': the certificate of this one, and as `client_ca_file` the CA of the other's."""
    http: Address | None
    processes: int
    ping_interval: timedelta
    ping_timeout: timedelta
    drain_timeout: timedelta
    tcp: Address | None = None
    """Where agents connect over TCP; None where they cannot."""
    tcp_advertise: Address | None = None
    """What they are told of it."""
    prefer: Literal["websocket", "tcp"] = "websocket"
    identity: Path | None = None
    """The key that agents over TCP pin."""
    allow_cidrs: tuple[str, ...] = ()
    """Networks that agents may come from; empty: all."""

    @property
    def agents_use_websocket(self) -> bool:
        """What agents are started with that could use both."""
        return self.tcp is None or self.prefer == "websocket"

    @property
    def agent_url(self) -> str:
        """`advertise` as the http or https URL that `agent.jar -url` takes; without a slash at its end."""
        return "http" + self.advertise.removeprefix("http").removeprefix("ws")


@dataclass(frozen=True, slots=True)
class Source:
    """A file of a config by the name that people are told, and its text."""

    name: str
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A config that may be used.

    `warnings` is the printed text of everything that is worth a look, empty if there is nothing. `source` is the file
    that it was read from, None of a text; `content` is all that it says, defaults included, with its secrets. `sources`
    are the texts that it was made of, relative to `base`, and `timed` what operators have set over them.
    """

    server: ServerSettings
    gateway: GatewaySettings
    definitions: Definitions
    warnings: str = ""
    source: Path | None = None
    content: Mapping[str, object] = field(default_factory=dict, repr=False)
    sources: tuple[Source, ...] = field(default=(), repr=False)
    base: Path = Path()
    timed: tuple[TimedOverride, ...] = ()
