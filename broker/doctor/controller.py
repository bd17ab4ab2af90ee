"""Whether a controller is there for agents: what a gateway and agents ask of it, asked without disturbing any.

No channel is opened and no cookie is shown; the agent that is shown has a name that nobody has.
"""

import base64
import secrets
import ssl
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from broker.doctor.ask import Answer, ask, reached
from broker.doctor.certificate import check_certificate
from broker.doctor.java import JAR_LIMIT, check_jar, check_java, manifest_of
from broker.doctor.port import check_dialogue, check_ping, impossible_name, page_of
from broker.doctor.report import Check, Doubtful, Report, Skipped, Wrong
from broker.domain.definitions import Controller
from broker.domain.pool import Pool
from broker.inbound.address import HttpBase, parse_base
from broker.inbound.blocks import Malformed, plain
from broker.inbound.capability import USUAL
from broker.inbound.dialogue import Accepted4
from broker.inbound.discovery import Discovered, Page, read_discovery
from broker.inbound.headers import NODE_NAME, SECRET_KEY
from broker.inbound.identity import fingerprint
from broker.inbound.websocket import CAPABILITY, COOKIE

WHO: Final = "the gateway"
_CLOCK_S: Final = 60.0
_AFTER_ADDRESS: Final = ("jenkins", "clock", "discovery", "websocket", "remoting")


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A node of the controller with its real secret, to see whether they belong together."""

    name: str
    secret: str = field(repr=False)


@dataclass(slots=True, kw_only=True)
class ControllerVisit:
    """One look at one controller. `pools` are those whose Java and jar are on this machine."""

    controller: Controller
    trust: ssl.SSLContext
    pools: tuple[Pool, ...] = ()
    node: Node | None = None
    _login: Answer | None = None
    _minimum: str = ""
    _java: int = 0
    _found: Discovered | None = None

    async def checks(self) -> list[Check]:
        """All of them, in order; what needs an earlier one that has failed is skipped. Takes a minute at most each."""
        report = Report(f"controller {self.controller.name}")
        base = parse_base(self.controller.url)
        there = await report.check("address", _address(base))
        if there and base.secure:
            refusal, name = "the gateway will not trust this certificate", self.controller.name
            remedy = f"name its CA in controllers.{name}.ca_file, or put it among those of this system"
            if self.controller.ca_file:
                remedy = f"{self.controller.ca_file} (controllers.{name}.ca_file) has to hold its CA"
            there = await report.check("certificate", check_certificate(base, self.trust, WHO, refusal, remedy))
        if not there:
            report.skip(_AFTER_ADDRESS, "not asked: it cannot be reached")
            return report.checks
        if await report.check("jenkins", self._jenkins(base)):
            await report.check("clock", self._clock())
        await report.check("discovery", self._discovery(base))
        if self._found is not None:
            await self._port(report, self._found)
        await report.check("websocket", self._websocket(base))
        await report.check("remoting", self._remoting(base))
        await self._pools(report)
        if self.node is not None:
            await report.check("secret", self._secret(base, self.node))
        return report.checks

    async def _jenkins(self, base: HttpBase) -> str:
        """Agents with WebSocket ask for this page before each connection."""
        answer = self._login = await ask(base, Page.LOGIN, self.trust, WHO)
        status, url = answer.head.status, self.controller.url
        if 300 <= status < 400:
            raise Wrong(f"{url}login leads to {_elsewhere(answer)}", "use the URL that it leads to, without login")
        if status == 503:
            raise Wrong(
                "Jenkins is starting, or something before it has no Jenkins to ask (503)", "wait, and look again"
            )
        if status in {401, 403, 407}:
            raise Wrong(f"{url}login wants a login itself ({status})", _OPEN)
        if status != 200:
            raise Wrong(
                f"{url}login is answered with {status} {plain(answer.head.phrase)}",
                "check the path in controllers.X.url",
            )
        version = answer.header("X-Jenkins")
        if not version:
            raise Wrong(f"{url}login is no page of Jenkins: there is no X-Jenkins", "check controllers.X.url")
        return f"Jenkins {plain(version, 40)}"

    async def _clock(self) -> str:
        said = self._login.header("Date") if self._login is not None else ""
        try:
            told = parsedate_to_datetime(said)
        except (ValueError, OverflowError):
            raise Skipped("it does not say its time") from None
        if told.tzinfo is None:
            raise Skipped("it does not say its time")
        ahead = (told - datetime.now(UTC)).total_seconds()
        if abs(ahead) > _CLOCK_S:
            message = f"its clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} this one"
            raise Doubtful(
                message, "let both follow NTP: certificates seem expired or not yet valid, and logs do not match"
            )
        return "no more than a minute apart"

    async def _discovery(self, base: HttpBase) -> str:
        answer = await ask(base, Page.DISCOVERY, self.trust, WHO)
        name, told = self.controller.name, self.controller
        if answer.head.status == 404 and told.agents_by_tcp:
            hint = f"open it in the security settings of Jenkins, or remove controllers.{name}.agents"
            raise Wrong(f"the agent port is closed (404), and controllers.{name}.agents has the gateway dial it", hint)
        if answer.head.status == 404:
            return "the agent port is closed: agents use WebSocket, which is what the gateway dials"
        if answer.head.status in {401, 403, 407}:
            raise Wrong(f"tcpSlaveAgentListener/ is answered with {answer.head.status}", _OPEN)
        try:
            found = self._found = read_discovery(answer.head, base)
        except Malformed as error:
            hint = "agents over TCP would stumble on it; a proxy may have removed headers, or answers itself"
            raise Wrong(f"agents cannot use what it says: {error}", hint) from None
        self._minimum = plain(found.minimum_version, 40)
        if found.protocols and "JNLP4-connect" not in found.protocols:
            spoken = plain(", ".join(found.protocols), 100)
            raise Wrong(f"it offers {spoken} and not JNLP4-connect", "turn it on in the security settings of Jenkins")
        if told.agent_address is not None:
            host, port = told.agent_address
            self._found = found = replace(found, host=host, port=port)
        if told.instance_identity and base64.b64decode(told.instance_identity) != found.identity:
            pinned = fingerprint(base64.b64decode(told.instance_identity))
            message = (
                f"its identity is {fingerprint(found.identity)}, and controllers.{name}.instance_identity {pinned}"
            )
            raise Wrong(message, "the gateway would not dial it: write what Jenkins' header X-Instance-Identity says")
        where = f"agent port {found.host}:{found.port}"
        where += f" (controllers.{name}.agent_address)" if told.agent_address is not None else ""
        return f"{where}, identity {fingerprint(found.identity)}"

    async def _port(self, report: Report, found: Discovered) -> None:
        if not await report.check("agent port", check_ping(found, WHO)):
            report.skip(("identity",), "not asked: the agent port does not answer")
            return
        await report.check("identity", self._identity(found))

    async def _identity(self, found: Discovered) -> str:
        answer = await check_dialogue(found, WHO, impossible_name(), secrets.token_hex(32))
        if isinstance(answer, Accepted4):
            raise Wrong("it lets in an agent that does not exist", "this is not a controller: check who listens there")
        if not answer.unknown_name:
            hint = "a controller says that it does not know the name: check who listens there"
            raise Wrong(f"an agent that does not exist is told: {answer.text}", hint)
        version = plain((await page_of(found, WHO)).get("Jenkins-Version", ""), 40)
        return f"the key is the one of discovery, names are looked up{f', Jenkins {version}' if version else ''}"

    async def _websocket(self, base: HttpBase) -> str:
        """Without Upgrade: a real one that is taken opens a channel."""
        answer = await ask(
            base, Page.WEBSOCKET, self.trust, WHO, fields=_shown(impossible_name(), secrets.token_hex(32))
        )
        status, body = answer.head.status, answer.body
        if status == 400 and b"no such agent" in body:
            return "the page of agents answers, and headers reach it"
        if status == 400 and b"only for use from agent.jar" in body:
            raise Wrong(
                "headers of the agent do not reach Jenkins",
                "let the proxy pass Node-Name, Secret-Key and X-Remoting-Capability",
            )
        if status == 404:
            raise Wrong(
                "wsagents/ is not there (404)",
                "Jenkins before 2.217 has none; else check the path in controllers.X.url",
            )
        if status in {401, 403, 407}:
            raise Wrong(
                f"an agent that does not exist is answered {status} at wsagents/, before Jenkins looks for it", _OPEN
            )
        raise Wrong(
            f"an agent that does not exist is answered {status} at wsagents/",
            "Jenkins says 400: see what answers in its place",
        )

    async def _remoting(self, base: HttpBase) -> str:
        """What agents need: as the controller's own jar has it."""
        answer = await ask(base, Page.AGENT_JAR, self.trust, WHO, most=JAR_LIMIT)
        if answer.head.status != 200:
            raise Doubtful(f"jnlpJars/agent.jar is answered with {answer.head.status}", _FETCHED)
        try:
            manifest = manifest_of(answer.body)
        except ValueError as error:
            raise Wrong(f"jnlpJars/agent.jar: {error}", _FETCHED) from None
        java = manifest.get("Java-Version", "")
        self._java = int(java) if java.isdecimal() and len(java) < 4 else 0
        least = f", {self._minimum} or newer is taken" if self._minimum else ""
        wants = f"; agents need Java {self._java}, in images too" if self._java else ""
        return f"agent.jar {plain(manifest.get('Version', '?'), 40)}{least}{wants}"

    async def _pools(self, report: Report) -> None:
        for pool in self.pools:
            if pool.options.get("agent_jar"):
                await report.check("agent jar", check_jar(pool, self._minimum))
            if self._java and not pool.options.get("command"):
                await report.check("java", check_java(pool, self._java))

    async def _secret(self, base: HttpBase, node: Node) -> str:
        if self._found is not None:
            return await _secret_by_port(self._found, node)
        answer = await ask(base, Page.WEBSOCKET, self.trust, WHO, fields=_shown(node.name, node.secret))
        if answer.head.status == 403:
            raise Wrong(f"the secret is not that of {node.name}", "copy it from the node's page in Jenkins")
        if answer.head.status == 400 and (answer.header(COOKIE) or answer.header(CAPABILITY)):
            return f"{node.name} and its secret belong together"
        if answer.head.status == 400 and b"is already connected" in answer.body:
            return f"{node.name} and its secret belong together; it is connected"
        raise Wrong(
            f"{node.name} is not known, or no inbound agent ({answer.head.status})", "see the node's page in Jenkins"
        )


_FETCHED: Final = "agents without a jar of their own fetch it there: see what answers in its place"
_OPEN: Final = "let agents' pages through without a login: login, tcpSlaveAgentListener/, wsagents/, jnlpJars/"


async def _secret_by_port(found: Discovered, node: Node) -> str:
    answer = await check_dialogue(found, WHO, node.name, node.secret)
    if isinstance(answer, Accepted4):
        return f"{node.name} and its secret belong together"
    if answer.connected:
        return f"{node.name} and its secret belong together; it is connected"
    raise Wrong(f"{node.name} is told: {answer.text}", "copy the secret from the node's page in Jenkins")


def _shown(name: str, secret: str) -> Iterable[tuple[str, str]]:
    return ((NODE_NAME, name), (SECRET_KEY, secret), (CAPABILITY, USUAL))


def _elsewhere(answer: Answer) -> str:
    return plain(answer.header("Location"), 200) or "somewhere that it does not name"


async def _address(base: HttpBase) -> str:
    async with reached(base.host, base.port, WHO):
        return f"{base.authority} answers; {WHO} must reach it, agents need not"
