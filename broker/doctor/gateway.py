"""Whether agents come in through the gateway, asked at the address that they are given and as they ask."""

import secrets
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from broker.doctor.ask import Answer, ask, reached
from broker.doctor.certificate import check_certificate
from broker.doctor.port import check_dialogue, check_ping, impossible_name
from broker.doctor.report import Check, Report, Wrong
from broker.domain.definitions import Controller
from broker.inbound.address import HttpBase, parse_base
from broker.inbound.blocks import Malformed, plain
from broker.inbound.capability import USUAL
from broker.inbound.dialogue import Accepted4
from broker.inbound.discovery import Discovered, Page, read_discovery
from broker.inbound.headers import NODE_NAME, SECRET_KEY
from broker.inbound.identity import fingerprint
from broker.inbound.websocket import CAPABILITY, new_key

WHO: Final = "every agent"
_MISTRUST: Final = "agents will not trust this certificate"
_PAGES: Final = ("login", "discovery", "websocket")
_THROUGH: Final = "a proxy has to pass Upgrade and Connection on, and speak HTTP/1.1 to the gateway"
_LINK: Final = "see whether 'agentbroker serve' runs, and that the gateway reaches gateway.control"


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayVisit:
    """One look at a gateway at `url`, its `advertise` as http or https, for each of its controllers.

    `trust` is what agents trust: the system's CAs, and `ca_file` if they are given one.
    """

    url: str
    controllers: tuple[Controller, ...]
    trust: ssl.SSLContext
    ca_file: Path | None = None

    async def checks(self) -> list[Check]:
        """All of them, in order; what needs an earlier one that has failed is skipped."""
        report = Report("gateway")
        base = parse_base(self.url)
        there = await report.check("address", _address(base))
        if there and base.secure:
            remedy = (
                f"{self.ca_file} (gateway.tls.ca_file) has to hold the CA of gateway.tls.cert_file"
                if self.ca_file
                else "set gateway.tls.ca_file to its CA, which agents are then given, or use a public one"
            )
            there = await report.check("certificate", check_certificate(base, self.trust, WHO, _MISTRUST, remedy))
        checks = report.checks
        for controller in self.controllers:
            below = Report(f"gateway for {controller.name}")
            if there:
                await self._pages(below, parse_base(self.url + controller.gateway_path))
            else:
                below.skip(_PAGES, "not asked: the gateway cannot be reached")
            checks += below.checks
        return checks

    async def _pages(self, report: Report, base: HttpBase) -> None:
        await report.check("login", self._login(base))
        found: list[Discovered] = []
        await report.check("discovery", self._discovery(base, found))
        for discovered in found:
            if await report.check("agent port", check_ping(discovered, WHO)):
                await report.check("identity", _identity(discovered))
        await report.check("websocket", self._websocket(base))

    async def _login(self, base: HttpBase) -> str:
        answer = await ask(base, Page.LOGIN, self.trust, WHO)
        if answer.head.status == 404:
            raise Wrong(
                f"{base.path} is not a path of a controller there",
                "let the proxy pass paths on as they are; reload the config",
            )
        if answer.head.status != 200:
            raise Wrong(
                f"login is answered with {_status(answer)}",
                "agents with WebSocket wait for a 200 here, without a login",
            )
        return f"{base.origin}{base.path} is the URL of agents"

    async def _discovery(self, base: HttpBase, found: list[Discovered]) -> str:
        answer = await ask(base, Page.DISCOVERY, self.trust, WHO)
        if answer.head.status == 404 and "WebSocket" in answer.head.phrase:
            return "WebSocket alone is spoken"
        if answer.head.status == 503:
            raise Wrong("the control plane or the controller is away: agents are told to come again", _LINK)
        try:
            found.append(read_discovery(answer.head, base))
        except Malformed as error:
            raise Wrong(
                f"agents cannot use what it says: {error}", "see what answers in place of the gateway"
            ) from None
        return f"TCP at {found[0].host}:{found[0].port}, identity {fingerprint(found[0].identity)}"

    async def _websocket(self, base: HttpBase) -> str:
        """A real upgrade, as a name that does not exist: a gateway refuses it before any controller hears of it."""
        fields = [
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", new_key()),
            ("Origin", base.origin),
            (NODE_NAME, impossible_name()),
            (SECRET_KEY, secrets.token_hex(32)),
            (CAPABILITY, USUAL),
        ]
        answer = await ask(base, Page.WEBSOCKET, self.trust, WHO, fields=fields)
        status, words = answer.head.status, plain(answer.body.decode("utf-8", "replace"))
        if status == 403 and words:
            return "an agent that does not exist is refused, as it has to be"
        if status == 101:
            raise Wrong("it lets in an agent that does not exist", "this is not the gateway: check who answers there")
        if status == 400 and "WebSocket connections" in words:
            raise Wrong("the upgrade to WebSocket does not reach the gateway", _THROUGH)
        if status == 400 and NODE_NAME in words:
            raise Wrong(
                "headers of the agent do not reach the gateway",
                "let the proxy pass Node-Name, Secret-Key and X-Remoting-Capability",
            )
        if status == 503:
            raise Wrong(f"nobody new gets in: {words}", _LINK)
        raise Wrong(f"an upgrade is answered with {_status(answer)}", _THROUGH)


async def _identity(found: Discovered) -> str:
    answer = await check_dialogue(found, WHO, impossible_name(), secrets.token_hex(32))
    if isinstance(answer, Accepted4):
        raise Wrong("it lets in an agent that does not exist", "this is not the gateway: check who listens there")
    return f"the key is the one of discovery, and an agent that does not exist is told: {answer.text}"


def _status(answer: Answer) -> str:
    return f"{answer.head.status} {plain(answer.head.phrase, 80)}".rstrip()


async def _address(base: HttpBase) -> str:
    async with reached(base.host, base.port, WHO):
        return f"{base.authority} answers from here; {WHO} must reach it from where it runs"
