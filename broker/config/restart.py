"""Which keys a reload does not apply to what runs."""

from typing import Final

RESTART: Final = (
    "server.http.listen",
    "server.http.tls",
    "server.grpc.listen",
    "server.grpc.tls",
    "server.state_dir",
    "server.keys_dir",
    "server.database",
    "server.keep_history",
    "server.shutdown_grace",
    "gateway.control",
    "gateway.control_tls",
    "gateway.tls.ca_file",
)
"""Keys, with all below them, that are read at the start only."""
GATEWAYS: Final = (
    "gateway.websocket.listen",
    "gateway.tcp",
    "gateway.tls",
    "gateway.http",
    "gateway.processes",
    "gateway.drain_timeout",
    "gateway.allow_cidrs",
    "gateway.ping",
)
"""Those that a gateway reads for each generation of its processes."""
