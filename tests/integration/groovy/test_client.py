"""The client jar's facade against the real broker: TLS by a CA file, the token of a file, errors for people."""

import datetime
import ipaddress
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from broker.demo.files import write_private
from tests.integration.groovy.double import GROOVY, World

pytestmark = [pytest.mark.component("groovy"), pytest.mark.timeout(120)]

SHAKE = """
def client = io.agentbroker.client.BrokerClient.connect(args[0], args[1] == 'tls', args[2], args[4], args[5], args[3], 5000)
try {
    def reply = client.handshake('2.568.2', 'http://127.0.0.1/', 'boot-1')
    println "${reply.controller} ${reply.policies*.name} ${reply.policies[0].labels} ${reply.sync_interval > 0}"
} catch (io.agentbroker.client.BrokerException error) {
    println "${error.code} ${error.temporary} ${error.message}"
} finally {
    client.close()
}
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A broker whose API speaks TLS."""
    world = World(tmp_path_factory.mktemp("tls"))
    write_certificate(world.root)
    config = yaml.safe_load(world.stack.config_file.read_text())
    files = {"cert_file": str(world.root / "server.crt"), "key_file": str(world.root / "server.key")}
    config["server"]["grpc"]["tls"] = files
    write_private(world.stack.config_file, yaml.safe_dump(config))
    try:
        world.stack.start_broker()
        yield world
    finally:
        world.stop()


def write_certificate(folder: Path) -> None:
    """A self-signed certificate for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "broker")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "server.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    write_private(folder / "server.key", pem)


def shake(world: World, *, tls: str = "tls", ca: Path | None = None, token: Path | None = None, host: str = "") -> str:
    script = world.root / "shake.groovy"
    script.write_text(SHAKE)
    class_path = f"{GROOVY / 'target/test-lib'}/*:{GROOVY / 'target/agentbroker-client.jar'}"
    target = f"{host or '127.0.0.1'}:{world.stack.ports.grpc}"
    authority, token_file = ca or world.root / "server.crt", token or world.stack.token_file
    command = ["java", "-cp", class_path, "groovy.ui.GroovyMain", str(script), target, tls]
    done = subprocess.run([*command, str(authority), str(token_file)], capture_output=True, text=True, check=False)
    return done.stdout.strip() or done.stderr.strip()


def test_a_handshake_over_tls_tells_the_policies(world: World) -> None:
    assert shake(world) == "demo [linux] [linux, docker] true"


def test_a_wrong_token_is_refused_for_good(world: World, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("wrong")
    assert shake(world, token=tmp_path / "token").startswith("UNAUTHENTICATED false")


def test_a_missing_token_file_is_named(world: World, tmp_path: Path) -> None:
    answer = shake(world, token=tmp_path / "nowhere")
    assert answer.startswith("UNAUTHENTICATED false token file cannot be read")
    assert "nowhere" in answer


def test_a_server_that_the_ca_does_not_know_is_not_talked_to(world: World, tmp_path: Path) -> None:
    write_certificate(tmp_path)
    assert shake(world, ca=tmp_path / "server.crt").startswith("UNAVAILABLE true")


def test_plaintext_leaves_the_machine_never(world: World) -> None:
    assert "for loopback addresses only" in shake(world, tls="plain", host="192.0.2.1")
