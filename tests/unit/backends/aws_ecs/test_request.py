"""What ECS is asked for, for one agent."""

import json
from dataclasses import replace
from typing import Any

import pytest

from broker.backends.aws_ecs.chosen import Chosen, chosen_of
from broker.backends.aws_ecs.definition import definition_body
from broker.backends.aws_ecs.request import Marks, run_task
from broker.domain.reason import Reason
from broker.domain.resources import Resources
from broker.domain.template import Inject
from broker.errors import BackendRejected
from broker.ports import LaunchSpec
from broker.testing.factories import make_pool, make_spec, make_template
from tests.entrypoints import WINDOWS_HOME

ARN = "arn:aws:ecs:eu-west-1:111122223333:task-definition/agentbroker-base:7"
MARKS = Marks(cluster="ci", client_token="token", started_by="agentbroker/one", tags=[{"key": "k", "value": "v"}])
FARGATE: dict[str, Any] = {
    "capacity_provider": "FARGATE",
    "subnets": ["subnet-1", "subnet-2"],
    "security_groups": ["sg-1"],
}


def spec_of(pool: dict[str, Any] | None = None, **template: Any) -> LaunchSpec:
    made = make_template(**{"image": "jenkins/inbound-agent", **template})
    return make_spec(template=made, pool=make_pool(options=FARGATE if pool is None else pool))


def chosen_for(spec: LaunchSpec) -> Chosen:
    return chosen_of(definition_body(spec.template, spec.pool, "agentbroker-base"), ARN, "agent", ours=True)


def asked(spec: LaunchSpec, chosen: Chosen | None = None) -> dict[str, Any]:
    return run_task(spec, chosen or chosen_for(spec), MARKS, ())


def container(request: dict[str, Any]) -> dict[str, Any]:
    overrides = request["overrides"]["containerOverrides"]
    assert len(overrides) == 1
    found: dict[str, Any] = overrides[0]
    return found


def variables(request: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one["value"] for one in container(request).get("environment", ())}


def test_a_task_is_one_of_a_full_revision_with_its_token_and_its_marks() -> None:
    request = asked(spec_of())
    assert request["taskDefinition"] == ARN
    assert (request["count"], request["clientToken"], request["startedBy"]) == (1, "token", "agentbroker/one")
    assert request["tags"] == [{"key": "k", "value": "v"}]
    assert "propagateTags" not in request
    assert request["capacityProviderStrategy"] == [{"capacityProvider": "FARGATE", "weight": 1, "base": 0}]
    assert request["networkConfiguration"]["awsvpcConfiguration"] == {
        "subnets": ["subnet-1", "subnet-2"],
        "securityGroups": ["sg-1"],
        "assignPublicIp": "DISABLED",
    }


@pytest.mark.parametrize("windows", [False, True])
@pytest.mark.parametrize("inject", [Inject.ENV, Inject.ARGS, Inject.LEGACY])
def test_each_inject_tells_the_agent_who_it_is_without_a_shell(inject: Inject, windows: bool) -> None:
    platform = {"operating_system_family": "WINDOWS_SERVER_2022_CORE", "cpu_architecture": "X86_64"}
    options = {"ecs": {"runtime_platform": platform}} if windows else {}
    spec = spec_of(inject=inject, options=options)
    request = asked(spec)
    told = json.dumps(request["overrides"])
    assert spec.secret in told
    assert spec.name in told
    assert spec.url in told
    assert "/bin/sh" not in told
    if inject is Inject.ENV:
        assert variables(request)["JENKINS_SECRET"] == spec.secret
        assert spec.secret not in container(request).get("command", ())


def test_a_script_is_the_definitions_entry_point_and_its_variables_come_with_the_launch() -> None:
    spec = spec_of(inject=Inject.SCRIPT)
    assert variables(asked(spec))["JENKINS_AGENT_NAME"] == spec.name
    other = replace(chosen_for(spec), entry_point=("/bin/other",))
    with pytest.raises(BackendRejected, match="another entry point"):
        asked(spec, other)


def test_a_script_is_refused_on_windows() -> None:
    platform = {"runtime_platform": {"operating_system_family": "WINDOWS_SERVER_2022_CORE"}}
    spec = spec_of(inject=Inject.SCRIPT, options={"ecs": platform})
    with pytest.raises(BackendRejected, match="POSIX") as refused:
        asked(spec)
    assert refused.value.reason is Reason.INVALID_TEMPLATE


def test_an_agent_on_windows_works_where_its_image_has_a_directory_for_it() -> None:
    platform = {"runtime_platform": {"operating_system_family": "WINDOWS_SERVER_2022_CORE"}}
    windows = spec_of(options={"ecs": platform})
    assert variables(asked(windows))["JENKINS_AGENT_WORKDIR"] == WINDOWS_HOME
    below = spec_of(options={"ecs": platform}, remote_fs="ws")
    assert variables(asked(below))["JENKINS_AGENT_WORKDIR"] == f"{WINDOWS_HOME}/ws"
    own = spec_of(options={"ecs": platform}, remote_fs="D:\\ws")
    assert variables(asked(own))["JENKINS_AGENT_WORKDIR"] == "D:\\ws"
    theirs = replace(chosen_for(spec_of()), ours=False, is_windows=True)
    assert variables(asked(spec_of(), theirs))["JENKINS_AGENT_WORKDIR"] == WINDOWS_HOME


def test_a_definition_of_windows_that_the_config_names_is_known_as_such() -> None:
    described = {
        "containerDefinitions": [{"name": "agent"}],
        "runtimePlatform": {"operatingSystemFamily": "WINDOWS_SERVER_2019_CORE"},
    }
    assert chosen_of(described, ARN, "agent", ours=False).is_windows
    assert not chosen_of({"containerDefinitions": [{"name": "agent"}]}, ARN, "agent", ours=False).is_windows


def test_arm_is_the_definitions_matter() -> None:
    platform = {"operating_system_family": "LINUX", "cpu_architecture": "ARM64"}
    spec = spec_of(options={"ecs": {"runtime_platform": platform}})
    assert definition_body(spec.template, spec.pool, "f")["runtimePlatform"]["cpuArchitecture"] == "ARM64"
    assert "runtimePlatform" not in asked(spec)


def test_variables_of_the_template_come_with_the_definition_unless_it_is_somebody_elses() -> None:
    spec = spec_of(env={"TZ": "UTC"})
    assert "TZ" not in variables(asked(spec))
    theirs = Chosen(arn=ARN, container="jnlp", containers=("jnlp",), ours=False)
    request = asked(spec, theirs)
    assert variables(request)["TZ"] == "UTC"
    assert container(request)["name"] == "jnlp"
    assert "cpu" not in container(request)


def test_a_build_that_asks_for_another_size_gets_it_without_another_definition() -> None:
    small = spec_of(resources=Resources(cpu_milli=1000, memory_mib=2048))
    large = spec_of(resources=Resources(cpu_milli=2000, memory_mib=8192))
    request = asked(large, chosen_for(small))
    assert (request["overrides"]["cpu"], request["overrides"]["memory"]) == ("2048", "8192")
    assert (container(request)["cpu"], container(request)["memory"]) == (2048, 8192)
    assert "cpu" not in asked(small)["overrides"]


def test_instances_know_strategies_and_constraints_and_fargate_neither() -> None:
    placed = {
        "placement_strategy": [{"type": "spread", "field": "attribute:ecs.availability-zone"}, {"type": "random"}],
        "placement_constraints": [{"type": "distinctInstance"}, {"type": "memberOf", "expression": "x == y"}],
    }
    request = asked(spec_of({"launch_type": "EC2", **placed}))
    assert request["launchType"] == "EC2"
    assert request["placementStrategy"] == [
        {"type": "spread", "field": "attribute:ecs.availability-zone"},
        {"type": "random"},
    ]
    assert request["placementConstraints"] == [
        {"type": "distinctInstance"},
        {"type": "memberOf", "expression": "x == y"},
    ]
    assert "networkConfiguration" not in request
    assert "placementStrategy" not in asked(spec_of({**FARGATE, **placed}))


def test_a_strategy_of_several_providers_keeps_base_and_weight() -> None:
    strategy = [
        {"capacity_provider": "FARGATE_SPOT", "weight": 4},
        {"capacity_provider": "FARGATE", "weight": 1, "base": 2},
    ]
    request = asked(spec_of({"capacity_provider_strategy": strategy, "subnets": ["subnet-1"]}))
    assert request["capacityProviderStrategy"] == [
        {"capacityProvider": "FARGATE_SPOT", "weight": 4, "base": 0},
        {"capacityProvider": "FARGATE", "weight": 1, "base": 2},
    ]
    assert "launchType" not in request


def test_the_clusters_default_is_neither_launch_type_nor_strategy() -> None:
    request = asked(spec_of({}))
    assert not {"launchType", "capacityProviderStrategy", "networkConfiguration"} & request.keys()


def test_execution_platform_and_public_address_are_said_where_they_can_be() -> None:
    pool = {**FARGATE, "platform_version": "1.4.0", "enable_execute_command": True, "assign_public_ip": True}
    request = asked(spec_of(pool))
    assert (request["platformVersion"], request["enableExecuteCommand"]) == ("1.4.0", True)
    assert request["networkConfiguration"]["awsvpcConfiguration"]["assignPublicIp"] == "ENABLED"


def test_a_volume_made_at_launch_is_asked_for() -> None:
    volume = {"name": "data", "managed_ebs_volume": {"size_in_gib": 50, "role_arn": "arn:aws:iam::111122223333:role/x"}}
    ecs = {"volume_configurations": [volume], "volumes": [{"name": "data", "configured_at_launch": True}]}
    told = asked(spec_of(options={"ecs": ecs}))["volumeConfigurations"]
    assert told == [
        {"name": "data", "managedEBSVolume": {"sizeInGiB": 50, "roleArn": "arn:aws:iam::111122223333:role/x"}}
    ]


def test_what_does_not_fit_the_overrides_is_refused_with_its_length() -> None:
    spec = replace(spec_of(), authorities=("x" * 9000,))
    with pytest.raises(BackendRejected, match="8192"):
        asked(spec)
