"""TLS by given files, plaintext without; with a CA of clients, certificates that fit the token."""

from datetime import timedelta
from pathlib import Path

import grpc
import grpc.aio
import pytest

from broker.demo.authority import Authority, Pair
from broker.tls import Certificates, PemFiles, TlsUnusable
from tests.integration.rpc.world import (
    OTHER_TOKEN,
    SECOND_TOKEN,
    TOKEN,
    Api,
    bearer,
    handshake,
    running_api,
    stub,
)


def served(pair: Pair, client_ca: Path | None = None) -> Certificates:
    files = PemFiles(certificate=pair.certificate, key=pair.key, client_ca=client_ca)
    return Certificates(files, "server.grpc.tls")


def mutual(path: Path, authority: Authority) -> Certificates:
    """A listener that asks clients for a certificate of the authority."""
    return served(authority.issue(path / "tls", "broker"), authority.write(path / "clients.crt"))


async def greet(api: Api, authority: Authority, client: Pair | None = None, token: str = TOKEN) -> str:
    """The controller as whom a handshake came through, or the status that it got and its words."""
    key, chain = (client.key.read_bytes(), client.certificate.read_bytes()) if client else (None, None)
    async with api.channel(grpc.ssl_channel_credentials(authority.pem, key, chain)) as channel:
        try:
            reply = await stub(channel).Handshake(handshake(), metadata=bearer(token), timeout=10)
        except grpc.aio.AioRpcError as error:
            return f"{error.code().name}: {error.details()}"
        return str(reply.controller)


async def test_a_controller_that_trusts_the_ca_talks_over_tls(tmp_path: Path) -> None:
    authority = Authority()
    async with running_api(tmp_path, tls=served(authority.issue(tmp_path / "tls", "broker"))) as api:
        assert await greet(api, authority) == "main"


async def test_a_controller_that_trusts_another_ca_does_not(tmp_path: Path) -> None:
    async with running_api(tmp_path, tls=served(Authority().issue(tmp_path / "tls", "broker"))) as api:
        assert (await greet(api, Authority())).startswith("UNAVAILABLE")


async def test_plaintext_to_a_tls_listener_is_refused(tmp_path: Path) -> None:
    tls = served(Authority().issue(tmp_path / "tls", "broker"))
    async with running_api(tmp_path, tls=tls) as api, api.channel() as channel:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stub(channel).Handshake(handshake(), metadata=bearer(TOKEN), timeout=10)
        assert raised.value.code() == grpc.StatusCode.UNAVAILABLE


def test_files_of_a_listener_that_are_no_pair_are_named(tmp_path: Path) -> None:
    pair = Pair(certificate=tmp_path / "tls.crt", key=tmp_path / "tls.key")
    pair.certificate.write_text("no certificate")
    pair.key.write_text("no key")
    with pytest.raises(TlsUnusable, match=r"server\.grpc\.tls: .*tls\.crt and .*tls\.key cannot be used"):
        served(pair)


async def test_with_a_client_ca_only_a_client_with_a_certificate_of_it_gets_through(tmp_path: Path) -> None:
    authority = Authority()
    stranger = Authority().issue(tmp_path / "stranger", "main", hosts=())
    expired = authority.issue(tmp_path / "expired", "main", hosts=(), lasts=timedelta(minutes=-1))
    ours = authority.issue(tmp_path / "main", "main", hosts=())
    async with running_api(tmp_path, tls=mutual(tmp_path, authority)) as api:
        for client in (None, stranger, expired):
            assert (await greet(api, authority, client)).startswith("UNAVAILABLE"), client
        assert await greet(api, authority, ours) == "main"


async def test_a_certificate_alone_is_not_enough(tmp_path: Path) -> None:
    authority = Authority()
    ours = authority.issue(tmp_path / "main", "main", hosts=())
    async with running_api(tmp_path, tls=mutual(tmp_path, authority)) as api:
        assert (await greet(api, authority, ours, token="guessed")).startswith("UNAUTHENTICATED")


@pytest.mark.parametrize(
    ("name", "hosts", "token", "answer"),
    [
        ("main", (), TOKEN, "main"),
        ("main", (), SECOND_TOKEN, "main"),
        ("jenkins", ("main",), TOKEN, "main"),
        ("jenkins", ("ci.example.com",), OTHER_TOKEN, "other"),
        ("main", ("other",), OTHER_TOKEN, "other"),
        ("main", (), OTHER_TOKEN, "PERMISSION_DENIED: the client certificate is of main, the token of other"),
        ("jenkins", ("other",), TOKEN, "PERMISSION_DENIED: the client certificate is of other, the token of main"),
    ],
)
async def test_a_certificate_that_names_a_controller_speaks_for_no_other(
    tmp_path: Path, name: str, hosts: tuple[str, ...], token: str, answer: str
) -> None:
    authority = Authority()
    client = authority.issue(tmp_path / "client", name, hosts=hosts)
    async with running_api(tmp_path, tls=mutual(tmp_path, authority)) as api:
        assert (await greet(api, authority, client, token)).startswith(answer)


async def test_a_renewed_certificate_is_used_without_a_restart_and_a_broken_one_is_not(tmp_path: Path) -> None:
    before, after = Authority(), Authority()
    base = tmp_path / "tls"
    async with running_api(tmp_path, tls=served(before.issue(base, "broker"))) as api:
        assert await greet(api, before) == "main"
        base.with_name("tls.crt").write_text("half a cert")
        assert await greet(api, before) == "main"
        after.issue(base, "broker")
        assert await greet(api, after) == "main"
        assert (await greet(api, before)).startswith("UNAVAILABLE")


async def test_a_client_ca_that_is_replaced_is_trusted_no_more(tmp_path: Path) -> None:
    server, before, after = Authority(), Authority(), Authority()
    ca = before.write(tmp_path / "clients.crt")
    tls = served(server.issue(tmp_path / "tls", "broker"), ca)
    old, new = (one.issue(tmp_path / str(n), "main", hosts=()) for n, one in enumerate((before, after)))
    async with running_api(tmp_path, tls=tls) as api:
        assert await greet(api, server, old) == "main"
        after.write(ca)
        assert (await greet(api, server, old)).startswith("UNAVAILABLE")
        assert await greet(api, server, new) == "main"
