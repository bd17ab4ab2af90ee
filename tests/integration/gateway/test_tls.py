"""TLS on both sides of the gateway."""

import asyncio
import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from broker.demo.authority import Authority
from broker.domain.ids import AgentId
from broker.gateway.facts import Facts
from broker.gateway.link import Controllers
from broker.inbound.http import parse_response
from tests.integration.gateway.world import Connection, World, read_head, until, upgrade


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loopback")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = tmp_path / "cert.pem", tmp_path / "key.pem"
    cert_file.write_bytes(built.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return cert_file, key_file


async def test_an_agent_talks_over_tls_to_a_controller_behind_tls(
    tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    cert, key = certificate
    world = World(tmp_path)
    world.controller.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    world.controller.tls.load_cert_chain(cert, key)
    world.controller.greeting = b"<first>"
    async with world.running(tls_cert=cert, tls_key=key, controller_ca=cert):
        trusting = ssl.create_default_context(cafile=str(cert))
        reader, writer = await asyncio.open_connection(*world.address, ssl=trusting)
        writer.write(upgrade("a1", world.mint()))
        head, rest = await read_head(reader)
        agent = Connection(reader, writer, parse_response(head), rest)
        assert agent.head.status == 101
        assert await agent.hear(7) == b"<first>"
        data = b"0123456789abcdef" * 20_000
        assert await agent.say(data) == data.upper()
        world.controller.writers[-1].close()
        assert await agent.ended()
        await until(lambda: world.control.live(AgentId("id-a1")) is None)
        writer.transport.abort()


async def test_a_controller_with_an_unknown_certificate_is_not_told_the_secret(
    tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    world = World(tmp_path)
    world.controller.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    world.controller.tls.load_cert_chain(*certificate)
    async with world.running():
        agent = await world.knock("a1", world.mint())
        assert agent.head.status == 503
        assert "CERTIFICATE_VERIFY_FAILED" in await agent.body()
        assert world.controller.requests == []


def knows(world: World, facts: dict[str, Facts]) -> bool:
    assert world.gateway is not None
    return world.gateway._upstream._facts == facts


async def test_a_controllers_own_authority_is_believed_for_that_controller_alone(tmp_path: Path) -> None:
    world, own, other = World(tmp_path), Authority(), Authority()
    pair = own.issue(tmp_path / "controller", "controller")
    world.controller.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    world.controller.tls.load_cert_chain(pair.certificate, pair.key)
    async with world.running(facts={"main": Facts(authorities=own.pem.decode())}):
        assert (await world.knock("a1", world.mint("a1"))).head.status == 101
        urls, paths = {"main": world.controller.url}, {"/c/main/": "main"}
        for facts in ({"main": Facts(authorities=other.pem.decode())}, {"else": Facts(authorities=own.pem.decode())}):
            world.control.tell_controllers(Controllers(urls=urls, paths=paths, facts=facts))
            await until(partial(knows, world, facts))
            agent = await world.knock("a2", world.mint("a2"))
            assert agent.head.status == 503
            assert "CERTIFICATE_VERIFY_FAILED" in await agent.body()
        assert len(world.controller.requests) == 1


async def test_a_renewed_certificate_is_shown_without_a_restart_and_its_end_is_told(tmp_path: Path) -> None:
    world, before, after = World(tmp_path), Authority(), Authority()
    pair = before.issue(tmp_path / "gateway", "gateway")
    async with world.running(tls_cert=pair.certificate, tls_key=pair.key):
        assert await shakes_hands(world, before)
        await until(lambda: world.control.counts().certificate_expires)
        first = world.control.counts().certificate_expires
        after.issue(tmp_path / "gateway", "gateway", lasts=timedelta(days=90))
        assert not await shakes_hands(world, before)
        assert await shakes_hands(world, after)
        await until(lambda: world.control.counts().certificate_expires != first)


async def shakes_hands(world: World, trusted: Authority) -> bool:
    try:
        context = ssl.create_default_context(cadata=trusted.pem.decode())
        _, writer = await asyncio.open_connection(*world.address, ssl=context)
    except ssl.SSLCertVerificationError:
        return False
    writer.close()
    return True
