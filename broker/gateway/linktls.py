"""Where the control link is: a Unix socket, or TCP with TLS in which both ends show certificates.

Whoever speaks on it is given real secrets, so a certificate of the link's CA is not enough: the gateway's must carry
the name `agentbroker-gateway`, and the control plane's the host that the gateway dials. A CA that issues for
controllers or for other servers too lets none of these in.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from broker.errors import GatewayError
from broker.gateway.link import MAX_LINE
from broker.gateway.sockets import listen_unix, unix_address
from broker.tls import Certificates, PemFiles, TlsUnusable

GATEWAY_NAME: Final = "agentbroker-gateway"
"""A DNS name among the alternative names of every gateway's certificate."""
_HANDSHAKE_S: Final = 10.0
_CONNECT_S: Final = 10.0
_WHERE: Final = "gateway.control_tls"

Connected = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsControl:
    """An address, and this end's certificate with the CA that the other end's has to be of."""

    host: str
    port: int
    files: PemFiles

    def __str__(self) -> str:
        """As the config writes it."""
        return f"tls://[{self.host}]:{self.port}" if ":" in self.host else f"tls://{self.host}:{self.port}"


ControlAddress = Path | TlsControl


class LinkFiles(Protocol):
    """The files of one end, as the config has them."""

    @property
    def cert_file(self) -> Path: ...

    @property
    def key_file(self) -> Path: ...

    @property
    def client_ca_file(self) -> Path | None: ...


def control_at(control: str, files: LinkFiles | None) -> ControlAddress:
    """The address of `unix:PATH`, or of `tls://HOST:PORT` with its files. Raises `GatewayError` without them."""
    if control.startswith("unix:"):
        return Path(control.removeprefix("unix:"))
    if files is None or files.client_ca_file is None:
        raise GatewayError(f"gateway.control: {control} needs gateway.control_tls: certificate, key and CA of the link")
    host, _, port = control.removeprefix("tls://").rpartition(":")
    pem = PemFiles(certificate=files.cert_file, key=files.key_file, client_ca=files.client_ca_file)
    return TlsControl(host=host.strip("[]"), port=int(port), files=pem)


async def listen(at: ControlAddress, connected: Connected) -> asyncio.Server:
    """Listens for gateways. Raises `GatewayError` for an address that cannot be had, `TlsUnusable`."""
    if isinstance(at, Path):
        return await asyncio.start_unix_server(connected, sock=listen_unix(at), limit=MAX_LINE)
    context = Certificates(at.files, _WHERE).context
    try:
        return await asyncio.start_server(
            connected, at.host, at.port, ssl=context, ssl_handshake_timeout=_HANDSHAKE_S, limit=MAX_LINE
        )
    except OSError as error:
        raise GatewayError(f"cannot listen for gateways at {at}: {error.strerror or error}") from error


async def dial(at: ControlAddress) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to the control plane; its certificate is read anew each time.

    Raises OSError (which a refused certificate is, and a time that is over), `TlsUnusable` for files of this end.
    """
    if isinstance(at, Path):
        with unix_address(at) as address:
            return await asyncio.open_unix_connection(address, limit=MAX_LINE)
    context = _client(at.files)
    async with asyncio.timeout(_CONNECT_S):
        return await asyncio.open_connection(
            at.host, at.port, ssl=context, ssl_handshake_timeout=_HANDSHAKE_S, limit=MAX_LINE
        )


def is_of_gateway(writer: asyncio.StreamWriter) -> bool:
    """Whether the other end may be a gateway: always on a Unix socket, which is for this user alone."""
    shown = writer.get_extra_info("peercert")
    if writer.get_extra_info("sslcontext") is None:
        return True
    return shown is not None and ("DNS", GATEWAY_NAME) in shown.get("subjectAltName", ())


def _client(files: PemFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks chain and host
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(files.certificate, files.key)
        context.load_verify_locations(files.client_ca)
    except OSError as error:
        raise TlsUnusable(f"{_WHERE}: {files} cannot be used: {error.strerror or error}") from error
    return context
