"""JNLP4-connect between TLS and the channel, on both sides: headers, then an answer to the other's headers.

Sources: org.jenkinsci.remoting.protocol.impl.ConnectionHeadersFilterLayer (Remoting),
jenkins.slaves.JnlpSlaveAgentProtocol4 and DefaultJnlpSlaveReceiver (Jenkins core). Nothing here is bound to TLS, and
nothing waits: who feeds these machines has the time limits.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from broker.inbound.blocks import MAX_HEADERS, BlockReader, Malformed, block, plain
from broker.inbound.headers import COOKIE, COOKIES, NAME, NODE_NAME, SECRET, SECRET_KEY, read_headers, write_headers

OK: Final = block(b"OK")
BYE: Final = block(b"BYE")
"""What the refused side says last."""
_REFUSALS: Final = ("ERROR: ", "FATAL: ")
_CONFIRMATION: Final = len(OK) + len(BYE)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentHello:
    """What an agent shows; `cookie` only from the second connection of its JVM on."""

    name: str
    secret: str = field(repr=False)
    cookie: str = field(default="", repr=False)


class ServerDialogue:
    """The side towards an agent: hears it, answers once, hears that the answer has arrived.

    An agent sets no time limit on this phase, so the answer may wait for somebody else's word.
    """

    __slots__ = ("_blocks", "_refused", "surplus")

    def __init__(self) -> None:
        """TLS is up, and nothing has come yet."""
        self._blocks = BlockReader(MAX_HEADERS)
        self._refused: bool | None = None
        self.surplus = b""
        """After `confirmed`: what came behind the agent's OK, the first bytes of its channel."""

    def feed(self, data: bytes) -> AgentHello | None:
        """What the agent shows, once it is whole. Raises `Malformed`, which can still be refused."""
        raw = self._blocks.feed(data)
        return None if raw is None else _hello(read_headers(raw))

    @property
    def accepted(self) -> bool:
        """Whether the agent was let in: what it is told from then on is heard by its channel."""
        return self._refused is False

    def accept(self, cookie: str) -> bytes:
        """What to send to let the agent in: our headers with the cookie it is to show next time, and the OK."""
        self._refused = False
        return block(write_headers({COOKIE: cookie})) + OK

    def refuse(self, text: str) -> bytes:
        """What to send to keep it out: headers too, for an agent reads them first, and words that it logs.

        It takes a FATAL for nothing else than this ERROR and comes back after ten seconds.
        """
        self._refused = True
        return block(b"{}") + block((_REFUSALS[0] + plain(text, 1000)).encode())

    def confirmed(self, data: bytes) -> bool:
        """Whether the agent has heard the answer; `data` may be empty, to look at what has come before it.

        An accepted agent says OK, and what follows is `surplus`; `Malformed` if it refuses our side instead. A refused
        one says OK to our headers and then BYE; as from Java, any nine bytes will do.
        """
        if self._refused:
            self._blocks.rest += data[:_CONFIRMATION]
            return len(self._blocks.rest) >= _CONFIRMATION or BYE in self._blocks.rest
        raw = self._blocks.feed(data)
        if raw is None:
            return False
        if raw.decode(errors="replace").startswith(_REFUSALS):
            raise Malformed("the agent refuses this side of the connection")
        self.surplus = bytes(self._blocks.rest)
        self._blocks.rest.clear()
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted4:
    """The controller takes the agent. `cookie` is what it wants to see when the agent takes over from itself."""

    cookie: str = field(repr=False)
    surplus: bytes = field(default=b"", repr=False)
    """What came behind its OK: the first bytes of its channel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused4:
    """The controller does not take the agent; `text` is the reason in its words, as one printable line."""

    text: str
    unknown_name: bool = False
    bad_secret: bool = False
    connected: bool = False
    """An agent of that name is there already, and the cookie is not its own. The secret was right."""


class ClientDialogue:
    """The side towards a controller: shows an agent's name and secret, and hears whether it is taken."""

    __slots__ = ("_blocks", "_cookie", "_pending")

    def __init__(self) -> None:
        """TLS is up, and the controller's key is the one that is expected: what `start` gives holds the secret."""
        self._blocks = BlockReader(MAX_HEADERS)
        self._cookie: str | None = None
        self._pending = b""

    def start(self, name: str, secret: str, cookie: str) -> bytes:
        """What to send first. A cookie, if not empty, ends the connection that holds it: none in a mere probe."""
        shown = {NODE_NAME: name, SECRET_KEY: secret}
        return block(write_headers({**shown, COOKIE: cookie} if cookie else shown))

    def feed(self, data: bytes) -> Accepted4 | Refused4 | None:
        """The controller's word once it is whole, after which nothing is to be fed. Raises `Malformed`.

        What `pending` gives is to be sent after each call: the controller waits for it.
        """
        raw = self._blocks.feed(data)
        if raw is not None and self._cookie is None:
            self._cookie = _cookie(read_headers(raw))
            self._pending += OK
            raw = self._blocks.feed(b"")
        if raw is None or self._cookie is None:
            return None
        answer = raw.decode(errors="replace")
        if answer.startswith(_REFUSALS):
            self._pending += BYE
            return _refused(answer.partition(": ")[2])
        return Accepted4(cookie=self._cookie, surplus=bytes(self._blocks.rest))

    def pending(self) -> bytes:
        """What is to be sent now, and is given once: OK to the controller's headers, BYE to its refusal."""
        pending, self._pending = self._pending, b""
        return pending


def _hello(headers: Mapping[str, str | None]) -> AgentHello:
    name, secret, cookie = headers.get(NODE_NAME) or "", headers.get(SECRET_KEY) or "", headers.get(COOKIE) or ""
    for what, pattern, value in ((NODE_NAME, NAME, name), (SECRET_KEY, SECRET, secret)):
        if not pattern.fullmatch(value):
            raise Malformed(f"{what} is missing or malformed")
    if cookie and not COOKIES.fullmatch(cookie):
        raise Malformed("the cookie is malformed")
    return AgentHello(name=name, secret=secret, cookie=cookie)


def _cookie(headers: Mapping[str, str | None]) -> str:
    """The cookie of a controller; one that could not be shown over WebSocket, too, is as good as none."""
    cookie = headers.get(COOKIE) or ""
    return cookie if COOKIES.fullmatch(cookie) else ""


def _refused(text: str) -> Refused4:
    return Refused4(
        text=plain(text) or "no words",
        unknown_name=text.startswith("Unknown client name: "),
        bad_secret=text == "Authorization failure",
        connected=" is already connected to this " in text,
    )
