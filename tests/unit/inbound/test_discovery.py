"""The URLs that an agent knows."""

import pytest

from broker.inbound.address import parse_base
from broker.inbound.discovery import Page, agent_url, split_target


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
