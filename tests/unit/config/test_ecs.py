"""The keys of Amazon ECS: each stands in one example, and what it says is what the API takes."""

from collections.abc import Iterator, Mapping
from typing import Any

import botocore.session
import pytest
import yaml
from botocore.validate import ParamValidator

from broker.backends.aws_ecs.options import AssumeRole, BackendOptions, PoolOptions, TaskOptions
from broker.config.documented import walk
from broker.config.load import parse
from broker.config.model_ecs import ECS_BACKEND_KEYS, ECS_POOL_KEYS
from broker.domain.ids import BackendName, PoolName, TemplateName
from broker.domain.template import Template
from tests.unit.backends.aws_ecs.every_key import EVERY_KEY, definitions


def template(name: str) -> Template:
    return definitions().templates[TemplateName(name)]


def pool(name: str) -> PoolOptions:
    return PoolOptions.of(definitions().pools[PoolName(name)])


def backend(name: str) -> BackendOptions:
    return BackendOptions.of(definitions().backends[BackendName(name)])


def paths(value: object, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Every key that stands in a part of the file, as the reference writes its path."""
    if isinstance(value, dict):
        for key, below in value.items():
            yield ".".join((*path, key))
            yield from paths(below, (*path, key))
    for item in value if isinstance(value, list) else ():
        yield from paths(item, (*path, "*"))


def said(noun: str) -> set[str]:
    things = yaml.safe_load(EVERY_KEY)[noun]
    return {path for thing in things.values() for path in paths(thing)}


def test_every_key_of_a_template_stands_in_the_example() -> None:
    keys = {doc.path.removeprefix("templates.*.") for doc in walk() if doc.path.startswith("templates.*.ecs.")}
    of_the_agent = {key for key in keys if not key.startswith("ecs.sidecars.*.")}
    alike = {f"ecs.{key.removeprefix('ecs.sidecars.*.')}" for key in keys - of_the_agent}
    assert of_the_agent <= said("templates")
    assert alike <= said("templates") | {f"ecs.{key}" for key in _OF_SIDECARS}
    assert {f"ecs.sidecars.*.{key}" for key in _OF_SIDECARS} <= said("templates")


_OF_SIDECARS = ("name", "image", "essential", "cpu", "memory", "command", "env", "user", "read_only")


def test_every_key_of_pools_and_backends_stands_in_the_example() -> None:
    assert said("pools") >= ECS_POOL_KEYS
    assert said("backends") >= ECS_BACKEND_KEYS


def problems(operation: str, request: Mapping[str, Any]) -> str:
    model = botocore.session.get_session().get_service_model("ecs").operation_model(operation)
    return str(ParamValidator().validate(dict(request), model.input_shape).generate_report())


@pytest.mark.parametrize("name", ["every", "bridged", "big-disk", "windows"])
def test_what_a_template_says_is_what_the_api_takes(name: str) -> None:
    options = TaskOptions.of(template(name))
    agent = {"name": "agent", **options.container}
    registered = {"family": "f", "containerDefinitions": [agent, *options.sidecars], **options.task}
    assert problems("RegisterTaskDefinition", registered) == ""
    run = {"taskDefinition": "f", "volumeConfigurations": list(options.volume_configurations)}
    assert problems("RunTask", run) == ""


def leaves(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        for below in value.values():
            yield from leaves(below)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from leaves(item)
    else:
        yield value


def test_no_value_of_a_template_is_lost() -> None:
    options = TaskOptions.of(template("every"))
    form = [options.container, options.task, list(options.sidecars), list(options.volume_configurations)]
    there = list(leaves(form))
    wanted = list(leaves(yaml.safe_load(EVERY_KEY)["templates"]["every"]["ecs"]))
    assert [value for value in wanted if value not in there and not isinstance(value, str)] == [0.5]
    with_units = {"6Gi", "31s", "6s", "61s", "257Mi", "513Mi", "1025Mi", "62s", "91s", "512Mi"}
    assert {value for value in wanted if value not in there and isinstance(value, str)} == with_units
    assert {6144, 31, 6, 61, 257, 513, 1025, 62, 91, 512} <= {value for value in there if isinstance(value, int)}


def test_a_sidecar_is_a_container_definition_of_its_own() -> None:
    (sidecar,) = TaskOptions.of(template("every")).sidecars
    assert sidecar == {
        "name": "db",
        "image": "postgres:17",
        "essential": True,
        "cpu": 512,
        "memory": 512,
        "command": ["-c", "fsync=off"],
        "environment": [{"name": "PGPORT", "value": "5433"}],
        "user": "postgres",
        "readonlyRootFilesystem": False,
        "healthCheck": {"command": ["CMD", "pg_isready"]},
    }


def test_an_existing_definition_is_named_with_its_container() -> None:
    options = TaskOptions.of(template("existing"))
    assert (options.task_definition, options.agent_container, options.container) == ("builds:7", "worker", {})


def test_a_template_says_that_each_agent_has_its_own_directory() -> None:
    text = "version: 1\ntemplates: { own: { remote_fs: /ci, unique_remote_fs: true }, shared: { remote_fs: /ci } }"
    templates = parse(text, env={}).definitions.templates
    assert templates[TemplateName("own")].unique_remote_fs
    assert not templates[TemplateName("shared")].unique_remote_fs


def test_a_pool_is_read_as_it_is_written() -> None:
    options = pool("tasks")
    assert [(one.capacity_provider, one.weight, one.base) for one in options.strategy] == [
        ("instances-spot", 4, 0),
        ("instances", 1, 2),
    ]
    assert [(one.type, one.field) for one in options.placement_strategy] == [
        ("spread", "attribute:ecs.availability-zone"),
        ("binpack", "memory"),
    ]
    assert [one.type for one in options.placement_constraints] == ["memberOf", "distinctInstance"]
    assert options.placement_constraints[0].expression == "attribute:ecs.instance-type =~ c7i.*"
    assert (options.enable_execute_command, options.secret_delivery, options.network_mode) == (True, "ssm", "awsvpc")
    assert (options.secret_prefix, options.secret_kms_key_id) == ("agentbroker/ci", "alias/agentbroker")
    assert (options.subnets, options.security_groups) == (("subnet-0a1", "subnet-0b2"), ("sg-0agents",))
    assert options.execution_role_arn == "arn:aws:iam::111122223333:role/exec"
    assert options.task_role_arn == "arn:aws:iam::111122223333:role/builds"
    assert (pool("fargate").assign_public_ip, pool("fargate").platform_version) == (True, "1.4.0")
    assert (pool("plain").launch_type, pool("plain").network_mode) == ("EC2", "bridge")


def test_a_backend_is_read_as_it_is_written() -> None:
    options = backend("aws")
    assert (options.region, options.cluster, options.family_prefix) == ("eu-west-1", "ci", "ci-jobs")
    assert options.api_rate is not None
    assert (options.api_rate.count, options.api_rate.per.total_seconds()) == (20, 1)
    assert (options.profile, options.sts_region) == ("builds", "eu-central-1")
    assert (options.proxy, options.endpoint_url) == ("http://proxy.example.com:3128", "http://127.0.0.1:4566")
    assert (options.poll_interval.total_seconds(), options.leave_grace.total_seconds()) == (5, 15)
    assert options.keep_definitions == 3


def test_a_single_role_takes_the_external_id_beside_it() -> None:
    (role,) = backend("aws").assume_role_arn
    assert role == AssumeRole(role_arn="arn:aws:iam::111122223333:role/agentbroker", external_id="agentbroker-ci")


def test_a_chain_of_roles_is_read_in_its_order() -> None:
    assert backend("keys").assume_role_arn == (
        AssumeRole(role_arn="arn:aws:iam::111122223333:role/first"),
        AssumeRole(role_arn="arn:aws:iam::444455556666:role/second", external_id="ext-2", session_name="builds"),
    )
    assert (backend("keys").access_key_id, backend("keys").secret_access_key) == ("AKIA-id", "secret")


def test_keys_in_files_are_named_by_their_files() -> None:
    options = backend("files")
    assert options.access_key_id_file == "/run/secrets/id"
    assert options.secret_access_key_file == "/run/secrets/secret"
    assert options.session_token_file == "/run/secrets/token"
