"""The control link over TCP: both ends show who they are, and nothing on the wire can be read."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from broker.clock import SystemClock
from broker.demo.authority import Authority, Pair
from broker.domain.ids import AgentId
from broker.errors import GatewayError
from broker.gateway import linkserver
from broker.gateway.control import ControlServer
from broker.gateway.link import encode
from broker.gateway.linktls import GATEWAY_NAME, TlsControl, control_at, dial
from broker.gateway.settings import GatewaySettings
from broker.tls import PemFiles
from tests.integration.gateway.hand import HandGateway
from tests.integration.gateway.tap import Tap
from tests.integration.gateway.world import FakeDoorkeeper, Nudges, World, until

A1 = AgentId("id-a1")


class Link:
    """Certificates of a link, and addresses with them."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(exist_ok=True)
        self.directory, self.authority = directory, Authority("link")
        self.ca = self.authority.write(directory / "ca.crt")
        self.control = self.authority.issue(directory / "control", "control plane")
        self.gateway = self.authority.issue(directory / "gateway", "gateway", hosts=[GATEWAY_NAME])

    def at(self, pair: Pair, port: int = 0, host: str = "127.0.0.1") -> TlsControl:
        files = PemFiles(certificate=pair.certificate, key=pair.key, client_ca=self.ca)
        return TlsControl(host=host, port=port, files=files)


class TlsWorld(World):
    """A gateway that is linked over TCP, through a tap."""

    def __init__(self, directory: Path) -> None:
        self.link = Link(directory / "link")
        self.tap = Tap(self._where, dials=True)
        self._last = 0
        super().__init__(directory)

    def new_control(self) -> ControlServer:
        return ControlServer(self.link.at(self.link.control), self.doorkeeper, self.nudges, SystemClock())

    def _where(self) -> tuple[str, int]:
        with suppress(AssertionError):  # it is away
            self._last = self.control.port
        return "127.0.0.1", self._last

    @asynccontextmanager
    async def linked(self) -> AsyncIterator["TlsWorld"]:
        async with self.tap.running(), self.running(control=self.link.at(self.link.gateway, self.tap.port)):
            yield self


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[TlsWorld]:
    async with TlsWorld(tmp_path).linked() as world:
        yield world


async def test_no_secret_crosses_the_wire_in_clear(world: TlsWorld) -> None:
    minted = world.mint("canary-agent")
    agent = await world.knock("canary-agent", minted)
    assert agent.head.status == 101
    assert await agent.say(b"hello") == b"HELLO"
    await until(lambda: world.control.live(AgentId("id-canary-agent")))
    real = world.controller.nodes["canary-agent"]
    assert len(world.tap.passed) > 1000
    for secret in (minted, real, agent.cookie, world.controller.live["canary-agent"], "canary"):
        assert secret.encode() not in world.tap.passed


async def test_sessions_are_known_to_the_next_control_plane_over_tcp_too(world: TlsWorld) -> None:
    agent = await world.knock("a1", world.mint())
    await world.control.close()
    world.control = world.new_control()
    await world.control.start()
    await until(world.control.known)
    assert world.control.live(A1) is not None
    assert await agent.say(b"on") == b"ON"


@pytest.fixture
async def control(tmp_path: Path) -> AsyncIterator[tuple[ControlServer, Link]]:
    link = Link(tmp_path / "link")
    server = ControlServer(link.at(link.control), FakeDoorkeeper(), Nudges(), SystemClock())
    await server.start()
    yield server, link
    await server.close()


Setup = tuple[ControlServer, Link]


def client(link: Link, who: str) -> ssl.SSLContext | None:
    """What somebody who would like to be a gateway shows."""
    if who == "nobody, without TLS":
        return None
    context = ssl.create_default_context(cafile=str(link.ca))
    match who:
        case "another CA's gateway":
            pair = Authority("other").issue(link.directory / "other", "gateway", hosts=[GATEWAY_NAME])
        case "a controller":
            pair = link.authority.issue(link.directory / "main", "main", hosts=["ci.example.com"])
        case "a controller of that common name":
            pair = link.authority.issue(link.directory / "named", GATEWAY_NAME, hosts=())
        case "the gateway":
            pair = link.gateway
        case _:
            return context
    context.load_cert_chain(pair.certificate, pair.key)
    return context


async def says_hello(server: ControlServer, context: ssl.SSLContext | None) -> bytes:
    """What a hello is answered."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=context)
        writer.write(encode(HandGateway(Path(), "g1").hello()) + b'{"type":"ping"}\n')
        return await asyncio.wait_for(reader.readline(), 5)
    except OSError:
        return b""


@pytest.mark.parametrize(
    "who",
    [
        "nobody, without TLS",
        "nobody, without a certificate",
        "another CA's gateway",
        "a controller",
        "a controller of that common name",
    ],
)
async def test_nobody_but_a_gateway_is_listened_to(control: Setup, who: str) -> None:
    server, link = control
    assert await says_hello(server, client(link, who)) == b""
    assert server.linked_gateways() == ()


async def test_a_gateway_is_listened_to(control: Setup) -> None:
    server, link = control
    assert b"pong" in await says_hello(server, client(link, "the gateway"))


async def test_a_gateway_says_nothing_to_another_than_its_control_plane(control: Setup) -> None:
    server, link = control
    good = link.at(link.gateway, server.port)
    _, writer = await dial(good)
    writer.transport.abort()
    trusted = Authority("another").write(link.directory / "another.crt")
    with pytest.raises(ssl.SSLCertVerificationError):
        await dial(replace(good, files=replace(good.files, client_ca=trusted)))
    impostor = ControlServer(link.at(link.gateway), FakeDoorkeeper(), Nudges(), SystemClock())
    await impostor.start()
    try:
        with pytest.raises(ssl.SSLCertVerificationError, match="IP address mismatch"):
            await dial(replace(good, port=impostor.port))
    finally:
        await impostor.close()


async def test_a_gateway_that_falls_silent_is_away(control: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    server, link = control
    monkeypatch.setattr(linkserver, "_SILENCE_S", 0.3)
    _, writer = await dial(link.at(link.gateway, server.port))
    writer.write(encode(HandGateway(Path(), "g1").hello()))
    await until(server.linked_gateways)
    await until(lambda: not server.linked_gateways())


async def test_a_port_in_use_is_named(control: Setup) -> None:
    server, link = control
    second = ControlServer(link.at(link.control, server.port), FakeDoorkeeper(), Nudges(), SystemClock())
    with pytest.raises(GatewayError, match=f"cannot listen for gateways at tls://127.0.0.1:{server.port}"):
        await second.start()


def test_settings_with_such_a_link_can_be_kept_in_a_file(tmp_path: Path) -> None:
    at = Link(tmp_path / "link").at(Pair(certificate=Path("a.crt"), key=Path("a.key")), 7074, "broker.example.com")
    for control in (at, Path("/run/control.sock")):
        settings = GatewaySettings(control=control, controllers={}, paths={})
        settings.save(tmp_path / "settings.json")
        assert GatewaySettings.read(tmp_path / "settings.json") == settings


def test_an_address_of_the_config_is_taken_apart() -> None:
    assert control_at("unix:/run/control.sock", None) == Path("/run/control.sock")
    with pytest.raises(GatewayError, match=r"needs gateway\.control_tls"):
        control_at("tls://broker:7074", None)
