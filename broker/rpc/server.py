"""The gRPC listener: the API of controllers and the health service."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc  # type: ignore[import-untyped] # ships no types

from broker.errors import BrokerError
from broker.rpc.interceptors import Guard
from broker.rpc.service import AgentsService
from broker.tls import Certificates, Material
from broker.wire.v1 import agents_pb2, agents_pb2_grpc

MOST_BYTES_A_MESSAGE = 4 * 1024 * 1024
_MOST_CALLS_AT_ONCE = 256
"""The last bound, of all controllers together. gRPC ends what is more without a word of ours (so does its own bound for
calls that nobody has taken up, grpc.server.max_pending_requests); what `Fairness` bounds comes before."""


class PortInUse(BrokerError):
    """Another program listens there, or the address is not ours."""


@asynccontextmanager
async def serving(
    address: str,
    service: AgentsService,
    guard: Guard,
    tls: Certificates | None,
    grace_s: float = 5.0,
) -> AsyncIterator[int]:
    """Serves within the block; gives the port. On leaving, running calls have `grace_s` seconds to end.

    Raises `PortInUse`, naming the address.
    """
    options = [
        ("grpc.max_receive_message_length", MOST_BYTES_A_MESSAGE),
        ("grpc.so_reuseport", 0),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.keepalive_time_ms", 30_000),  # a stream whose reader is gone without a word ends
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ]
    server = grpc.aio.server(interceptors=[guard], options=options, maximum_concurrent_rpcs=_MOST_CALLS_AT_ONCE)
    agents_pb2_grpc.add_AgentsServicer_to_server(service, server)  # type: ignore[no-untyped-call] # generated
    healthy = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(healthy, server)
    port = _bind(server, address, tls)
    await server.start()
    name = agents_pb2.DESCRIPTOR.services_by_name["Agents"].full_name
    for service_name in ("", name):
        await healthy.set(service_name, health_pb2.HealthCheckResponse.SERVING)
    try:
        yield port
    finally:
        service.streams.close()
        await healthy.enter_graceful_shutdown()
        await server.stop(grace_s)


def _bind(server: grpc.aio.Server, address: str, tls: Certificates | None) -> int:
    try:
        if tls is None:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, _credentials(tls))
    except RuntimeError as error:
        raise PortInUse(
            f"server.grpc.listen {address}: cannot listen there ({error}); stop what uses it or choose another port",
        ) from error


def _credentials(tls: Certificates) -> grpc.ServerCredentials:
    """What gRPC asks at each handshake, on a thread of its own: so a renewed certificate needs no restart."""
    used = tls.current()

    def changed() -> Any:
        nonlocal used
        now = tls.current()
        if now is used:
            return None  # that it is as before, says gRPC's own documentation; its types do not
        used = now
        return _configuration(now)

    return grpc.dynamic_ssl_server_credentials(_configuration(used), changed, tls.asks_clients)


def _configuration(material: Material) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(material.key, material.certificate)], material.client_ca)
