"""The URLs that an agent knows, and what it is told under them."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from broker.inbound.address import parse_base
from broker.inbound.blocks import Malformed
from broker.inbound.discovery import Discovered, Page, agent_url, discovery_reply, read_discovery, split_target
from broker.inbound.http import Fields, ResponseHead, parse_response
from broker.inbound.identity import Identity


@pytest.mark.parametrize(
    ("advertise", "url"),
    [
        ("wss://agents.example.com", "https://agents.example.com/c/main/"),
        ("ws://127.0.0.1:7073/", "http://127.0.0.1:7073/c/main/"),
        ("https://example.com/agents/", "https://example.com/agents/c/main/"),
    ],
)
def test_agents_get_an_http_url_that_ends_in_a_slash(advertise: str, url: str) -> None:
    assert agent_url(advertise, "main") == url


def test_an_address_without_a_scheme_is_no_url() -> None:
    with pytest.raises(ValueError, match="not a ws, wss, http or https URL"):
        agent_url("agents.example.com:7073", "main")


@pytest.mark.parametrize(
    ("target", "where"),
    [
        ("/c/main/login", ("/c/main/", Page.LOGIN)),
        ("/c/main/wsagents/", ("/c/main/", Page.WEBSOCKET)),
        ("/c/main/wsagents", ("/c/main/", Page.WEBSOCKET)),
        ("/c/a%20b/tcpSlaveAgentListener/?x=1", ("/c/a b/", Page.DISCOVERY)),
        ("/ci/jnlpJars/agent.jar", ("/ci/", Page.AGENT_JAR)),
        ("/login", ("/", Page.LOGIN)),
        ("/c/main/../other/login", ("/c/main/../other/", Page.LOGIN)),
        ("/c/main/", None),
        ("/c/main/xlogin", None),
        ("/", None),
    ],
)
def test_a_target_names_a_path_and_a_page(target: str, where: tuple[str, Page] | None) -> None:
    assert split_target(target) == where


def test_a_base_url_has_its_parts() -> None:
    base = parse_base("https://ci.example.com/jenkins")
    assert (base.host, base.port, base.path, base.secure) == ("ci.example.com", 443, "/jenkins/", True)
    assert (base.authority, base.origin) == ("ci.example.com", "https://ci.example.com")
    assert parse_base("http://[::1]:8080").authority == "[::1]:8080"


@pytest.mark.parametrize(
    "url", ["ci.example.com", "ftp://x/", "http://", "http://u:p@x/", "http://x/?q=1", "http://x/ y"]
)
def test_what_is_no_base_url_is_said(url: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        parse_base(url)


SPKI = Identity.new().spki
FOUND = Discovered(
    host="gw.example.com",
    port=50000,
    identity=SPKI,
    protocols=("JNLP4-connect", "Ping"),
    minimum_version="3176.v207ec082a_8c0",
)
BASE = parse_base("https://ci.example.com/jenkins")
IDENTITY = ("X-Instance-Identity", base64.b64encode(SPKI).decode())
PORT = ("X-Jenkins-JNLP-Port", "50000")


def answer(*fields: tuple[str, str], status: int = 200) -> ResponseHead:
    return ResponseHead(status=status, phrase="", fields=Fields(fields))


def test_an_agent_reads_what_we_answer() -> None:
    head, _, body = discovery_reply(FOUND).partition(b"\r\n\r\n")
    assert body == b"Jenkins\n"
    parsed = parse_response(head)
    assert parsed.fields.all("X-Hudson-JNLP-Port") == ["50000"]
    assert parsed.fields.all("X-Jenkins-Agent-Protocols") == ["JNLP4-connect, Ping"]
    assert read_discovery(parsed, BASE) == FOUND


def test_what_is_not_known_is_left_out() -> None:
    bare = Discovered(host="gw.example.com", port=1, identity=SPKI)
    head = parse_response(discovery_reply(bare).partition(b"\r\n\r\n")[0])
    assert head.fields.all("X-Remoting-Minimum-Version") == []
    assert read_discovery(head, BASE) == bare


def test_without_a_host_it_is_that_of_the_url_and_the_old_port_will_do() -> None:
    found = read_discovery(answer(("X-Hudson-JNLP-Port", "7"), IDENTITY), BASE)
    assert found == Discovered(host="ci.example.com", port=7, identity=SPKI)
    assert read_discovery(answer(("X-Hudson-JNLP-Port", "7"), PORT, IDENTITY), BASE).port == 50000


def test_protocols_are_words_between_commas() -> None:
    head = answer(PORT, IDENTITY, ("X-Jenkins-Agent-Protocols", " a,, b "), ("X-Jenkins-Agent-Protocols", "c,"))
    assert read_discovery(head, BASE).protocols == ("a", "b", "c")


@pytest.mark.parametrize("port", ["", "0", "65536", "-1", "+1", "1.0", "x", "٣", "9" * 5000, " 1"])
def test_a_port_that_is_none_is_malformed(port: str) -> None:
    with pytest.raises(Malformed, match="Port"):
        read_discovery(answer(("X-Jenkins-JNLP-Port", port), IDENTITY), BASE)


EC_KEY = ec.generate_private_key(ec.SECP256R1()).public_key()
EC_SPKI = base64.b64encode(EC_KEY.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


@pytest.mark.parametrize("text", ["", "x", "AAAA", EC_SPKI, IDENTITY[1][:-8], IDENTITY[1] + " "])
def test_an_identity_that_agents_would_refuse_is_malformed(text: str) -> None:
    with pytest.raises(Malformed, match="RSA"):
        read_discovery(answer(PORT, ("X-Instance-Identity", text)), BASE)


def test_an_answer_other_than_200_is_malformed_and_so_is_one_that_says_two_things() -> None:
    with pytest.raises(Malformed, match="404"):
        read_discovery(answer(PORT, IDENTITY, status=404), BASE)
    with pytest.raises(Malformed, match="more than once"):
        read_discovery(answer(PORT, ("X-Jenkins-JNLP-Port", "1"), IDENTITY), BASE)
    assert read_discovery(answer(PORT, PORT, IDENTITY, IDENTITY), BASE).port == 50000


NAMES = st.sampled_from(["X-Jenkins-JNLP-Port", "X-Jenkins-JNLP-Host", "X-Instance-Identity", "x"])


@given(st.lists(st.tuples(NAMES, st.text() | st.just(IDENTITY[1]) | st.integers().map(str))))
def test_any_fields_are_an_answer_or_malformed(fields: list[tuple[str, str]]) -> None:
    try:
        found = read_discovery(answer(*fields), BASE)
    except Malformed:
        return
    assert 1 <= found.port <= 65535
    assert found.identity == SPKI
