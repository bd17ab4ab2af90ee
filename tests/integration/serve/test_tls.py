"""A control plane whose listeners speak TLS and ask clients for certificates."""

import ssl
import urllib.error
import urllib.request
from datetime import timedelta
from pathlib import Path

import pytest

from broker.demo.authority import Authority, Pair
from tests.integration.serve.world import Server, config, write


def page(server: Server, path: str, authority: Authority, client: Pair | None) -> tuple[int, str]:
    context = ssl.create_default_context(cadata=authority.pem.decode())
    if client:
        context.load_cert_chain(client.certificate, client.key)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(f"https://127.0.0.1:{server.http_port}/{path}", timeout=10) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_both_listeners_tell_when_their_certificates_expire_and_ask_for_those_of_clients(tmp_path: Path) -> None:
    authority = Authority()
    pairs = {name: authority.issue(tmp_path / name, name) for name in ("http", "grpc", "person")}
    ca = authority.write(tmp_path / "ca.crt")
    tls = {
        name: {
            "listen": "127.0.0.1:0",
            "tls": {
                "cert_file": str(pairs[name].certificate),
                "key_file": str(pairs[name].key),
                "client_ca_file": str(ca),
            },
        }
        for name in ("http", "grpc")
    }
    with Server(write(tmp_path, config(tmp_path, **tls))).started() as server:
        with pytest.raises(OSError, match=r"certificate required|EOF|reset|closed connection"):
            page(server, "healthz", authority, None)
        assert page(server, "healthz", authority, pairs["person"])[0] == 200
        text = page(server, "metrics", authority, pairs["person"])[1]
        for name in ("http", "grpc"):
            assert f'agentbroker_certificate_expiry_timestamp_seconds{{listener="server.{name}.tls"}}' in text
        ready = page(server, "readyz", authority, pairs["person"])[1]
        assert "server.grpc.tls: ok: the certificate expires at " in ready
        authority.issue(tmp_path / "grpc", "grpc", lasts=timedelta(minutes=-1))
        status, ready = page(server, "readyz", authority, pairs["person"])
        assert status == 503
        assert "server.grpc.tls: not ready: the certificate has expired at " in ready
        assert "certificate_changed" in server.said()
