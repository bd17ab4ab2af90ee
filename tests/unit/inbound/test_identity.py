"""The key by which agents know their controller."""

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from hypothesis import given
from hypothesis import strategies as st

from broker.inbound.blocks import Malformed
from broker.inbound.identity import Identity, fingerprint, is_rsa, spki_of

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def identity() -> Identity:
    return Identity.new()


def test_a_certificate_has_the_key_that_agents_compare(identity: Identity) -> None:
    pem, key = identity.certificate(NOW)
    certificate = x509.load_pem_x509_certificate(pem)
    assert spki_of(certificate.public_bytes(Encoding.DER)) == identity.spki
    public = load_pem_private_key(key, None).public_key()
    assert public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == identity.spki
    assert certificate.version is x509.Version.v3
    assert certificate.not_valid_before_utc == NOW - timedelta(days=1)
    assert certificate.not_valid_after_utc == NOW + timedelta(days=366)
    assert identity.certificate(NOW)[0] != pem


def test_a_key_outlives_a_restart(identity: Identity) -> None:
    assert Identity.load(identity.pem()).spki == identity.spki
    assert Identity.new().spki != identity.spki


def test_a_fingerprint_is_shown_as_in_an_agents_log(identity: Identity) -> None:
    assert fingerprint(b"") == "d4:1d:8c:d9:8f:00:b2:04:e9:80:09:98:ec:f8:42:7e"
    assert identity.fingerprint.replace(":", "") == hashlib.md5(identity.spki, usedforsecurity=False).hexdigest()


def pem_of(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def test_only_an_rsa_key_of_2048_bits_is_taken(identity: Identity) -> None:
    small = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    for pem in (pem_of(ec.generate_private_key(ec.SECP256R1())), pem_of(small)):
        with pytest.raises(ValueError, match="2048"):
            Identity.load(pem)
    for pem in (b"", b"-----BEGIN PRIVATE KEY-----\n", identity.certificate(NOW)[0]):
        with pytest.raises(ValueError, match="PEM"):
            Identity.load(pem)


def test_agents_refuse_other_keys_than_rsa(identity: Identity) -> None:
    curve = ec.generate_private_key(ec.SECP256R1()).public_key()
    assert is_rsa(identity.spki)
    assert not is_rsa(curve.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    assert not is_rsa(identity.spki[:-1])


@given(st.binary())
def test_any_bytes_are_a_certificate_or_malformed(data: bytes) -> None:
    assert not is_rsa(data)
    with pytest.raises(Malformed):
        spki_of(data)


def test_a_certificate_of_a_version_that_there_is_not_is_malformed(identity: Identity) -> None:
    der = x509.load_pem_x509_certificate(identity.certificate(datetime.now(UTC))[0]).public_bytes(Encoding.DER)
    version = der.index(bytes.fromhex("a003020102")) + 4
    with pytest.raises(Malformed):
        spki_of(der[:version] + b"\x40" + der[version + 1 :])
