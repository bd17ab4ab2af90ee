"""What agents of the gateway are started with."""

import pytest

from broker.config.load import parse
from broker.config.settings import Address

TCP = "tcp: { listen: 0.0.0.0:7072 }"


@pytest.mark.parametrize(
    ("gateway", "expected"),
    [
        ("prefer: websocket", True),
        (TCP, True),
        (f"prefer: tcp, {TCP}", False),
        (f"prefer: websocket, {TCP}", True),
    ],
)
def test_agents_use_tcp_where_it_is_there_and_preferred(gateway: str, *, expected: bool) -> None:
    settings = parse(f"version: 1\ngateway: {{ {gateway} }}\n", env={}).gateway
    assert settings.agents_use_websocket is expected


def test_what_agents_are_told_of_the_port_is_what_the_config_says_or_where_it_listens() -> None:
    told = parse(
        "version: 1\ngateway: { tcp: { listen: 0.0.0.0:7072, advertise: agents.example:9 } }\n", env={}
    ).gateway
    assert told.tcp_advertise == Address("agents.example", 9)
    near = parse(f"version: 1\ngateway: {{ {TCP} }}\n", env={}).gateway
    assert near.tcp_advertise == Address("127.0.0.1", 7072)


def test_controllers_that_are_reached_over_tcp_are_told_with_their_identities() -> None:
    said = "".join(
        f"  {name}: {{ url: 'http://ci/', token_sha256: {token * 64}{rest} }}\n"
        for name, token, rest in (("main", "a", ", agents: tcp"), ("other", "b", ""))
    )
    definitions = parse(f"version: 1\ncontrollers:\n{said}", env={}).definitions
    assert definitions.tcp_controllers == {"main": ""}
