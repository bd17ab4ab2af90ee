"""`server.public_url`: what Jenkins is told of where people read, and that the links lead there."""

import json
import signal
import time
import urllib.request
from pathlib import Path

import grpc
import pytest

from broker.config.load import load
from broker.wire.v1 import agents_pb2 as wire
from broker.wire.v1.agents_pb2_grpc import AgentsStub
from tests.integration.rpc.world import TOKEN, bearer, handshake, sha256
from tests.integration.serve.world import Server, config, write


def greeted(server: Server) -> tuple[str, str]:
    """The page of an agent, and that of the fleet."""
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        agents = AgentsStub(channel)  # type: ignore[no-untyped-call] # generated
        reply = agents.Handshake(handshake(), metadata=bearer(TOKEN), timeout=10)
        fleet = agents.DescribeFleet(wire.DescribeFleetRequest(), metadata=bearer(TOKEN), timeout=10)
        return reply.agent_page, fleet.page_url


def test_on_loopback_the_links_lead_to_the_listener_and_a_reload_gives_others(tmp_path: Path) -> None:
    content = config(tmp_path)
    content["controllers"]["main"]["token_sha256"] = sha256(TOKEN)
    path = write(tmp_path, content)
    with Server(path).started() as server:
        agent_page, page = greeted(server)
        assert agent_page.startswith(f"http://127.0.0.1:{server.http_port}/")
        with urllib.request.urlopen(page, timeout=10) as answer:
            assert json.load(answer)["kind"] == "Status"
        with urllib.request.urlopen(f"{agent_page}reason%20Online", timeout=10) as answer:
            assert json.load(answer)["kind"] == "Explanation"
        content["server"]["public_url"] = "https://broker.example.com/"
        write(tmp_path, content)
        server.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 20
        while "in force: revision" not in server.said():
            assert time.monotonic() < deadline, server.said()
            time.sleep(0.05)
        assert "needs a restart" not in server.said()
        assert greeted(server)[1] == "https://broker.example.com/api/v1/status"


@pytest.mark.parametrize(
    ("http", "url"),
    [
        ("127.0.0.1:7070", "http://127.0.0.1:7070"),
        ("localhost:7070", "http://localhost:7070"),
        ("0.0.0.0:7070", ""),
        ("10.0.0.7:7070", ""),
    ],
)
def test_a_listener_beyond_loopback_names_no_url_by_itself(tmp_path: Path, http: str, url: str) -> None:
    assert load(write(tmp_path, config(tmp_path, http={"listen": http}))).server.public_url == url
