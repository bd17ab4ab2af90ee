"""A certificate authority of a run's own: a demo talks over TLS as production does, and trusts nobody else."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID

from broker.demo.files import write_private

JAVA_PASSWORD: Final = "changeit"  # noqa: S105  # of a file that holds no secret
LOOPBACK: Final = ("127.0.0.1", "localhost")
_BACKDATED: Final = timedelta(minutes=5)
_PEM: Final = serialization.Encoding.PEM


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Files of a certificate and its key."""

    certificate: Path
    key: Path


class Authority:
    """Its key is in memory only: after the run nobody can issue a certificate in its name."""

    def __init__(self, name: str = "agentbroker dev") -> None:
        """Makes key and certificate."""
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        own = x509.BasicConstraints(ca=True, path_length=0)
        builder = self._builder(self._name, self._key.public_key(), timedelta(days=30))
        self._certificate = builder.add_extension(own, critical=True).sign(self._key, hashes.SHA256())

    @property
    def pem(self) -> bytes:
        """Its certificate, for those who are to trust it."""
        return self._certificate.public_bytes(_PEM)

    def write(self, path: Path) -> Path:
        """Writes its certificate."""
        path.write_bytes(self.pem)
        return path

    def write_for_java(self, path: Path) -> Path:
        """Writes its certificate as a trust store of Java, under the password that Java itself comes with."""
        trusted = [pkcs12.PKCS12Certificate(self._certificate, b"agentbroker")]
        encryption = serialization.BestAvailableEncryption(JAVA_PASSWORD.encode())
        path.write_bytes(pkcs12.serialize_java_truststore(trusted, encryption))
        return path

    def issue(
        self, base: Path, name: str, hosts: Sequence[str] = LOOPBACK, lasts: timedelta = timedelta(days=30)
    ) -> Pair:
        """Writes `base`.crt and `base`.key: of a server at `hosts`, or of a client called `name`, or of both."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(_name(name), key.public_key(), lasts)
        if hosts:
            builder = builder.add_extension(x509.SubjectAlternativeName([_host(h) for h in hosts]), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256()).public_bytes(_PEM)
        private = key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        pair = Pair(certificate=base.with_name(base.name + ".crt"), key=base.with_name(base.name + ".key"))
        pair.certificate.write_bytes(certificate)
        write_private(pair.key, private)
        return pair

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey, lasts: timedelta) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _BACKDATED)
            .not_valid_after(now + lasts)
        )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)
