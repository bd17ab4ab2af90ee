"""The certificates of a listener that speaks TLS by Python's own means, as the HTTP listener and the gateway do."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broker.demo.authority import Authority, Pair
from broker.tls import Certificates, PemFiles, TlsUnusable


@asynccontextmanager
async def listening(certificates: Certificates) -> AsyncIterator[int]:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0, ssl=certificates.context)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def heard(port: int, trusted: Authority, client: Pair | None = None) -> bytes:
    """What a client hears; nothing if either side does not trust the other."""
    context = ssl.create_default_context(cadata=trusted.pem.decode())
    if client:
        context.load_cert_chain(client.certificate, client.key)
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        data = await reader.read()
    except (ssl.SSLError, ConnectionError):
        return b""
    writer.close()
    return data


def files(pair: Pair, client_ca: Path | None = None) -> PemFiles:
    return PemFiles(certificate=pair.certificate, key=pair.key, client_ca=client_ca)


async def test_a_renewed_certificate_counts_at_the_next_handshake(tmp_path: Path) -> None:
    before, after = Authority(), Authority()
    certificates = Certificates(files(before.issue(tmp_path / "tls", "one", lasts=timedelta(days=1))), "here")
    async with listening(certificates) as port:
        assert await heard(port, before) == b"hello"
        assert certificates.current().expires < datetime.now(UTC) + timedelta(days=2)
        after.issue(tmp_path / "tls", "two", lasts=timedelta(days=90))
        assert await heard(port, after) == b"hello"
        assert await heard(port, before) == b""
        assert certificates.current().expires > datetime.now(UTC) + timedelta(days=80)


async def test_files_that_cannot_be_used_leave_what_was_before(tmp_path: Path) -> None:
    authority = Authority()
    pair = authority.issue(tmp_path / "tls", "one")
    certificates = Certificates(files(pair), "here")
    async with listening(certificates) as port:
        for spoil in (lambda: pair.key.write_text("no key"), pair.certificate.unlink):
            spoil()
            assert await heard(port, authority) == b"hello"


async def test_a_client_needs_a_certificate_of_the_ca_of_now(tmp_path: Path) -> None:
    server, before, after = Authority(), Authority(), Authority()
    ca = before.write(tmp_path / "clients.crt")
    old, new = (one.issue(tmp_path / str(n), "someone", hosts=()) for n, one in enumerate((before, after)))
    async with listening(Certificates(files(server.issue(tmp_path / "tls", "one"), ca), "here")) as port:
        assert await heard(port, server) == b""
        assert await heard(port, server, new) == b""
        assert await heard(port, server, old) == b"hello"
        after.write(ca)
        assert await heard(port, server, old) == b""
        assert await heard(port, server, new) == b"hello"


def test_files_that_are_missing_or_no_pair_are_named_with_their_key(tmp_path: Path) -> None:
    one, two = (Authority().issue(tmp_path / name, name) for name in ("one", "two"))
    with pytest.raises(TlsUnusable, match=r"^server\.http\.tls: .*one\.crt and .*two\.key cannot be used: "):
        Certificates(PemFiles(certificate=one.certificate, key=two.key), "server.http.tls")
    with pytest.raises(TlsUnusable, match=r"one\.key and .*missing\.crt cannot be used: No such file"):
        Certificates(files(one, tmp_path / "missing.crt"), "server.http.tls")
