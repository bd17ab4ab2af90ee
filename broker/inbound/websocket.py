"""The upgrade of an agent's WebSocket, on both sides of a gateway; without any input or output.

Sources: jenkins.agents.WebSocketAgents (Jenkins core), hudson.remoting.Engine.runWebSocket (Remoting), RFC 6455.
"""

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from broker.inbound.address import HttpBase
from broker.inbound.blocks import plain
from broker.inbound.capability import is_capability
from broker.inbound.discovery import MINIMUM_VERSION, Page
from broker.inbound.headers import COOKIES, NAME, NODE_NAME, SECRET, SECRET_KEY
from broker.inbound.http import MalformedHead, RequestHead, ResponseHead, render, text_reply

CAPABILITY: Final = "X-Remoting-Capability"
COOKIE: Final = "Connection-Cookie"
LEAVE: Final = "99999.the-work-of-this-agent-is-over"
"""The version of Remoting that is asked of an agent which is to end itself."""
_GUID: Final = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRequest:
    """What an agent shows when it asks for its WebSocket."""

    name: str
    secret: str = field(repr=False)
    capability: str
    cookie: str = field(default="", repr=False)
    key: str
    extensions: tuple[str, ...] = ()


class Answer(StrEnum):
    """What a controller's reply to an upgrade means for the agent."""

    ACCEPTED = "accepted"
    UNKNOWN_NAME = "unknown name"
    FORBIDDEN = "forbidden"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"


def read_agent_request(head: RequestHead) -> AgentRequest:
    """Checks an agent's request as the controller would, and stricter. Raises `MalformedHead` with what is wrong."""
    name, secret, capability = (head.fields.one(key) for key in (NODE_NAME, SECRET_KEY, CAPABILITY))
    if name is None or secret is None or capability is None:
        raise MalformedHead(
            f"{NODE_NAME}, {SECRET_KEY} and {CAPABILITY} are needed: only agent.jar -webSocket asks here"
        )
    cookie = head.fields.one(COOKIE) or ""
    for what, fits in (
        (NODE_NAME, NAME.fullmatch(name)),
        (SECRET_KEY, SECRET.fullmatch(secret)),
        (CAPABILITY, is_capability(capability)),
    ):
        if not fits:
            raise MalformedHead(f"{what} is malformed")
    if cookie and not COOKIES.fullmatch(cookie):
        raise MalformedHead(f"{COOKIE} is malformed")
    return AgentRequest(
        name=name,
        secret=secret,
        capability=capability,
        cookie=cookie,
        key=_upgrade_key(head),
        extensions=tuple(head.fields.all("Sec-WebSocket-Extensions")),
    )


def _upgrade_key(head: RequestHead) -> str:
    upgrades = "websocket" in head.fields.tokens("Upgrade") and "upgrade" in head.fields.tokens("Connection")
    if head.method != "GET" or not upgrades:
        raise MalformedHead("only WebSocket connections are accepted here")
    if head.fields.one("Sec-WebSocket-Version") != "13":
        raise MalformedHead("Sec-WebSocket-Version is not 13")
    key = head.fields.one("Sec-WebSocket-Key") or ""
    try:
        size = len(base64.b64decode(key, validate=True))
    except (binascii.Error, ValueError):
        size = 0
    if size != 16:
        raise MalformedHead("Sec-WebSocket-Key is malformed")
    return key


def controller_request(request: AgentRequest, base: HttpBase, *, secret: str, cookie: str) -> bytes:
    """The agent's request as the controller gets it: with the real secret and the controller's own cookie, if any."""
    fields = [
        ("Host", base.authority),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Origin", base.origin),
        ("Sec-WebSocket-Key", request.key),
        ("Sec-WebSocket-Version", "13"),
        *(("Sec-WebSocket-Extensions", value) for value in request.extensions),
        (NODE_NAME, request.name),
        (SECRET_KEY, secret),
        (CAPABILITY, request.capability),
        *([(COOKIE, cookie)] if cookie else []),
    ]
    return render(f"GET {base.path}{Page.WEBSOCKET} HTTP/1.1", fields)


def judge(head: ResponseHead, body: bytes, key: str) -> tuple[Answer, str]:
    """What a controller's reply to `controller_request` means, and in which words. `body` may be cut."""
    if head.status == 101:
        accept = head.fields.all("Sec-WebSocket-Accept")
        upgraded = "websocket" in head.fields.tokens("Upgrade") and accept == [accept_value(key)]
        return (Answer.ACCEPTED, "") if upgraded else (Answer.UNAVAILABLE, "its 101 is not of our upgrade")
    if head.status == 400 and b"no such agent" in body:
        return Answer.UNKNOWN_NAME, "no such agent"
    if head.status == 400:
        return Answer.REFUSED, _words(body) or "400 without words"
    if head.status == 403:
        return Answer.FORBIDDEN, "the controller does not take the agent's secret"
    return Answer.UNAVAILABLE, f"it answered {head.status} {plain(head.phrase)}".rstrip()


def agent_reply(head: ResponseHead, cookie: str) -> bytes:
    """The controller's 101 as the agent gets it: with our cookie in place of the controller's."""
    passed = ("Sec-WebSocket-Accept", "Sec-WebSocket-Extensions", CAPABILITY, MINIMUM_VERSION)
    fields = [("Upgrade", "websocket"), ("Connection", "Upgrade")]
    fields += [(name, value) for name in passed for value in head.fields.all(name)]
    return render("HTTP/1.1 101 Switching Protocols", [*fields, (COOKIE, cookie)])


def own_reply(key: str, *, capability: str, cookie: str, minimum_version: str = "") -> bytes:
    """A 101 of our own, for an agent whose controller is reached in another way."""
    fields = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", accept_value(key)),
        (CAPABILITY, capability),
        *([(MINIMUM_VERSION, minimum_version)] if minimum_version else []),
        (COOKIE, cookie),
    ]
    return render("HTTP/1.1 101 Switching Protocols", fields)


def refusal(status: int, message: str, *, over: bool = False) -> bytes:
    """No. An agent backs off from it and asks again, unless it is `over`: then it ends itself at once.

    agent.jar takes a required version beyond its own, in whichever answer, for an error that ends its process
    (hudson.remoting.Engine.runWebSocket, HeaderHandler.afterResponse); what follows the number is the word in its log.
    """
    leave = [(MINIMUM_VERSION, LEAVE)] if over else []
    return text_reply(status, message + "\n", fields=leave)


def controller_cookie(head: ResponseHead, presented: str) -> str:
    """The cookie that the controller holds for the connection it accepted."""
    return next((value for value in head.fields.all(COOKIE) if COOKIES.fullmatch(value)), presented)


def accept_value(key: str) -> str:
    """The `Sec-WebSocket-Accept` that belongs to a `Sec-WebSocket-Key` (RFC 6455 section 4.2.2)."""
    return base64.b64encode(hashlib.sha1(key.encode() + _GUID.encode(), usedforsecurity=False).digest()).decode()


def new_key() -> str:
    """A `Sec-WebSocket-Key` for an upgrade of our own."""
    return base64.b64encode(secrets.token_bytes(16)).decode()


def new_cookie() -> str:
    """A cookie as Jenkins makes them: 32 random bytes in hex (jenkins.slaves.JnlpAgentReceiver.generateCookie)."""
    return secrets.token_hex(32)


def derived_cookie(name: str, real_secret: str) -> str:
    """The cookie to show a controller whose own is not known: always the same for a node.

    The controller keeps the cookie that a WebSocket shows, so this one takes over even from a connection whose gateway
    was killed. Only who knows the real secret can make it.
    """
    return hmac.new(real_secret.encode(), b"connection-cookie\0" + name.encode(), hashlib.sha256).hexdigest()


def _words(body: bytes) -> str:
    text = _without("script", _without("style", body.decode("utf-8", "replace")))
    return plain(re.sub(r"<[^<>]*>", " ", text))


def _without(element: str, text: str) -> str:
    """What is not in such elements; looks at each character a few times at most, whatever they are."""
    kept, at = [], 0
    while (start := text.find(f"<{element}", at)) >= 0:
        kept.append(text[at:start])
        end = text.find(f"</{element}>", start)
        at = len(text) if end < 0 else end + len(element) + 3
    return " ".join([*kept, text[at:]])
