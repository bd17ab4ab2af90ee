"""From a template to the body of RegisterTaskDefinition: each key in its place, and AWS's own model takes it."""

from typing import Any

import pytest

from broker.backends.aws_ecs.definition import content_hash, definition_body, family_of
from broker.backends.aws_ecs.options import TaskOptions
from broker.backends.aws_ecs.volumes import volume_configurations
from broker.backends.bootstrap import HOME, SCRIPT_ENTRYPOINT
from broker.domain.ids import PoolName, TemplateName
from broker.domain.reason import Reason
from broker.domain.resources import Resources
from broker.domain.template import Inject, Mount
from broker.errors import BackendRejected
from tests.unit.backends.aws_ecs.bodies import a_body, a_pool, a_template, agent_in, at, fargate, leaves, problems_of
from tests.unit.backends.aws_ecs.every_key import definitions

CONFIG = definitions()

AGENT = "containerDefinitions.agent"
PLACES: dict[str, Any] = {
    f"{AGENT}.image": "registry.example.com/acme/agent-java:21",
    f"{AGENT}.cpu": 2048,
    f"{AGENT}.memory": 8192,
    f"{AGENT}.memoryReservation": 6144,
    f"{AGENT}.essential": True,
    f"{AGENT}.user": "1000:1000",
    f"{AGENT}.readonlyRootFilesystem": True,
    f"{AGENT}.environment": [{"name": "TZ", "value": "UTC"}],
    f"{AGENT}.entryPoint": ["/usr/local/bin/jenkins-agent"],
    f"{AGENT}.privileged": True,
    f"{AGENT}.resourceRequirements": [{"type": "GPU", "value": "1"}],
    f"{AGENT}.secrets": [{"name": "DEPLOY", "valueFrom": "/ci/deploy"}],
    f"{AGENT}.environmentFiles": [{"value": "arn:aws:s3:::ci-settings/agent.env", "type": "s3"}],
    f"{AGENT}.mountPoints.0": {"sourceVolume": "m2", "containerPath": "/m2", "readOnly": True},
    f"{AGENT}.portMappings": [{"containerPort": 8080, "hostPort": 8080, "protocol": "tcp"}],
    f"{AGENT}.ulimits": [{"name": "nofile", "softLimit": 4096, "hardLimit": 65536}],
    f"{AGENT}.dockerLabels": {"my_label": "one"},
    f"{AGENT}.dockerSecurityOptions": ["no-new-privileges"],
    f"{AGENT}.credentialSpecs": ["credentialspec:arn:aws:s3:::ci-settings/gmsa.json"],
    f"{AGENT}.healthCheck.command": ["CMD-SHELL", "pgrep java"],
    f"{AGENT}.healthCheck.interval": 31,
    f"{AGENT}.healthCheck.startPeriod": 61,
    f"{AGENT}.linuxParameters.capabilities": {"add": ["SYS_PTRACE"], "drop": ["NET_RAW"]},
    f"{AGENT}.linuxParameters.initProcessEnabled": True,
    f"{AGENT}.linuxParameters.sharedMemorySize": 257,
    f"{AGENT}.linuxParameters.tmpfs": [{"containerPath": "/scratch", "size": 513, "mountOptions": ["exec"]}],
    f"{AGENT}.linuxParameters.devices.0.hostPath": "/dev/kvm",
    f"{AGENT}.linuxParameters.maxSwap": 1025,
    f"{AGENT}.linuxParameters.swappiness": 11,
    f"{AGENT}.logConfiguration.logDriver": "awslogs",
    f"{AGENT}.logConfiguration.options.awslogs-group": "/ci/agents",
    f"{AGENT}.logConfiguration.secretOptions": [{"name": "splunk-token", "valueFrom": "/ci/splunk"}],
    f"{AGENT}.repositoryCredentials.credentialsParameter": (
        "arn:aws:secretsmanager:eu-west-1:111122223333:secret:hub-1"
    ),
    f"{AGENT}.startTimeout": 62,
    f"{AGENT}.stopTimeout": 91,
    f"{AGENT}.systemControls": [{"namespace": "net.ipv4.tcp_keepalive_time", "value": "60"}],
    f"{AGENT}.workingDirectory": "/home/jenkins",
    f"{AGENT}.dependsOn": [{"containerName": "db", "condition": "HEALTHY"}],
    f"{AGENT}.firelensConfiguration": {"type": "fluentbit", "options": {"enable-ecs-log-metadata": "true"}},
    "containerDefinitions.db.image": "postgres:17",
    "containerDefinitions.db.cpu": 512,
    "containerDefinitions.db.memory": 512,
    "containerDefinitions.db.command": ["-c", "fsync=off"],
    "containerDefinitions.db.environment": [{"name": "PGPORT", "value": "5433"}],
    "containerDefinitions.db.user": "postgres",
    "containerDefinitions.db.readonlyRootFilesystem": False,
    "volumes.m2": {"name": "m2", "host": {"sourcePath": "/var/cache/maven"}},
    "volumes.docker.dockerVolumeConfiguration.driverOpts": {"type": "tmpfs"},
    "volumes.docker.dockerVolumeConfiguration.labels": {"team_of": "build"},
    "volumes.efs.efsVolumeConfiguration.transitEncryptionPort": 2999,
    "volumes.efs.efsVolumeConfiguration.authorizationConfig": {
        "accessPointId": "fsap-0123456789abcdef0",
        "iam": "ENABLED",
    },
    "volumes.workspace": {"name": "workspace", "configuredAtLaunch": True},
    "taskRoleArn": "arn:aws:iam::111122223333:role/builds-java",
    "executionRoleArn": "arn:aws:iam::111122223333:role/exec-java",
    "networkMode": "awsvpc",
    "ipcMode": "task",
    "pidMode": "task",
    "placementConstraints": [{"type": "memberOf", "expression": "attribute:disk == nvme"}],
    "runtimePlatform": {"operatingSystemFamily": "LINUX", "cpuArchitecture": "ARM64"},
    "tags": [{"key": "team", "value": "build"}],
}


def body_of(template: str, pool: str) -> dict[str, Any]:
    return definition_body(
        CONFIG.templates[TemplateName(template)], CONFIG.pools[PoolName(pool)], f"ci-jobs-{template}"
    )


@pytest.mark.parametrize("path", PLACES)
def test_each_key_is_in_its_place(path: str) -> None:
    assert at(body_of("every", "tasks"), path) == PLACES[path]


@pytest.mark.parametrize(
    ("template", "pool", "path", "value"),
    [
        ("bridged", "plain", f"{AGENT}.extraHosts", [{"hostname": "db.internal", "ipAddress": "10.0.0.7"}]),
        ("bridged", "plain", f"{AGENT}.dnsServers", ["10.0.0.2"]),
        ("bridged", "plain", f"{AGENT}.dnsSearchDomains", ["ci.internal"]),
        ("bridged", "plain", f"{AGENT}.hostname", "agent-host"),
        ("bridged", "plain", f"{AGENT}.links", ["db:database"]),
        ("bridged", "plain", "networkMode", "bridge"),
        ("bridged", "plain", "executionRoleArn", "arn:aws:iam::111122223333:role/exec"),
        ("big-disk", "fargate", "ephemeralStorage", {"sizeInGiB": 60}),
        ("windows", "plain", "runtimePlatform.operatingSystemFamily", "WINDOWS_SERVER_2022_CORE"),
        ("windows", "plain", "volumes.share.fsxWindowsFileServerVolumeConfiguration.rootDirectory", "share"),
    ],
)
def test_keys_that_only_some_tasks_have_are_in_their_places(template: str, pool: str, path: str, value: Any) -> None:
    assert at(body_of(template, pool), path) == value


@pytest.mark.parametrize("template", ["every", "bridged", "big-disk", "windows"])
def test_nothing_that_the_config_says_is_lost(template: str) -> None:
    found = CONFIG.templates[TemplateName(template)]
    options = TaskOptions.of(found)
    said = [*leaves(options.container), *leaves(options.task), *leaves(options.sidecars), *leaves(dict(found.env))]
    there = list(leaves(body_of(template, "tasks")))
    assert [value for value in said if value not in there] == []


@pytest.mark.parametrize("template", ["every", "bridged", "big-disk", "windows"])
@pytest.mark.parametrize("pool", ["tasks", "fargate", "plain"])
def test_the_model_of_the_api_takes_every_body(template: str, pool: str) -> None:
    assert problems_of("RegisterTaskDefinition", body_of(template, pool)) == ""


def test_an_ebs_volume_is_named_in_the_definition_and_made_by_each_launch() -> None:
    template = CONFIG.templates[TemplateName("every")]
    asked = volume_configurations(template)
    assert asked[0]["managedEBSVolume"]["sizeInGiB"] == 100
    request = {"taskDefinition": "x", "volumeConfigurations": asked}
    assert problems_of("RunTask", request) == ""


def test_a_volume_that_each_launch_makes_need_not_be_listed_twice() -> None:
    ebs = [{"name": "disk", "managed_ebs_volume": {"role_arn": "arn:r", "size_in_gib": 20}}]
    body = a_body(a_template(ecs={"volume_configurations": ebs}))
    assert body["volumes"] == [{"name": "disk", "configuredAtLaunch": True}]


def test_blank_is_unset() -> None:
    body = a_body(a_template(user="", env={}, tags={}), a_pool(network_mode="", execution_role_arn=""))
    assert body.keys() == {"family", "containerDefinitions"}
    named = {"name", "image", "cpu", "memory", "essential", "healthCheck", "workingDirectory"}
    assert agent_in(body).keys() == named


def test_zero_false_and_empty_words_say_something() -> None:
    linux = {"linux_parameters": {"swappiness": 0}, "privileged": False}
    sidecar = {"name": "db", "image": "postgres", "essential": False, "command": ["-c", ""], "env": {"EMPTY": ""}}
    body = a_body(a_template(env={"EMPTY": ""}, ecs={**linux, "sidecars": [sidecar]}))
    agent, beside = body["containerDefinitions"]
    assert agent["linuxParameters"] == {"swappiness": 0}
    assert (agent["privileged"], beside["essential"], beside["command"]) == (False, False, ["-c", ""])
    assert agent["environment"] == beside["environment"] == [{"name": "EMPTY", "value": ""}]


def test_shared_memory_and_capabilities_stand_side_by_side() -> None:
    linux = {"shared_memory_size": 512, "capabilities": {"add": ["SYS_PTRACE"]}}
    agent = agent_in(a_body(a_template(ecs={"linux_parameters": linux})))
    assert agent["linuxParameters"] == {"sharedMemorySize": 512, "capabilities": {"add": ["SYS_PTRACE"]}}


def test_a_read_only_agent_can_still_write_its_directory_and_tmp() -> None:
    body = a_body(a_template(read_only=True, remote_fs="/home/jenkins"))
    paths = {one["containerPath"]: one["sourceVolume"] for one in agent_in(body)["mountPoints"]}
    assert paths.keys() == {"/home/jenkins", "/tmp"}
    assert sorted(paths.values()) == [one["name"] for one in sorted(body["volumes"], key=lambda one: str(one["name"]))]


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ({}, HOME),
        ({"remote_fs": "ws"}, HOME),
        ({"remote_fs": "/srv/ws"}, None),
        ({"inject": Inject.SCRIPT}, None),
        ({"ecs": {"working_directory": "/srv"}}, "/srv"),
        ({"ecs": {"runtime_platform": {"operating_system_family": "WINDOWS_SERVER_2022_CORE"}}}, None),
    ],
)
def test_an_agent_is_started_where_jenkins_counts_a_relative_directory_from(
    template: dict[str, Any], expected: str | None
) -> None:
    assert agent_in(a_body(a_template(**template))).get("workingDirectory") == expected


def test_a_read_only_agent_keeps_the_volumes_that_its_template_has_for_these() -> None:
    ecs = {
        "volumes": [{"name": "w"}],
        "mount_points": [{"source_volume": "w", "container_path": "/home/jenkins"}],
        "linux_parameters": {"tmpfs": [{"container_path": "/tmp", "size": 64}]},
    }
    body = a_body(a_template(read_only=True, remote_fs="/home/jenkins", ecs=ecs))
    assert body["volumes"] == [{"name": "w"}]


def test_mounts_become_volumes_of_the_instance() -> None:
    mounts = (Mount(source="/var/cache", target="/cache", read_only=True), Mount(source="shared", target="/shared"))
    body = a_body(a_template(mounts=mounts))
    assert body["volumes"] == [{"name": "mount-0", "host": {"sourcePath": "/var/cache"}}, {"name": "shared"}]
    assert agent_in(body)["mountPoints"] == [
        {"sourceVolume": "mount-0", "containerPath": "/cache", "readOnly": True},
        {"sourceVolume": "shared", "containerPath": "/shared"},
    ]


def test_the_script_is_the_definitions_own_entry_point() -> None:
    assert agent_in(a_body(a_template(inject=Inject.SCRIPT)))["entryPoint"] == list(SCRIPT_ENTRYPOINT)


def test_a_template_has_no_say_in_who_the_agent_is() -> None:
    env = {"JENKINS_TUNNEL": "elsewhere:1", "JENKINS_SECRET": "x", "JAVA_OPTS": "-Xmx1g"}
    assert agent_in(a_body(a_template(env=env)))["environment"] == [{"name": "JAVA_OPTS", "value": "-Xmx1g"}]


def test_secrets_of_a_launch_come_beside_those_of_the_template() -> None:
    template = a_template(ecs={"secrets": {"TOKEN": "/ci/token", "JENKINS_SECRET": "/mine"}})
    body = definition_body(template, a_pool(), "f", None, {"JENKINS_SECRET": "/agentbroker/1"})
    assert agent_in(body)["secrets"] == [
        {"name": "TOKEN", "valueFrom": "/ci/token"},
        {"name": "JENKINS_SECRET", "valueFrom": "/agentbroker/1"},
    ]


class TestNetwork:
    """Which network mode a definition has."""

    @pytest.mark.parametrize("asked", ["", "bridge", "default", "host"])
    def test_fargate_has_awsvpc_whatever_is_asked(self, asked: str) -> None:
        assert a_body(pool=fargate(network_mode=asked))["networkMode"] == "awsvpc"

    def test_subnets_mean_awsvpc(self) -> None:
        assert a_body(pool=a_pool(subnets=["subnet-1"]))["networkMode"] == "awsvpc"

    def test_the_templates_counts_more_than_the_pools(self) -> None:
        template = a_template(ecs={"network_mode": "host"})
        assert a_body(template, a_pool(network_mode="bridge", subnets=["subnet-1"]))["networkMode"] == "host"

    @pytest.mark.parametrize("options", [{}, {"network_mode": "default", "subnets": ["subnet-1"]}])
    def test_none_is_said_where_none_is_asked(self, options: dict[str, Any]) -> None:
        assert "networkMode" not in a_body(pool=a_pool(**options))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"launch_type": "EC2"}, ["EC2"]),
        ({"launch_type": "EXTERNAL"}, ["EXTERNAL"]),
        ({"launch_type": "FARGATE"}, ["FARGATE"]),
        ({"capacity_provider": "FARGATE_SPOT"}, ["FARGATE"]),
        ({"capacity_provider": "own"}, None),
        ({}, None),
    ],
)
def test_a_definition_requires_what_the_pool_is_sure_of(options: dict[str, Any], expected: list[str] | None) -> None:
    assert a_body(pool=a_pool(**options)).get("requiresCompatibilities") == expected


def test_a_platform_is_said_on_instances_too() -> None:
    template = a_template(ecs={"runtime_platform": {"cpu_architecture": "ARM64"}})
    assert a_body(template, a_pool(launch_type="EC2"))["runtimePlatform"] == {"cpuArchitecture": "ARM64"}


def test_the_templates_roles_count_more_than_the_pools() -> None:
    pool = a_pool(execution_role_arn="arn:pool-exec", task_role_arn="arn:pool-task")
    body = a_body(a_template(ecs={"execution_role_arn": "arn:own"}), pool)
    assert (body["executionRoleArn"], body["taskRoleArn"]) == ("arn:own", "arn:pool-task")


def test_on_fargate_the_size_is_the_tasks() -> None:
    sidecar = {"name": "db", "image": "postgres", "cpu": 512, "memory": 1024}
    body = a_body(a_template(ecs={"sidecars": [sidecar]}), fargate())
    assert (body["cpu"], body["memory"]) == ("2048", "8192")
    assert (agent_in(body)["cpu"], agent_in(body)["memory"]) == (1536, 7168)


def test_on_instances_the_size_is_the_containers() -> None:
    body = a_body()
    assert {"cpu", "memory"}.isdisjoint(body)
    assert (agent_in(body)["cpu"], agent_in(body)["memory"]) == (2048, 8192)


def test_a_definition_has_the_configured_size_whatever_a_build_asks_for() -> None:
    usual = Resources(cpu_milli=2000, memory_mib=8192)
    asked = a_template(resources=Resources(cpu_milli=4000, memory_mib=16384))
    for pool in (a_pool(), fargate()):
        assert content_hash(definition_body(asked, pool, "f", usual)) == content_hash(
            definition_body(a_template(), pool, "f")
        )


def test_a_template_without_an_image_is_told_what_to_set() -> None:
    with pytest.raises(BackendRejected, match=r"templates\.java has neither an image nor a task_definition") as told:
        a_body(a_template(image=None))
    assert told.value.reason is Reason.INVALID_TEMPLATE


@pytest.mark.parametrize(
    ("prefix", "template", "family"),
    [
        ("agentbroker", "java", "agentbroker-java"),
        ("ci", "java 8.1", "ci-java-8-1"),
        ("x" * 250, "abcdefgh", "x" * 250 + "-abcd"),
    ],
)
def test_a_family_has_the_templates_name_in_letters_that_aws_takes(prefix: str, template: str, family: str) -> None:
    assert family_of(prefix, TemplateName(template)) == family
