"""What `agentbroker doctor --controller` sees, and how it explains each wrong answer."""

import asyncio
import base64
import io
import ssl
import zipfile
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from broker.demo.authority import Authority
from broker.demo.sim.agents import State
from broker.demo.sim.misbehaviour import Behaviour, Kind
from broker.demo.sim.plans import Transport
from broker.doctor.controller import Node
from broker.doctor.java import older
from broker.doctor.report import Status
from broker.domain.ids import BackendName, PoolName
from broker.domain.pool import Pool
from broker.inbound.discovery import Discovered, Page, discovery_reply
from tests.integration.doctor.liar import HEALTHY, IDENTITY, OTHER, Liar, controller, failed, said, visit
from tests.integration.sim.test_sessions import meeting, plan


def jar(version: str = "3355.v1", java: str = "21") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", f"Manifest-Version: 1.0\nJava-Version: {java}\nVersion: {version}\n")
    return file.getvalue()


def served(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


def at(port: tuple[str, int], spki: bytes = IDENTITY.spki, protocol: str = "JNLP4-connect") -> bytes:
    told = Discovered(host=port[0], port=port[1], identity=spki, protocols=(protocol, "Ping"))
    return discovery_reply(told)


async def test_a_sound_controller_passes_over_both_transports() -> None:
    async with controller().running() as jenkins:
        checks = await visit(jenkins.url)
        assert failed(checks) == {}
        assert IDENTITY.fingerprint in checks["discovery"].message
        assert checks["identity"].status is checks["websocket"].status is checks["agent port"].status is Status.OK


async def test_a_closed_port_that_the_gateway_is_to_dial_is_wrong() -> None:
    async with controller(transports=frozenset({Transport.WEBSOCKET})).running() as jenkins:
        assert failed(await visit(jenkins.url)) == {}
        assert "remove controllers.main.agents" in failed(await visit(jenkins.url, agents_by_tcp=True))["discovery"]


async def test_an_identity_of_the_config_that_is_another_one_is_wrong() -> None:
    async with controller().running() as jenkins:
        pins = [base64.b64encode(identity.spki).decode() for identity in (IDENTITY, OTHER)]
        assert failed(await visit(jenkins.url, agents_by_tcp=True, instance_identity=pins[0])) == {}
        wrong = failed(await visit(jenkins.url, agents_by_tcp=True, instance_identity=pins[1]))
        assert OTHER.fingerprint in wrong["discovery"]
        assert IDENTITY.fingerprint in wrong["discovery"]


async def test_the_port_is_asked_where_the_config_says_that_it_is() -> None:
    async with controller().running() as jenkins, Liar({}).running() as liar:
        port = urlsplit(liar.url).port or 0
        checks = await visit(jenkins.url, agents_by_tcp=True, agent_address=("127.0.0.1", port))
        assert f"agent port 127.0.0.1:{port} (controllers.main.agent_address)" in checks["discovery"].message
        assert "agent port" in failed(checks)


async def test_a_visit_opens_no_session_shows_no_cookie_and_names_nobody() -> None:
    async with controller().running() as jenkins:
        jenkins.add("a1")
        await visit(jenkins.url)
        assert len(jenkins.shown) == 2
        assert {hello.cookie for hello in jenkins.shown} == {""}
        assert all(hello.name.startswith("agentbroker-doctor-") for hello in jenkins.shown)
        assert len({hello.name for hello in jenkins.shown}) == 2
        assert not jenkins.sessions


WAYS = pytest.mark.parametrize("transports", [frozenset(Transport), frozenset({Transport.WEBSOCKET})])


@WAYS
async def test_a_connected_agent_stays_connected_when_its_secret_is_looked_at(transports: frozenset[Transport]) -> None:
    jenkins = controller(transports=transports)
    async with meeting(jenkins) as swarm:
        agent = plan(jenkins, "a1", Transport.WEBSOCKET)
        swarm.start([agent])
        await swarm.until(State.CONNECTED, 1, within_s=30)
        checks = await visit(jenkins.url, node=Node(name="a1", secret=agent.secret))
        assert failed(checks) == {}
        assert "it is connected" in checks["secret"].message
        assert swarm.counts() == {State.CONNECTED: 1}
        assert jenkins.sessions["a1"] == 1


@WAYS
async def test_a_secret_that_is_right_opens_no_session_and_a_wrong_one_fails(transports: frozenset[Transport]) -> None:
    async with controller(transports=transports).running() as jenkins:
        right = await visit(jenkins.url, node=Node(name="a1", secret=jenkins.add("a1")))
        wrong = await visit(jenkins.url, node=Node(name="a1", secret="0" * 64))
        await asyncio.sleep(0.1)
        assert "belong together" in right["secret"].message
        assert set(failed(wrong)) == {"secret"}
        assert not jenkins.sessions


async def test_without_an_agent_port_websocket_is_enough() -> None:
    async with controller(transports=frozenset({Transport.WEBSOCKET})).running() as jenkins:
        checks = await visit(jenkins.url)
        assert failed(checks) == {}
        assert "the agent port is closed" in checks["discovery"].message


async def test_a_port_of_another_controller_is_told_by_its_key_and_gets_no_name() -> None:
    async with controller().running() as jenkins:
        lies = HEALTHY | {Page.DISCOVERY: at(jenkins.address, OTHER.spki)}
        async with Liar(lies).running() as liar:
            found = failed(await visit(liar.url))
        assert set(found) == {"identity"}
        assert IDENTITY.fingerprint in found["identity"]
        assert OTHER.fingerprint in found["identity"]
        assert jenkins.shown == []


EC = ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
PORT = ("127.0.0.1", 9)


@pytest.mark.parametrize(
    ("page", "answer", "check", "words"),
    [
        (Page.DISCOVERY, at(PORT, EC), "discovery", "is not an RSA key"),
        (Page.DISCOVERY, at(PORT, protocol="JNLP3-connect"), "discovery", "not JNLP4-connect"),
        (Page.DISCOVERY, said(200, "Jenkins"), "discovery", "this is not Jenkins"),
        (Page.DISCOVERY, said(403), "discovery", "without a login"),
        (Page.DISCOVERY, said(500), "discovery", "500"),
        (Page.DISCOVERY, b"SSH-2.0-OpenSSH\r\n\r\n", "discovery", "is not HTTP"),
        (Page.LOGIN, said(200, "hello"), "jenkins", "no page of Jenkins"),
        (Page.LOGIN, said(302, fields=[("Location", "https://sso.example/")]), "jenkins", "https://sso.example/"),
        (Page.LOGIN, said(401), "jenkins", "wants a login"),
        (Page.LOGIN, said(503), "jenkins", "starting"),
        (Page.LOGIN, b"", "jenkins", "without an answer"),
        (Page.WEBSOCKET, said(404), "websocket", "is not there"),
        (Page.WEBSOCKET, said(403), "websocket", "before Jenkins looks for it"),
        (Page.WEBSOCKET, said(400, "only for use from agent.jar"), "websocket", "let the proxy pass Node-Name"),
        (Page.WEBSOCKET, said(502), "websocket", "502"),
        (Page.AGENT_JAR, said(200, "no jar"), "remoting", "not a jar"),
    ],
)
async def test_a_lie_fails_its_check_and_is_explained(page: Page, answer: bytes, check: str, words: str) -> None:
    async with Liar(HEALTHY | {page: answer}).running() as liar:
        found = failed(await visit(liar.url))
        assert set(found) - {"agent port"} == {check}
        assert words in found[check]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "not that of a port for inbound agents"),
        (b"", "without an answer to Ping"),
    ],
)
async def test_another_program_on_the_agent_port_is_told(answer: bytes, words: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, Liar(HEALTHY | {Page.DISCOVERY: at(server.sockets[0].getsockname()[:2])}).running() as liar:
        checks = await visit(liar.url)
        assert set(failed(checks)) == {"agent port"}
        assert words in failed(checks)["agent port"]
        assert checks["identity"].status is Status.SKIPPED


async def test_a_controller_that_refuses_everybody_with_words_is_cited() -> None:
    behaviour = Behaviour(kind=Kind.REFUSES, text="the fair is closed")
    async with controller(behaviour=behaviour).running() as jenkins:
        assert "the fair is closed" in failed(await visit(jenkins.url))["identity"]


async def test_nobody_there_is_one_failure_and_the_rest_is_not_asked() -> None:
    checks = await visit("http://127.0.0.1:9/")
    assert set(failed(checks)) == {"address"}
    assert "the gateway must reach it" in failed(checks)["address"]
    assert checks["websocket"].status is Status.SKIPPED


async def test_a_clock_that_is_ten_minutes_off_is_a_warning() -> None:
    ago = format_datetime(datetime.now(UTC) - timedelta(minutes=10), usegmt=True)
    login = said(200, "log in", [("X-Jenkins", "2.568.2"), ("Date", ago)])
    async with Liar(HEALTHY | {Page.LOGIN: login}).running() as liar:
        clock = (await visit(liar.url))["clock"]
        assert clock.status is Status.WARNING
        assert "behind this one" in clock.message
        assert "NTP" in clock.hint


@pytest.mark.parametrize("date", ["", "yesterday", "Mon, 23 Nov 99999999999999999999 06:00:00 GMT"])
async def test_a_clock_that_says_no_time_is_not_judged(date: str) -> None:
    login = said(200, "log in", [("X-Jenkins", "2.568.2"), ("Date", date)])
    async with Liar(HEALTHY | {Page.LOGIN: login}).running() as liar:
        assert (await visit(liar.url))["clock"].status is Status.SKIPPED


def server_tls(authority: Authority, base: Path, **changes: object) -> ssl.SSLContext:
    pair = authority.issue(base, "jenkins", **changes)  # type: ignore[arg-type]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    return context


@pytest.mark.parametrize(
    ("changes", "trusted", "words"),
    [
        ({}, False, "name its CA in controllers.main.ca_file, or put it among those of this system"),
        ({"lasts": timedelta(minutes=-1)}, True, "it has expired"),
        ({"hosts": ("jenkins.example",)}, True, "a name that it has: jenkins.example"),
    ],
)
async def test_a_certificate_that_the_gateway_will_not_trust_is_explained_and_sent_nothing(
    tmp_path: Path, changes: dict[str, object], *, trusted: bool, words: str
) -> None:
    authority = Authority()
    trust = ssl.create_default_context(cadata=authority.pem.decode()) if trusted else None
    async with Liar(HEALTHY, server_tls(authority, tmp_path / "s", **changes)).running() as liar:
        found = failed(await visit(liar.url, trust=trust))
        assert set(found) == {"certificate"}
        assert "the gateway will not trust this certificate" in found["certificate"]
        assert words in found["certificate"]
        assert liar.heard == []


async def test_a_trusted_certificate_passes_and_an_old_one_is_a_warning(tmp_path: Path) -> None:
    authority = Authority()
    trust = ssl.create_default_context(cadata=authority.pem.decode())
    async with Liar(HEALTHY, server_tls(authority, tmp_path / "s")).running() as liar:
        assert (await visit(liar.url, trust=trust))["certificate"].status is Status.OK
    async with Liar(HEALTHY, server_tls(authority, tmp_path / "t", lasts=timedelta(days=3))).running() as liar:
        checks = await visit(liar.url, trust=trust)
        assert checks["certificate"].status is Status.WARNING
        assert failed(checks) == {}


async def test_https_where_none_is_spoken_and_the_reverse_are_told(tmp_path: Path) -> None:
    async with Liar(HEALTHY).running() as liar:
        assert "does not speak TLS" in failed(await visit(liar.url.replace("http:", "https:")))["certificate"]


def pool(**options: object) -> Pool:
    return Pool(name=PoolName("here"), backend=BackendName("process"), options=options)


async def test_a_jar_that_is_too_old_for_the_controller_fails(tmp_path: Path) -> None:
    old = tmp_path / "agent.jar"
    old.write_bytes(jar("3107.v665000b_51092"))
    async with controller().running() as jenkins:
        found = failed(await visit(jenkins.url, pools=(pool(agent_jar=str(old)),)))
        assert "3107.v665000b_51092, and the controller wants 3176.v207ec082a_8c0" in found["agent jar"]


async def test_a_java_that_is_too_old_for_what_the_controller_sends_fails(tmp_path: Path) -> None:
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\necho 'openjdk version \"17.0.9\" 2023-10-17' >&2\n")
    java.chmod(0o755)
    async with Liar(HEALTHY | {Page.AGENT_JAR: served(jar())}).running() as liar:
        checks = await visit(liar.url, pools=(pool(java=str(java)),))
        assert "agents need Java 21" in checks["remoting"].message
        assert f"{java} is Java 17, and agents of this controller need 21" in failed(checks)["java"]
        java.write_text("#!/bin/sh\necho 'openjdk version \"21.0.1\" 2023-10-17' >&2\n")
        assert failed(await visit(liar.url, pools=(pool(java=str(java)),))) == {}


@pytest.mark.parametrize(
    ("version", "minimum", "expected"),
    [("3107.v6", "3176.v2", True), ("4.13.3", "3176.v2", True), ("3355.v3", "3176.v2", False), ("4.9", "4.13", True)],
)
def test_versions_of_remoting_are_compared_by_their_numbers(version: str, minimum: str, *, expected: bool) -> None:
    assert older(version, minimum) is expected
