"""Addresses that cannot be listened on together, and those that would show secrets to the network."""

from collections.abc import Mapping

from broker.config.diagnostics import Diagnostics, Note, Span
from broker.config.model import GatewayModel, ServerModel
from broker.config.nodes import Node
from broker.config.settings import Address

Path = tuple[str, ...]


def check(root: Node, server: ServerModel | None, gateway: GatewayModel | None, diagnostics: Diagnostics) -> None:
    """Two listeners on one port, a gRPC listener beyond loopback without TLS, and one that is preferred and missing."""
    _ports(root, _addresses(server, gateway), diagnostics)
    if gateway:
        _control(root, gateway, diagnostics)
    if server and not server.grpc.listen.is_loopback and server.grpc.tls is None:
        listen = server.grpc.listen
        message = f"server.grpc listens on {listen} without TLS, so tokens and secrets would cross the network in clear"
        help_ = f"add 'tls: {{ cert_file: ..., key_file: ... }}', or listen on 127.0.0.1:{listen.port}"
        diagnostics.error("plaintext", root.at("server", "grpc", "listen").span, message, Note("help", help_))
    if gateway and gateway.prefer == "tcp" and gateway.tcp is None:
        message = "agents cannot prefer TCP: the gateway has no listener for it"
        help_ = "add 'tcp: { listen: HOST:PORT }' to the gateway, or leave 'prefer' out"
        diagnostics.error("prefer-without-tcp", root.at("gateway", "prefer").span, message, Note("help", help_))


def _control(root: Node, gateway: GatewayModel, diagnostics: Diagnostics) -> None:
    """A control link over TCP has TLS at both ends, one at a Unix socket has none."""
    remote = gateway.control is not None and gateway.control.startswith("tls:")
    if remote and gateway.control_tls is None:
        message = f"gateway.control is {gateway.control} without certificates, so real secrets would go to anybody"
        help_ = "add 'control_tls: { cert_file: ..., key_file: ..., ca_file: ... }', at both ends"
        diagnostics.error("plaintext", root.at("gateway", "control").span, message, Note("help", help_))
    if gateway.control_tls is not None and not remote:
        message = "gateway.control_tls is for a control link over TCP, and this one is a Unix socket"
        help_ = "set 'control: tls://HOST:PORT', or remove control_tls"
        diagnostics.error("foreign-key", root.key("gateway", "control_tls"), message, Note("help", help_))


def _addresses(server: ServerModel | None, gateway: GatewayModel | None) -> dict[Path, Address]:
    found: dict[Path, Address] = {}
    if server:
        found["server", "http"] = server.http.listen
        found["server", "grpc"] = server.grpc.listen
    if gateway:
        found["gateway", "websocket"] = gateway.websocket.listen
        if gateway.tcp:
            found["gateway", "tcp"] = gateway.tcp.listen
        if gateway.http:
            found["gateway", "http"] = gateway.http.listen
        if gateway.control is not None and gateway.control.startswith("tls:"):
            host, _, port = gateway.control.removeprefix("tls://").rpartition(":")
            found["gateway", "control"] = Address(host.strip("[]"), int(port))
    return found


def _clash(one: Path, other: Path, addresses: Mapping[Path, Address]) -> bool:
    """The control plane listens for the link under a name of its machine; gateways may be on others."""
    if ("gateway", "control") not in {one, other}:
        return addresses[one].overlaps(addresses[other])
    listener = other if one == ("gateway", "control") else one
    control, listens = addresses["gateway", "control"], addresses[listener]
    same_machine = listener[0] == "server" or control.is_loopback
    return control.port == listens.port and (control.host == listens.host or (same_machine and listens.is_wildcard))


def _ports(root: Node, addresses: Mapping[Path, Address], diagnostics: Diagnostics) -> None:
    def key(path: Path) -> Path:
        return path if path == ("gateway", "control") else (*path, "listen")

    def place(path: Path) -> Span | None:
        return root.at(*key(path)).span if root.has(*key(path)) else None

    # What the file says is reported rather than a default, the later of two rather than the earlier.
    order = sorted(addresses, key=lambda path: (place(path) is not None, place(path) or Span(0, 0, 0, 0)))
    for n, path in enumerate(order):
        span = place(path)
        for other in order[:n]:
            if span is None or not _clash(path, other, addresses):
                continue
            at = place(other)
            where = f"is at {at}" if at else "is the default"
            message = f"{'.'.join(path)} and {'.'.join(other)} cannot both listen on port {addresses[path].port}"
            note = Note("note", f"'{'.'.join(key(other))}: {addresses[other]}' {where}")
            diagnostics.error("port-conflict", span, message, note, Note("help", "give each a port of its own"))
            break
