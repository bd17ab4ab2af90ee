"""What differs between definitions, for the log; and that a content's hash is as good as its content."""

import copy
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.backends.aws_ecs.definition import content_hash, definition_body
from broker.backends.aws_ecs.diff import differences
from broker.domain.ids import PoolName, TemplateName
from tests.unit.backends.aws_ecs.bodies import FAMILY, a_body, a_template
from tests.unit.backends.aws_ecs.every_key import definitions

CONFIG = definitions()
EVERY = definition_body(CONFIG.templates[TemplateName("every")], CONFIG.pools[PoolName("tasks")], FAMILY)
PASSWORD = "hunter2-hunter2"


def told(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return [str(one) for one in differences(before, after)]


def test_the_same_has_no_differences() -> None:
    assert told(EVERY, copy.deepcopy(EVERY)) == []


def test_a_field_is_told_with_what_it_was_and_is() -> None:
    assert told(a_body(), a_body(a_template(image="b:2", user="jenkins"))) == [
        "containerDefinitions.agent.image: registry.example.com/agent:21 -> b:2",
        "containerDefinitions.agent.user: unset -> jenkins",
    ]


def test_lists_with_names_are_compared_by_name_and_not_by_place() -> None:
    volumes = [{"name": "a"}, {"name": "b", "host": {"source_path": "/b"}}]
    one, other = a_body(a_template(ecs={"volumes": volumes})), a_body(a_template(ecs={"volumes": volumes[::-1]}))
    assert told(one, other) == []


def test_words_of_a_command_are_compared_by_place() -> None:
    one = a_body(a_template(ecs={"entry_point": ["a", "b"]}))
    assert told(one, a_body(a_template(ecs={"entry_point": ["b", "a"]}))) == [
        "containerDefinitions.agent.entryPoint: ['a', 'b'] -> ['b', 'a']"
    ]


def test_what_aws_fills_in_is_no_difference() -> None:
    described = copy.deepcopy(a_body(a_template(ecs={"port_mappings": [{"container_port": 80}]})))
    agent = described["containerDefinitions"][0]
    agent |= {"mountPoints": [], "volumesFrom": [], "environment": [], "systemControls": [], "privileged": False}
    agent["portMappings"] = [{"containerPort": 80, "hostPort": 80, "protocol": "tcp"}]
    described |= {"revision": 3, "status": "ACTIVE", "placementConstraints": [], "compatibilities": ["EC2"]}
    assert told(described, a_body(a_template(ecs={"port_mappings": [{"container_port": 80}]}))) == []


@pytest.mark.parametrize(
    "extra",
    [
        {"privileged": True},
        {"user": "root"},
        {"command": ["sh"]},
        {"linuxParameters": {"capabilities": {"add": ["SYS_ADMIN"]}}},
        {"environment": [{"name": "LD_PRELOAD", "value": "/x.so"}]},
    ],
    ids=str,
)
def test_what_somebody_has_put_in_is_one(extra: dict[str, Any]) -> None:
    described = copy.deepcopy(a_body())
    described["containerDefinitions"][0] |= extra
    assert len(told(described, a_body())) == 1


def test_a_container_more_or_less_is_one() -> None:
    beside = a_body(a_template(ecs={"sidecars": [{"name": "db", "image": "postgres", "memory": 64}]}))
    assert [one.field for one in differences(beside, a_body())] == ["containerDefinitions.db"]
    assert [one.field for one in differences(a_body(), beside)] == ["containerDefinitions.db"]


@pytest.mark.parametrize(
    "template",
    [
        a_template(env={"ANYTHING": PASSWORD}),
        a_template(ecs={"secrets": {"TOKEN": PASSWORD}}),
        a_template(ecs={"log_configuration": {"log_driver": "splunk", "options": {"splunk-token": PASSWORD}}}),
        a_template(ecs={"docker_labels": {"db-password": PASSWORD}}),
        a_template(ecs={"sidecars": [{"name": "db", "image": "postgres", "env": {"PGPASS": PASSWORD}}]}),
    ],
    ids=["variable", "secret", "log option", "label", "a sidecar's variable"],
)
def test_no_value_of_a_variable_or_of_what_looks_secret_is_told(template: Any) -> None:
    for before, after in ((a_body(), a_body(template)), (a_body(template), a_body())):
        assert told(before, after)
        assert PASSWORD not in " ".join(told(before, after))


def test_long_values_are_cut() -> None:
    (one,) = told(a_body(), a_body(a_template(ecs={"entry_point": ["x" * 5000]})))
    assert len(one) < 250


@given(seed=st.integers(), template=st.sampled_from(["every", "bridged", "big-disk", "windows"]))
def test_the_same_content_has_the_same_hash_whatever_the_order_of_its_keys(seed: int, template: str) -> None:
    body = definition_body(CONFIG.templates[TemplateName(template)], CONFIG.pools[PoolName("tasks")], FAMILY)
    assert content_hash(_shuffled(body, random.Random(seed))) == content_hash(body)


@given(data=st.data())
def test_any_field_that_changes_changes_the_hash_and_is_told(data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(list(_paths(EVERY))))
    changed = copy.deepcopy(EVERY)
    _change(changed, path)
    assert content_hash(changed) != content_hash(EVERY)
    assert len(told(EVERY, changed)) >= 1


@given(data=st.data())
def test_any_field_that_is_left_out_changes_the_hash(data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(list(_paths(EVERY))))
    changed = copy.deepcopy(EVERY)
    parent = _parent(changed, path)
    del parent[path[-1]]
    assert content_hash(changed) != content_hash(EVERY)


def test_a_content_has_the_same_hash_in_every_process_and_version() -> None:
    body = {"family": "f", "containerDefinitions": [{"name": "agent", "essential": True, "cpu": 1, "user": "jö"}]}
    assert content_hash(body) == "6902484e96b006d839cfc60c24490c33"


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Any:
    if isinstance(value, dict):
        for name, below in value.items():
            yield from _paths(below, (*path, name))
    elif isinstance(value, list):
        for number, below in enumerate(value):
            yield from _paths(below, (*path, number))
    else:
        yield path


def _parent(body: Any, path: tuple[Any, ...]) -> Any:
    for step in path[:-1]:
        body = body[step]
    return body


def _change(body: Any, path: tuple[Any, ...]) -> None:
    parent = _parent(body, path)
    value = parent[path[-1]]
    if isinstance(value, bool):
        parent[path[-1]] = not value
    else:
        parent[path[-1]] = value + 7 if isinstance(value, int) else f"{value}x"


def _shuffled(value: Any, chance: random.Random) -> Any:
    if isinstance(value, dict):
        names = list(value)
        chance.shuffle(names)
        return {name: _shuffled(value[name], chance) for name in names}
    return [_shuffled(one, chance) for one in value] if isinstance(value, list) else value
