"""TLS by given files, plaintext without."""

import datetime
import ipaddress
from pathlib import Path

import grpc
import grpc.aio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from broker.app import TlsUnusable, tls_context
from broker.config.settings import Address, Listener
from broker.config.settings import TlsFiles as TlsPaths
from broker.rpc.server import PortInUse, TlsFiles
from tests.integration.rpc.world import TOKEN, bearer, handshake, running_api, stub

PEM = serialization.Encoding.PEM


class Authority:
    """A CA of the test's own."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        builder = self._builder(self.name, self.key.public_key())
        ca = x509.BasicConstraints(ca=True, path_length=0)
        self.certificate = builder.add_extension(ca, critical=True).sign(self.key, hashes.SHA256())

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(PEM)

    def issue(self) -> TlsFiles:
        """A certificate for localhost."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "broker")])
        names = x509.SubjectAlternativeName(
            [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        )
        certificate = self._builder(name, key.public_key()).add_extension(names, critical=False)
        signed = certificate.sign(self.key, hashes.SHA256())
        plain = serialization.NoEncryption()
        return TlsFiles(
            certificate=signed.public_bytes(PEM) + self.pem,
            key=key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, plain),
        )

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
        )


async def test_a_controller_that_trusts_the_ca_talks_over_tls(tmp_path: Path) -> None:
    authority = Authority()
    trusting = grpc.ssl_channel_credentials(authority.pem)
    async with running_api(tmp_path, tls=authority.issue()) as api, api.channel(trusting) as channel:
        reply = await stub(channel).Handshake(handshake(), metadata=bearer(TOKEN), timeout=10)
        assert reply.controller == "main"


async def test_a_controller_that_trusts_another_ca_does_not(tmp_path: Path) -> None:
    trusting = grpc.ssl_channel_credentials(Authority().pem)
    async with running_api(tmp_path, tls=Authority().issue()) as api, api.channel(trusting) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stub(channel).Handshake(handshake(), metadata=bearer(TOKEN), timeout=10)
        assert raised.value.code() == grpc.StatusCode.UNAVAILABLE


async def test_plaintext_to_a_tls_listener_is_refused(tmp_path: Path) -> None:
    async with running_api(tmp_path, tls=Authority().issue()) as api, api.channel() as channel:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stub(channel).Handshake(handshake(), metadata=bearer(TOKEN), timeout=10)
        assert raised.value.code() == grpc.StatusCode.UNAVAILABLE


async def test_files_that_are_no_certificate_are_refused_before_anybody_listens(tmp_path: Path) -> None:
    with pytest.raises(PortInUse, match=r"server\.grpc\.listen 127\.0\.0\.1:0: cannot listen there"):
        async with running_api(tmp_path, tls=TlsFiles(certificate=b"no", key=b"no")):
            pass


def test_files_of_a_listener_that_are_no_pair_are_named(tmp_path: Path) -> None:
    files = TlsPaths(cert_file=tmp_path / "tls.crt", key_file=tmp_path / "tls.key")
    files.cert_file.write_text("no certificate")
    files.key_file.write_text("no key")
    listener = Listener(listen=Address("127.0.0.1", 0), tls=files)
    with pytest.raises(TlsUnusable, match=r"server\.grpc\.tls: .*tls\.crt and .*tls\.key cannot be used"):
        tls_context(listener, "server.grpc.tls")
