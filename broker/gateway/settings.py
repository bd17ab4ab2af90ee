"""What one gateway process needs to know; nothing of pools, policies or agents."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter

from broker.errors import GatewayError
from broker.gateway.facts import Facts
from broker.gateway.linktls import ControlAddress
from broker.gateway.presence import Presence

_OTHERS: Final = 64
"""Descriptors of a process that are no agent's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of a handshake: every step has its own time."""

    connections: int = 8192
    handshakes: int = 1024
    """Connections on one listener that have not said yet what they want; one more drives out the oldest of them."""
    newcomer_s: float = 2.0
    """How long one is left alone all the same, up to twice as many: thousands of agents may come back at once."""
    dials: int = 64
    """Requests to one controller at one time: one that does not answer must not keep the others' agents out."""
    whole_s: float = 30.0
    """From accept to session, beside `admit_s`."""
    head_s: float = 10.0
    admit_s: float = 25.0
    """How long an agent is held while the control plane is away or waits for the controller: it has no limit of its own
    for a reply, 25 s were seen to be fine, and who is turned away comes again after 7 to 10 s only."""
    reach_s: float = 5.0
    """How long each place where a controller's TCP port may be is tried, up to the end of TLS."""
    dial_s: float = 28.0
    """A controller whose former connection of the agent is dead may need 15 s to find that out before it answers; one
    that is slow gets agents that wait for 25 s and more, as it would without a gateway."""
    unknown_name_s: float = 20.0
    """How long a name that the controller does not know yet is asked again."""
    unknown_name_every_s: float = 0.25
    """The first pause between two such asks; the controller logs a warning for each, so the pauses grow."""
    unknown_name_most_s: float = 2.0
    reply_s: float = 10.0
    downloads: int = 32
    """Of agent.jar at once: anybody may ask for it, and each keeps a thread of the controller busy."""
    download_idle_s: float = 60.0
    download_s: float = 300.0

    def within(self, descriptors: int) -> "Limits":
        """These, or less where a process may only have so many descriptors.

        A session has two. What waits at one of two doors takes an eighth, or silent ones would leave honest agents
        without one for their controller.
        """
        connections = max(1, (descriptors - _OTHERS) // 2)
        handshakes = max(1, descriptors // 8)
        return replace(
            self, connections=min(self.connections, connections), handshakes=min(self.handshakes, handshakes)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """Built from the config by `broker.cli.gateway`.

    `controllers` maps names to base URLs, `paths` the path prefixes of their agents (beginning and ending with a slash)
    to names. A port of 0 takes any free one. Times are in seconds.
    """

    control: ControlAddress
    controllers: Mapping[str, str]
    paths: Mapping[str, str]
    listen_host: str = "127.0.0.1"
    listen_port: int = 0
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tcp_controllers: Mapping[str, str] = field(default_factory=dict)
    """Those that agents reach over their own TCP port, with their identity in base64; empty: as their URL tells it."""
    facts: Mapping[str, Facts] = field(default_factory=dict)
    """What else is known of controllers, by name."""
    tcp_host: str = "127.0.0.1"
    tcp_port: int | None = None
    """Where agents connect over TCP; None for nowhere."""
    tcp_advertise: tuple[str, int] | None = None
    """What agents are told instead: host and port as they reach it."""
    identity: Path | None = None
    """The key that agents over TCP pin, which is made where it is missing; needed with `tcp_port`."""
    controller_ca: Path | None = None
    """Certificates that https controllers are checked against, beside the system's own."""
    allow_cidrs: tuple[str, ...] = ()
    """Networks that agents may come from; empty: all."""
    http_host: str = "127.0.0.1"
    http_port: int | None = None
    """Where /healthz, /readyz and /metrics are; None for nowhere."""
    processes: int = 1
    """How many share the ports."""
    shares_ports: bool = False
    """Whether other gateways of this user may listen at the same addresses; connections are spread over them."""
    drain_timeout_s: float = 21_600.0
    """How long a gateway that accepts nobody any more keeps its sessions."""
    log_format: str = "console"
    log_level: str = "info"
    presence: Presence = field(default_factory=Presence)
    limits: Limits = field(default_factory=Limits)

    def save(self, path: Path) -> None:
        """Writes them for a gateway that is started later, in one step; they hold no secrets.

        Raises `GatewayError` if the file cannot be written.
        """
        fresh = path.with_suffix(".new")
        try:
            fresh.write_bytes(TypeAdapter(GatewaySettings).dump_json(self, indent=1))
            fresh.replace(path)
        except OSError as error:
            raise GatewayError(f"{path}: {error.strerror}; the gateway is started with what stands there") from error

    @classmethod
    def read(cls, path: Path) -> "GatewaySettings":
        """What `save` has written. Raises `GatewayError` for another file."""
        try:
            return TypeAdapter(cls).validate_json(path.read_bytes())
        except (OSError, ValueError) as error:
            raise GatewayError(f"{path}: not the settings of a gateway: {error}") from error

    @property
    def fingerprint(self) -> str:
        """Changes with what a running gateway cannot change: another one has to take its place.

        Controllers are no part of it: the control plane tells them over the link.
        """
        fixed: list[object] = [self.control, self.listen_host, self.listen_port, self.tls_cert, self.tls_key]
        fixed += [self.tcp_host, self.tcp_port, self.tcp_advertise, self.identity]
        fixed += [self.allow_cidrs, self.controller_ca, self.http_host, self.http_port, self.presence]
        fixed += [self.processes, self.drain_timeout_s]
        return hashlib.sha256(repr(fixed).encode()).hexdigest()
