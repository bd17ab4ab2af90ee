"""The URLs that an agent knows of its controller, and what it is told under them.

Source: hudson.remoting.Engine and JnlpAgentEndpointResolver (Remoting), hudson.TcpSlaveAgentListener (Jenkins core).
"""

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from broker.inbound.address import HttpBase
from broker.inbound.blocks import Malformed
from broker.inbound.http import ResponseHead, text_reply
from broker.inbound.identity import is_rsa

MINIMUM_VERSION: Final = "X-Remoting-Minimum-Version"
_PORT: Final = "X-Jenkins-JNLP-Port"
_OLD_PORT: Final = "X-Hudson-JNLP-Port"
_HOST: Final = "X-Jenkins-JNLP-Host"
_PROTOCOLS: Final = "X-Jenkins-Agent-Protocols"
_IDENTITY: Final = "X-Instance-Identity"
_SCHEMES: Final = {"ws": "http", "wss": "https", "http": "http", "https": "https"}


class Page(StrEnum):
    """What an agent asks for under its `-url`."""

    DISCOVERY = "tcpSlaveAgentListener/"
    LOGIN = "login"
    WEBSOCKET = "wsagents/"
    AGENT_JAR = "jnlpJars/agent.jar"


def agent_url(advertise: str, controller: str) -> str:
    """The `-url` of a controller's agents at a gateway: http or https, ending in a slash. Raises ValueError."""
    parts = urlsplit(advertise)
    if parts.scheme not in _SCHEMES or not parts.netloc:
        raise ValueError(f"{advertise!r} is not a ws, wss, http or https URL")
    return f"{_SCHEMES[parts.scheme]}://{parts.netloc}{parts.path.rstrip('/')}/c/{quote(controller, safe='')}/"


def split_target(target: str) -> tuple[str, Page] | None:
    """The path prefix, which begins and ends with a slash, and the page that a request's target names; None if none."""
    path = unquote(target.partition("?")[0]).rstrip("/")
    for page in Page:
        name = "/" + page.value.rstrip("/")
        if path.endswith(name):
            return path.removesuffix(name) + "/", page
    return None


def websocket_only_reply() -> bytes:
    """The answer to discovery where no TCP port is open: 404 as from Jenkins, with words that agent.jar logs.

    An agent started with -webSocket never asks; another one puts the status and its phrase into its log.
    """
    phrase = "only WebSocket is spoken here: start the agent with -webSocket"
    return text_reply(404, phrase + "\n", phrase=phrase)


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovered:
    """Where agents of a URL connect over TCP, and to whom. No protocols: an agent tries all that it knows."""

    host: str
    port: int
    identity: bytes
    """The SubjectPublicKeyInfo of an RSA key, in DER."""
    protocols: tuple[str, ...] = ()
    minimum_version: str = ""
    """Of Remoting; older agents give up on this URL. Empty: any will do."""


def discovery_reply(found: Discovered) -> bytes:
    """The answer to discovery where a TCP port is open. The host is always in it: it need not be that of the URL."""
    fields = [
        (_OLD_PORT, str(found.port)),
        (_PORT, str(found.port)),
        (_HOST, found.host),
        (_IDENTITY, base64.b64encode(found.identity).decode()),
        (_PROTOCOLS, ", ".join(found.protocols)),
        (MINIMUM_VERSION, found.minimum_version),
    ]
    return text_reply(200, "Jenkins\n", fields=[(name, value) for name, value in fields if value])


def read_discovery(head: ResponseHead, base: HttpBase) -> Discovered:
    """What an agent would make of an answer, checked in its order. Raises `Malformed` with what it would stumble on.

    A header that is there twice is malformed, unless it says the same.
    """
    if head.status != 200:
        raise Malformed(f"discovery is answered with {head.status}, not 200")
    minimum_version = _said(head, MINIMUM_VERSION)
    port = _said(head, _PORT) or _said(head, _OLD_PORT)
    if not port:
        raise Malformed(f"there is no {_PORT}: this is not Jenkins")
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65535):
        raise Malformed(f"{_PORT} is not a port")
    protocols = _words(head.fields.all(_PROTOCOLS))
    return Discovered(
        host=_said(head, _HOST) or base.host,
        port=int(port),
        identity=_identity(_said(head, _IDENTITY)),
        protocols=tuple(protocols),
        minimum_version=minimum_version,
    )


def _said(head: ResponseHead, name: str) -> str:
    values = set(head.fields.all(name))
    if len(values) > 1:
        raise Malformed(f"{name} is there more than once")
    return values.pop() if values else ""


def _words(values: Iterable[str]) -> Iterable[str]:
    return (word for value in values for word in (part.strip() for part in value.split(",")) if word)


def _identity(text: str) -> bytes:
    try:
        spki = base64.b64decode(text, validate=True)
    except ValueError:
        spki = b""
    if not spki or not is_rsa(spki):
        raise Malformed(f"{_IDENTITY} is missing, or is not an RSA key")
    return spki
