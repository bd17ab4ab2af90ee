"""Each field of the plugin has its key here, and its value gets to the request that it is for."""

from pathlib import Path
from typing import Any

import pytest

from broker.backends.aws_ecs.chosen import chosen_of
from broker.backends.aws_ecs.definition import definition_body, family_of
from broker.backends.aws_ecs.options import BackendOptions
from broker.backends.aws_ecs.request import Marks, run_task
from broker.config.documented import find
from broker.domain.definitions import Definitions
from broker.domain.ids import AgentId, AgentName, BackendName, ControllerName, LaunchToken, PoolName, TemplateName
from broker.domain.instance import LaunchKey
from broker.ports import LaunchSpec
from tests.unit.backends.aws_ecs.bodies import at, problems_of
from tests.unit.backends.aws_ecs.plugin_fields import (
    DEFINE,
    NEVER_SUPPORTED,
    OF_A_TEMPLATE,
    OF_THE_CLOUD,
    RUN,
    PluginField,
)

EVERY = (*OF_THE_CLOUD, *OF_A_TEMPLATE, *NEVER_SUPPORTED)
HOW_TO = Path(__file__).parents[4] / "docs" / "how-to" / "amazon-ecs.md"


def requests(config: Definitions) -> dict[str, dict[str, Any]]:
    """What is asked of ECS for an agent of template `t` in pool `p`."""
    pool, template = config.pools[PoolName("p")], config.templates[TemplateName("t")]
    options = BackendOptions.of(config.backends[BackendName("aws")])
    body = definition_body(template, pool, family_of(options.family_prefix, template.name))
    chosen = chosen_of(body, "arn:aws:ecs:eu-west-1:111122223333:task-definition/f:1", "agent", ours=True)
    spec = LaunchSpec(
        key=LaunchKey(agent_id=AgentId("a1"), attempt=1, token=LaunchToken("t")),
        name=AgentName("linux-1"),
        controller=ControllerName("main"),
        pool=pool,
        template=template,
        url="https://agents.example.com/",
        secret="s",
    )
    marks = Marks(cluster=options.cluster, client_token="c", started_by="agentbroker/x", tags=())
    return {DEFINE: body, RUN: run_task(spec, chosen, marks, ())}


@pytest.mark.parametrize("field", EVERY, ids=lambda field: field.name)
def test_a_field_of_the_plugin_has_a_documented_key(field: PluginField) -> None:
    assert find(field.key).description


@pytest.mark.parametrize("field", [one for one in EVERY if one.lands], ids=lambda field: field.name)
def test_what_a_field_says_gets_into_its_request(field: PluginField) -> None:
    action, _, path = field.lands.partition(":")
    made = requests(field.definitions())
    assert at(made[action], path) == field.there
    assert [problems_of(name, body) for name, body in made.items()] == ["", ""]


@pytest.mark.parametrize("field", [one for one in EVERY if not one.lands], ids=lambda field: field.name)
def test_a_field_that_is_the_brokers_own_affair_is_accepted(field: PluginField) -> None:
    assert field.definitions().pools.keys() == {"p"}


def test_no_capacity_said_is_the_clusters_own_default() -> None:
    (field,) = (one for one in EVERY if one.name == "defaultCapacityProvider")
    run = requests(field.definitions())[RUN]
    assert not run.keys() & {"launchType", "capacityProviderStrategy"}


def test_the_how_to_names_every_field_of_the_plugin() -> None:
    text = HOW_TO.read_text()
    assert [field.name for field in (*OF_THE_CLOUD, *OF_A_TEMPLATE) if f"`{field.name}`" not in text] == []
