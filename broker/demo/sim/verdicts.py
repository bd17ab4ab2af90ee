"""Whom a controller lets in, in the order of Jenkins' checks and with its texts.

Source: jenkins.slaves.JnlpSlaveAgentProtocol4, DefaultJnlpSlaveReceiver and jenkins.agents.WebSocketAgents.
"""

import hmac
from enum import StrEnum


class Verdict(StrEnum):
    """What becomes of an agent that knocks."""

    WELCOME = "welcome"
    UNKNOWN = "unknown"
    FORBIDDEN = "forbidden"
    CONNECTED = "connected"


def judge(*, known: str | None, shown: str, live_cookie: str | None, cookie: str) -> Verdict:
    """`known` is the secret of the node, None without one; `live_cookie` that of its agent, None without one.

    An agent that shows the cookie of the live one is welcome: it takes over from itself.
    """
    if known is None:
        return Verdict.UNKNOWN
    if not hmac.compare_digest(known.encode(), shown.encode()):
        return Verdict.FORBIDDEN
    if live_cookie is not None and not hmac.compare_digest(live_cookie.encode(), cookie.encode()):
        return Verdict.CONNECTED
    return Verdict.WELCOME


def refusal_by_port(verdict: Verdict, name: str) -> str:
    """What an agent is told over TCP."""
    match verdict:
        case Verdict.UNKNOWN:
            return f"Unknown client name: {name}"
        case Verdict.FORBIDDEN:
            return "Authorization failure"
        case _:
            return connected_already(name)


def refusal_by_http(verdict: Verdict, name: str) -> tuple[int, str]:
    """The status and the text of the answer to an upgrade."""
    match verdict:
        case Verdict.UNKNOWN:
            return 400, "no such agent"
        case Verdict.FORBIDDEN:
            return 403, "Forbidden"
        case _:
            return 400, connected_already(name)


def connected_already(name: str) -> str:
    """What is said of a second agent of a name."""
    return f"{name} is already connected to this controller. Rejecting this connection."
