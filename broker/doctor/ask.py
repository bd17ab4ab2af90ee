"""One HTTP request to a controller or a gateway, and what its failures mean."""

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from broker.doctor.report import Wrong
from broker.inbound.address import HttpBase
from broker.inbound.blocks import Malformed
from broker.inbound.descriptor import Descriptor, dial
from broker.inbound.exchange import read_head
from broker.inbound.http import ResponseHead, parse_response, render

STEP_S: Final = 10.0
"""For each step: who needs longer keeps agents waiting, too."""
_BODY: Final = 64 * 1024
_TIGHT: Final = re.compile(rb"([0-9a-fA-F]{1,8})(?:;[^\r\n]*)?\r\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back; `body` may be cut."""

    head: ResponseHead
    body: bytes

    def header(self, name: str) -> str:
        """The first value of a header; empty without one."""
        return next(iter(self.head.fields.all(name)), "")


def soon() -> float:
    """The end of a step that begins now, as a time of the running loop."""
    return asyncio.get_running_loop().time() + STEP_S


@asynccontextmanager
async def reached(host: str, port: int, who: str) -> AsyncIterator[Descriptor]:
    """A connection; `who` must be able to make one too. Raises `Wrong`, also for what goes wrong on it."""
    where = f"{host}:{port}"
    try:
        connection = await dial((host, port), soon())
    except socket.gaierror as error:
        raise Wrong(
            f"{host} has no address here: {error.strerror}", "check the name, and the DNS of this machine"
        ) from None
    except ConnectionRefusedError:
        raise Wrong(f"nothing listens at {where}", f"start it, or mend the address: {who} must reach it") from None
    except TimeoutError:
        hint = f"{who} must reach it: look for a firewall or security group that drops packets"
        raise Wrong(f"{where} does not answer within {STEP_S:.0f} s", hint) from None
    except OSError as error:
        raise Wrong(f"{where} cannot be reached: {error.strerror or error}", f"{who} must reach it") from None
    try:
        yield connection
    except TimeoutError:
        raise Wrong(f"{where} takes the connection and does not answer within {STEP_S:.0f} s", _PROXY) from None
    except ssl.SSLError as error:
        raise _of_tls(where, error) from None
    except (OSError, EOFError) as error:
        raise Wrong(f"{where} closes the connection: {_words(error)}", _PROXY) from None
    finally:
        connection.close()


_PROXY: Final = "look at what stands in between: a proxy, a load balancer, or another program on that port"


def _of_tls(where: str, error: ssl.SSLError) -> Wrong:
    if error.reason in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"}:
        return Wrong(f"{where} does not speak TLS", "use http:// (ws://) in the URL, or turn TLS on there")
    return Wrong(f"TLS with {where} fails: {(error.reason or str(error)).replace('_', ' ').lower()}", _PROXY)


def _words(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or "no words"


async def ask(
    base: HttpBase,
    path: str,
    trust: ssl.SSLContext,
    who: str,
    *,
    fields: Iterable[tuple[str, str]] = (),
    most: int = _BODY,
) -> Answer:
    """GET of a page below `base`, with the connection's certificate checked. Raises `Wrong`."""
    own = [("Host", base.authority), ("User-Agent", "agentbroker-doctor"), ("Accept", "*/*"), ("Prefer", "wait=0")]
    own += fields  # a gateway holds agents while it has no good answer; the doctor wants the one that it has
    if not any(name == "Connection" for name, _ in own):
        own.append(("Connection", "close"))
    request = render(f"GET {base.path}{path} HTTP/1.1", own)
    async with reached(base.host, base.port, who) as connection:
        until = soon()
        if base.secure:
            await connection.start_tls(trust, server=False, name=base.host, until=until)
        await connection.send(request, until)
        try:
            raw = await read_head(connection, until)
            if raw is None:
                raise Wrong(f"{base.authority} takes a request and closes without an answer", _PROXY)
            head = parse_response(raw)
        except Malformed:
            hint = "use https:// (wss://) in the URL if TLS is spoken there" if not base.secure else _PROXY
            raise Wrong(f"what {base.authority} answers is not HTTP", hint) from None
        return Answer(head=head, body=b"" if head.status == 101 else await _body(connection, head, most))


async def _body(connection: Descriptor, head: ResponseHead, most: int) -> bytes:
    length = next(iter(head.fields.all("Content-Length")), "")
    wanted = min(most, int(length)) if re.fullmatch(r"[0-9]{1,12}", length) else most
    body = bytearray()
    until = soon()
    while len(body) < wanted:
        data = await connection.read_some(until)
        if not data:
            break
        body += data
    return _unchunked(bytes(body)) if "chunked" in head.fields.tokens("Transfer-Encoding") else bytes(body)


def _unchunked(body: bytes) -> bytes:
    """The content of chunks (RFC 9112 section 7.1), as far as they are whole."""
    content, at = b"", 0
    while (size := _TIGHT.match(body, at)) is not None and (count := int(size[1], 16)):
        content += body[size.end() : size.end() + count]
        at = size.end() + count + 2
    return content
