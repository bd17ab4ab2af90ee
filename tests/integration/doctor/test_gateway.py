"""What `agentbroker doctor --gateway` sees, and how it explains each wrong answer."""

import ssl
from datetime import timedelta
from pathlib import Path

import pytest

from broker.demo.authority import Authority
from broker.doctor.report import Status
from broker.inbound.discovery import Page, websocket_only_reply
from tests.integration.doctor.liar import Liar, failed, said, visit_gateway
from tests.integration.doctor.test_controller import server_tls
from tests.integration.gateway.world import World

SOUND = {
    Page.LOGIN: said(200, "agents may come in"),
    Page.DISCOVERY: websocket_only_reply(),
    Page.WEBSOCKET: said(403, "unknown agent"),
}


async def test_a_running_gateway_passes_and_its_controller_hears_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    async with world.running():
        host, port = world.address
        checks = await visit_gateway(f"http://{host}:{port}")
        assert failed(checks) == {}
        assert {check.status for check in checks.values()} == {Status.OK}
        assert world.controller.writers == []


async def test_without_its_control_plane_a_gateway_fails_with_what_to_look_at(tmp_path: Path) -> None:
    world = World(tmp_path)
    async with world.running():
        await world.control.close()
        host, port = world.address
        found = failed(await visit_gateway(f"http://{host}:{port}"))
        assert set(found) == {"websocket"}
        assert "agentbroker serve" in found["websocket"]


async def test_a_certificate_that_agents_will_not_trust_is_told_so(tmp_path: Path) -> None:
    authority = Authority()
    pair = authority.issue(tmp_path / "gateway", "gateway")
    ca = authority.write(tmp_path / "ca.crt")
    world = World(tmp_path)
    async with world.running(tls_cert=pair.certificate, tls_key=pair.key):
        host, port = world.address
        url = f"https://{host}:{port}"
        found = failed(await visit_gateway(url))
        assert set(found) == {"certificate"}
        assert found["certificate"].startswith("agents will not trust this certificate: its issuer is not known here")
        assert "gateway.tls.ca_file" in found["certificate"]
        trust = ssl.create_default_context(cafile=str(ca))
        assert failed(await visit_gateway(url, trust=trust, ca_file=ca)) == {}


async def test_an_expired_certificate_is_told_as_that(tmp_path: Path) -> None:
    authority = Authority()
    trust = ssl.create_default_context(cadata=authority.pem.decode())
    tls = server_tls(authority, tmp_path / "s", lasts=timedelta(minutes=-1))
    async with Liar(SOUND, tls).running() as liar:
        found = failed(await visit_gateway(liar.url.removesuffix("/jenkins/"), trust=trust))
        assert "agents will not trust this certificate: it has expired" in found["certificate"]


@pytest.mark.parametrize(
    ("page", "answer", "check", "words"),
    [
        (
            Page.WEBSOCKET,
            said(400, "only WebSocket connections are accepted here"),
            "websocket",
            "does not reach the gateway",
        ),
        (
            Page.WEBSOCKET,
            said(400, "Node-Name, Secret-Key and X-Remoting-Capability are needed"),
            "websocket",
            "headers",
        ),
        (Page.WEBSOCKET, said(503, "try again"), "websocket", "try again"),
        (Page.WEBSOCKET, said(426), "websocket", "426"),
        (Page.WEBSOCKET, said(101), "websocket", "not the gateway"),
        (Page.LOGIN, said(404), "login", "not a path of a controller"),
        (Page.LOGIN, said(302), "login", "302"),
        (Page.DISCOVERY, said(503), "discovery", "away"),
        (Page.DISCOVERY, said(200, "hello"), "discovery", "agents cannot use"),
    ],
)
async def test_a_wrong_answer_fails_its_check_and_is_explained(
    page: Page, answer: bytes, check: str, words: str
) -> None:
    async with Liar(SOUND | {page: answer}).running() as liar:
        found = failed(await visit_gateway(liar.url.removesuffix("/jenkins/")))
        assert set(found) == {check}
        assert words in found[check]
