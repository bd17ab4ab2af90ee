"""TLS of a listener from files that are read again when they change: certificates get renewed, listeners stay."""

import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from broker.errors import BrokerError
from broker.telemetry import events

_Signs = tuple[tuple[int, int, int] | None, ...]
_TICKETS: Final = 0
"""A client that comes back shakes hands anew: with the certificates of then."""


class TlsUnusable(BrokerError):
    """The certificate, the key or the CA of a listener cannot be read, or they are none, or not a pair."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PemFiles:
    """Certificate chain, its key, and the CA that clients' certificates have to be of; None asks clients for none."""

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def __str__(self) -> str:
        """Their names, for people."""
        first = f"{self.certificate} and {self.key}"
        return f"{first} and {self.client_ca}" if self.client_ca else first


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What the files held at one time; `context` is a server's."""

    certificate: bytes
    key: bytes = field(repr=False)
    client_ca: bytes | None
    expires: datetime
    context: ssl.SSLContext = field(repr=False)


class Certificates:
    """The certificates of one listener as they are now. Any thread may ask."""

    def __init__(self, files: PemFiles, where: str) -> None:
        """Reads them; `where` is the key of the config. Raises `TlsUnusable`, which names it and the files."""
        self._files = files
        self._where = where
        self._lock = threading.Lock()
        self._signs = _signs(files)
        self._material = _read(files, where)
        self._material.context.sni_callback = self._follow

    @property
    def asks_clients(self) -> bool:
        """Whether a client without a certificate is turned away."""
        return self._files.client_ca is not None

    @property
    def context(self) -> ssl.SSLContext:
        """A server's context that follows the files: each handshake uses what they hold then."""
        return self._material.context

    def current(self) -> Material:
        """What the files hold now; what they held before if they cannot be used, which is told once a change."""
        with self._lock:
            signs = _signs(self._files)
            if signs == self._signs:
                return self._material
            self._signs = signs
            try:
                material = _read(self._files, self._where)
            except TlsUnusable as error:
                events.CERTIFICATE_UNUSABLE.emit(listener=self._where, message=str(error))
                return self._material
            material.context.sni_callback = self._follow
            self._material = material
            events.CERTIFICATE_CHANGED.emit(listener=self._where, expires=material.expires.isoformat())
            return material

    def _follow(self, connection: ssl.SSLObject, _name: str | None, used: ssl.SSLContext) -> None:
        """OpenSSL asks it at each handshake, whether the client names a server or not."""
        now = self.current().context
        if now is not used:
            connection.context = now


class Authorities:
    """The certificates of a file that others are told to trust, as they are now."""

    def __init__(self, file: Path, where: str) -> None:
        """Reads it; `where` is the key of the config. Raises `TlsUnusable`, which names it and the file."""
        self._file = file
        self._where = where
        self._sign = _sign(file)
        self._texts = _texts(file, where)

    def current(self) -> tuple[str, ...]:
        """Each in PEM by itself; what the file held before if it cannot be used, which is told once a change."""
        sign = _sign(self._file)
        if sign != self._sign:
            self._sign = sign
            try:
                self._texts = _texts(self._file, self._where)
            except TlsUnusable as error:
                events.CERTIFICATE_UNUSABLE.emit(listener=self._where, message=str(error))
        return self._texts


def authorities_in(file: Path | None) -> Callable[[], tuple[str, ...]]:
    """What agents are told to trust of the gateway: nothing without a file. Raises `TlsUnusable`."""
    return Authorities(file, "gateway.tls.ca_file").current if file is not None else tuple


def _texts(file: Path, where: str) -> tuple[str, ...]:
    try:
        found = x509.load_pem_x509_certificates(file.read_bytes())
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it holds no certificate in PEM"
        raise TlsUnusable(f"{where}: {file} cannot be used: {why}") from error
    return tuple(certificate.public_bytes(Encoding.PEM).decode() for certificate in found)


def _signs(files: PemFiles) -> _Signs:
    """What changes with a file: a renewed one is written anew or another one takes its place."""
    return tuple(_sign(path) for path in (files.certificate, files.key, files.client_ca) if path is not None)


def _sign(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _read(files: PemFiles, where: str) -> Material:
    try:
        certificate, key = files.certificate.read_bytes(), files.key.read_bytes()
        client_ca = files.client_ca.read_bytes() if files.client_ca else None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.num_tickets = _TICKETS
        context.load_cert_chain(files.certificate, files.key)
        if client_ca is not None:
            context.load_verify_locations(files.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        expires = x509.load_pem_x509_certificate(certificate).not_valid_after_utc
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise TlsUnusable(f"{where}: {files} cannot be used: {why}") from error
    return Material(certificate=certificate, key=key, client_ca=client_ca, expires=expires, context=context)
