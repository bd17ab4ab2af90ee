"""The URLs that an agent knows of its controller, and what it is told under them.

Source: hudson.remoting.Engine and JnlpAgentEndpointResolver (Remoting), hudson.TcpSlaveAgentListener (Jenkins core).
"""

from enum import StrEnum
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from broker.inbound.http import text_reply

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
