"""What can be asked of a port for inbound agents without disturbing any: nothing of it opens a channel.

Never with a cookie: one that is right would throw the agent out that holds it.
"""

import secrets
from typing import Final

from broker.doctor.ask import reached, soon
from broker.doctor.report import Wrong
from broker.inbound import ping
from broker.inbound.blocks import Malformed
from broker.inbound.dialogue import Accepted4, ClientDialogue, Refused4
from broker.inbound.discovery import Discovered
from broker.inbound.identity import fingerprint
from broker.inbound.pinned import client_context
from broker.inbound.preamble import ACK, UNKNOWN, AckReader, Protocol, request

_NOT_THERE: Final = (
    "another program, or another controller, answers on that port: compare it with the controller's settings"
)
_PAGE: Final = 4 * 1024


def impossible_name() -> str:
    """A name that no agent has: nobody can have guessed it."""
    return f"agentbroker-doctor-{secrets.token_hex(16)}"


async def check_ping(found: Discovered, who: str) -> str:
    """Whether a port for inbound agents answers; it does not say whose."""
    async with reached(found.host, found.port, who) as connection:
        until, data = soon(), b""
        await connection.send(ping.REQUEST, until)
        try:
            while not ping.is_reply(data):
                more = await connection.read_some(until)
                if not more:
                    raise EOFError("without an answer to Ping")
                data += more
        except Malformed as error:
            raise Wrong(f"{found.host}:{found.port}: {error}", _NOT_THERE) from None
    return f"{found.host}:{found.port} answers"


async def page_of(found: Discovered, who: str) -> dict[str, str]:
    """What the port's page says, such as Jenkins-Version."""
    async with reached(found.host, found.port, who) as connection:
        until, data = soon(), b""
        await connection.send(ping.PAGE_REQUEST, until)
        while len(data) < _PAGE and (more := await connection.read_some(until)):
            data += more
        try:
            return dict(ping.read_page(data))
        except Malformed as error:
            raise Wrong(f"{found.host}:{found.port}: {error}", _NOT_THERE) from None


async def check_dialogue(found: Discovered, who: str, name: str, secret: str) -> Accepted4 | Refused4:
    """What is said to a name and a secret, once the key is the one that was discovered; no channel is opened."""
    where = f"{found.host}:{found.port}"
    async with reached(found.host, found.port, who) as connection:
        try:
            until = soon()
            await connection.send(request(Protocol.JNLP4) + ACK, until)
            ack = AckReader()
            first = await connection.read_exactly(1, until)
            if first == UNKNOWN[:1]:
                raise Wrong(
                    f"{where} does not speak JNLP4-connect", "turn the protocol on in the security settings of Jenkins"
                )
            done = ack.feed(first)
            while not done:
                done = ack.feed(await connection.read_exactly(1, until))
            await connection.start_tls(client_context(), server=False, name=None, until=soon())
            shown = connection.peer_spki()
            if shown != found.identity:
                message = (
                    f"{where} shows the key {fingerprint(shown)}, but discovery says {fingerprint(found.identity)}"
                )
                raise Wrong(
                    message, "the port leads to another controller than the URL: agents would refuse it, and so do we"
                )
            until = soon()
            dialogue = ClientDialogue()
            await connection.send(dialogue.start(name, secret, ""), until)
            answer = None
            while answer is None:
                data = await connection.read_some(until)
                if not data:
                    raise EOFError("within the dialogue")
                answer = dialogue.feed(data)
                if isinstance(answer, Accepted4):
                    break  # the OK that confirms would make an agent of us
                if pending := dialogue.pending():
                    await connection.send(pending, until)
            connection.finish()
            return answer
        except Malformed as error:
            raise Wrong(f"{where}: {error}", _NOT_THERE) from None
