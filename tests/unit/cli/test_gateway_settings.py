"""What a gateway is started with, from the config."""

from pathlib import Path

from broker.cli.gateway import gateway_settings
from broker.config.load import parse
from broker.gateway.settings import GatewaySettings

CONTROLLERS = f"controllers: {{ main: {{ url: 'http://ci/', token_sha256: {'a' * 64}, agents: tcp }} }}\n"
TCP = "gateway: { tcp: { listen: '0.0.0.0:7072', advertise: 'agents.example:9' }, allow_cidrs: [10.0.0.0/8] }\n"


def settings(text: str) -> GatewaySettings:
    return gateway_settings(parse(f"version: 1\nserver: {{ state_dir: /s, keys_dir: /k }}\n{text}", env={}))


def test_agents_over_tcp_are_told_the_advertised_port_and_pin_a_key_of_keys_dir(tmp_path: Path) -> None:
    said = settings(TCP + CONTROLLERS)
    assert (said.tcp_host, said.tcp_port, said.tcp_advertise) == ("0.0.0.0", 7072, ("agents.example", 9))
    assert said.identity == Path("/k/gateway-identity.pem")
    assert said.allow_cidrs == ("10.0.0.0/8",)
    assert said.tcp_controllers == {"main": ""}
    said.save(tmp_path / "settings.json")
    assert GatewaySettings.read(tmp_path / "settings.json") == said


def test_without_a_listener_for_it_there_is_no_tcp_and_everybody_may_come() -> None:
    said = settings("")
    assert (said.tcp_port, said.tcp_advertise, said.allow_cidrs, said.tcp_controllers) == (None, None, (), {})


def test_another_gateway_has_to_take_the_place_of_one_that_lets_others_in() -> None:
    assert settings(TCP).fingerprint != settings("").fingerprint
    assert settings(TCP).fingerprint != settings(TCP.replace("10.0.0.0/8", "10.0.0.0/9")).fingerprint
    assert settings(TCP).fingerprint == settings(TCP + CONTROLLERS).fingerprint
