"""The key by which an agent knows its controller over TCP: RSA, compared whole, whatever certificate it comes in.

Sources: org.jenkinsci.remoting.protocol.cert.PublicKeyMatchingX509ExtendedTrustManager and
org.jenkinsci.remoting.util.KeyUtils (Remoting), the instance-identity plugin's InstanceIdentity.
"""

import hashlib
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final, Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from broker.inbound.blocks import Malformed

_BITS: Final = 2048
"""Each handshake costs one operation with the key; 4096 bits cost six times as much and bring agents nothing."""
_BACKDATED: Final = timedelta(days=1)
_LASTS: Final = timedelta(days=366)
_KNOWN: Final = 64


class Identity:
    """A key of ours that agents pin. It must outlive restarts, and all processes behind one address share it."""

    def __init__(self, key: rsa.RSAPrivateKey) -> None:
        """Takes the private key."""
        self._key = key
        self.spki: bytes = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        """What `X-Instance-Identity` says, before its base64."""
        self.fingerprint: str = fingerprint(self.spki)

    @classmethod
    def new(cls) -> Self:
        """Makes a key; takes some tenths of a second."""
        return cls(rsa.generate_private_key(public_exponent=65537, key_size=_BITS))

    @classmethod
    def load(cls, pem: bytes) -> Self:
        """Reads what `pem` gave. Raises ValueError for anything but an RSA key of 2048 bits or more, unencrypted."""
        try:
            key = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise ValueError("it holds no private key in PEM without a password") from None
        if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < _BITS:
            raise ValueError(f"it is not an RSA key of {_BITS} bits or more: agents take no other")
        return cls(key)

    def pem(self) -> bytes:
        """The private key, for a file that nobody else may read."""
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def certificate(self, now: datetime) -> tuple[bytes, bytes]:
        """A new self-signed certificate and the private key, both in PEM.

        Agents look at neither names nor dates of it; they are those of a controller: valid since a day, for 366 more.
        """
        name = x509.Name(
            [
                x509.NameAttribute(NameOID.COMMON_NAME, hashlib.sha256(self.spki).hexdigest()),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "instances"),
                x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "jenkins.io"),
                x509.NameAttribute(NameOID.COUNTRY_NAME, "US"),
            ]
        )
        builder = x509.CertificateBuilder(name, name, self._key.public_key(), x509.random_serial_number())
        dated = builder.not_valid_before(now - _BACKDATED).not_valid_after(now + _LASTS)
        return dated.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM), self.pem()


@lru_cache(maxsize=_KNOWN)
def spki_of(der_certificate: bytes) -> bytes:
    """The SubjectPublicKeyInfo of a certificate, to be compared with the key that is expected. Raises `Malformed`.

    It is the same few certificates all the time, and to read one takes a tenth of a millisecond.
    """
    try:
        key = x509.load_der_x509_certificate(der_certificate).public_key()
        return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion):
        raise Malformed("the certificate of the other side cannot be read") from None


def is_rsa(spki: bytes) -> bool:
    """Whether it is an RSA key: agents refuse any other as invalid."""
    try:
        return isinstance(load_der_public_key(spki), rsa.RSAPublicKey)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False


def fingerprint(spki: bytes) -> str:
    """The MD5 of a key in hex with colons, as an agent's log shows it: people recognise it by that."""
    return hashlib.md5(spki, usedforsecurity=False).digest().hex(":")
