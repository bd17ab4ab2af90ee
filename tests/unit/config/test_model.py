"""The model holds every key that the file may have, and the tables beside it name no others."""

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from broker.config.base import known_keys
from broker.config.load import parse
from broker.config.model import BrokerFile
from broker.config.model_policies import PolicyModel
from broker.config.model_pools import BACKEND_KEYS, COMMON_POOL_KEYS, POOL_KEYS, BackendModel, PoolModel

NOT_IN_THE_EXAMPLE = """
version: 1
server:
  auth: { tokens: { ana: { role: operator, token_sha256: HASH } } }
  limits: { agents: 500, pending: 100 }
controllers:
  main: { url: https://ci.example.com/, token_sha256: [HASH, HASH2], labels: [linux], rate: 20/s, path: /main }
gateway:
  control: tls://broker.example.com:7074
  control_tls: { cert_file: link.crt, key_file: link.key, ca_file: link-ca.crt }
  http: { listen: 127.0.0.1:7075 }
backends:
  aws: { type: aws-ecs, region: eu-west-1, family_prefix: ci }
  ali: { type: alibaba-ecs, region: cn-hangzhou, access_key_id_file: /run/id, access_key_secret_file: /run/secret }
templates:
  own: { task_definition: builds, agent_container: agent }
pools:
  here: { backend: process, java: /usr/bin/java, agent_jar: agent.jar }
  ecs:
    backend: aws
    secret_delivery: ssm
    connect: direct
    direct: { url: http://a/, tunnel: "a:50000", websocket: false }
  hosts:
    backend: ali
    start_by: cloud-assistant
    image_id: m-bp1agents
    vswitches: [vsw-h]
    security_groups: [sg-bp1]
    init: { script_file: init.sh, legacy_marker: ~/.hudson-run-init }
policies:
  all:
    labels: [all]
    pools: [here]
    name_prefix: ci
    priority: 5
    controllers: [main]
""".replace("HASH2", "b" * 64).replace("HASH", "a" * 64)


def models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """The models of the file, once each."""
    seen: set[type[BaseModel]] = set()
    waiting = [model]
    while waiting:
        current = waiting.pop()
        if current not in seen:
            seen.add(current)
            yield current
            waiting += [found for field in current.model_fields.values() for found in _models_in(field.annotation)]


def _models_in(kind: Any) -> Iterator[type[BaseModel]]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
    for argument in getattr(kind, "__args__", ()):
        yield from _models_in(argument)
    if hasattr(kind, "__metadata__"):
        yield from _models_in(kind.__origin__)


def test_keys_that_the_example_does_not_show_are_accepted_too() -> None:
    assert "error" not in parse(NOT_IN_THE_EXAMPLE, env={}).warnings


@pytest.mark.parametrize("model", list(models(BrokerFile)), ids=lambda model: model.__name__)
def test_every_key_says_what_it_is(model: type[BaseModel]) -> None:
    assert [name for name, field in model.model_fields.items() if not field.description] == []


def test_a_policy_has_the_keys_of_the_reference() -> None:
    expected = (
        "accept_unlabelled binpack budget controllers fallback labels limits name_prefix overrides pools "
        "priority retry spread strategy template timeouts warm"
    )
    assert " ".join(sorted(known_keys(PolicyModel))) == expected


def test_every_key_of_a_pool_or_backend_belongs_to_a_type() -> None:
    assert COMMON_POOL_KEYS.union(*POOL_KEYS.values()) == known_keys(PoolModel).keys()
    assert {"type"}.union(*BACKEND_KEYS.values()) == known_keys(BackendModel).keys()
    assert POOL_KEYS.keys() == BACKEND_KEYS.keys()


def test_the_schema_can_be_generated() -> None:
    schema = BrokerFile.model_json_schema(by_alias=True)
    assert schema["properties"]["policies"]["description"]
    assert "for" in schema["$defs"]["CooldownModel"]["properties"]
