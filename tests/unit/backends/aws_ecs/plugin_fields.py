"""Every field of the Jenkins plugin for Amazon ECS, and what stands in its place here.

`key` is a path of the reference (docs/reference/config.md), with `*` for a name, which `NAMES` gives. `lands` is where
`value` gets to: an action of ECS and a path in its request, in which items of lists are known by their name or number.
Without it the value is the broker's own affair.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from broker.config.load import parse
from broker.domain.definitions import Definitions

NAMES: Final = {"backends": "aws", "pools": "p", "templates": "t", "policies": "l", "controllers": "main"}
DEFINE: Final = "RegisterTaskDefinition"
RUN: Final = "RunTask"
_AGENT: Final = "containerDefinitions.agent"
_ROLE: Final = "arn:aws:iam::111122223333:role/builds"
_EFS: Final = {
    "name": "m2",
    "efs_volume_configuration": {
        "file_system_id": "fs-1",
        "transit_encryption": "ENABLED",
        "authorization_config": {"access_point_id": "fsap-1", "iam": "ENABLED"},
    },
}
_FARGATE: Final = {"pools.*.capacity_provider": "FARGATE", "pools.*.subnets": ["subnet-1"]}
_AWSVPC: Final = {"pools.*.network_mode": "awsvpc", "pools.*.subnets": ["subnet-1"]}
_EC2: Final = {"pools.*.launch_type": "EC2"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginField:
    """One field of the plugin; `needs` are further keys without which the value would be refused."""

    name: str
    key: str
    value: Any
    lands: str = ""
    there: Any = None
    needs: Mapping[str, Any] = field(default_factory=dict)

    def definitions(self) -> Definitions:
        """A config with the value in it."""
        whole: dict[str, Any] = {
            "version": 1,
            "gateway": {"websocket": {"advertise": "wss://agents.example.com"}},
            "controllers": {"main": {"url": "https://ci.example.com/", "token_sha256": "0" * 64}},
            "backends": {"aws": {"type": "aws-ecs"}},
            "pools": {"p": {"backend": "aws"}},
            "templates": {"t": {"image": "jenkins/inbound-agent", "cpu": 1, "memory": "2Gi"}},
            "policies": {"l": {"labels": ["linux"], "template": "t", "pools": ["p"]}},
        }
        for path, value in {**self.needs, self.key: self.value}.items():
            noun, _, *steps, last = path.split(".")
            place = whole[noun][NAMES[noun]]
            for step in steps:
                place = place.setdefault(step, {})
            place[last] = value
        return parse(yaml.safe_dump(whole), env={}).definitions


OF_THE_CLOUD: Final = (
    PluginField(name="name", key="backends.*.family_prefix", value="ci", lands=f"{DEFINE}:family", there="ci-t"),
    PluginField(
        name="credentialsId",
        key="backends.*.access_key_id_file",
        value="/run/secrets/id",
        needs={"backends.*.secret_access_key_file": "/run/secrets/key"},
    ),
    PluginField(name="assumedRoleArn", key="backends.*.assume_role_arn", value=_ROLE),
    PluginField(name="regionName", key="backends.*.region", value="eu-west-1"),
    PluginField(name="cluster", key="backends.*.cluster", value="ci", lands=f"{RUN}:cluster", there="ci"),
    PluginField(name="allowedOverrides", key="policies.*.overrides.allow", value=["cpu", "memory"]),
    PluginField(
        name="maxCpu", key="policies.*.overrides.max_cpu", value=8, needs={"policies.*.overrides.allow": ["cpu"]}
    ),
    PluginField(
        name="maxMemory",
        key="policies.*.overrides.max_memory",
        value="32Gi",
        needs={"policies.*.overrides.allow": ["memory"]},
    ),
    PluginField(
        name="maxMemoryReservation",
        key="policies.*.overrides.max_memory",
        value="32Gi",
        needs={"policies.*.overrides.allow": ["memory"]},
    ),
    PluginField(name="maxAgents", key="pools.*.limits.agents", value=40),
    PluginField(
        name="tunnel", key="pools.*.direct.tunnel", value="ci.example.com:50000", needs={"pools.*.connect": "direct"}
    ),
    PluginField(
        name="jenkinsUrl", key="pools.*.direct.url", value="https://ci.internal/", needs={"pools.*.connect": "direct"}
    ),
    PluginField(name="numExecutors", key="templates.*.executors", value=2, needs={"templates.*.retention.max_uses": 0}),
    PluginField(name="slaveTimeoutInSeconds", key="policies.*.timeouts.boot", value="15m"),
    PluginField(name="retainAgents", key="templates.*.retention.max_uses", value=0),
    PluginField(name="retentionTimeout", key="templates.*.retention.idle_timeout", value="5m"),
    PluginField(name="taskPollingIntervalInSeconds", key="backends.*.poll_interval", value="5s"),
    PluginField(name="templates", key="policies.*.template", value="t"),
)
"""Section "Cloud fields"."""

OF_A_TEMPLATE: Final = (
    PluginField(name="label", key="policies.*.labels", value=["linux", "docker"]),
    PluginField(name="templateName", key="templates.*.tags", value={}, lands=f"{DEFINE}:family", there="agentbroker-t"),
    PluginField(name="cloud", key="policies.*.pools", value=["p"]),
    PluginField(
        name="taskDefinitionOverride",
        key="templates.*.task_definition",
        value="builds:7",
        needs={"templates.*.image": None},
    ),
    PluginField(
        name="agentContainerName",
        key="templates.*.agent_container",
        value="worker",
        needs={"templates.*.task_definition": "builds", "templates.*.image": None},
    ),
    PluginField(name="image", key="templates.*.image", value="a/b:1", lands=f"{DEFINE}:{_AGENT}.image", there="a/b:1"),
    PluginField(
        name="repositoryCredentials",
        key="templates.*.ecs.repository_credentials",
        value={"credentials_parameter": "arn:aws:secretsmanager:eu-west-1:111122223333:secret:hub-1"},
        lands=f"{DEFINE}:{_AGENT}.repositoryCredentials.credentialsParameter",
        there="arn:aws:secretsmanager:eu-west-1:111122223333:secret:hub-1",
        needs={"pools.*.execution_role_arn": _ROLE},
    ),
    PluginField(name="launchType", key="pools.*.launch_type", value="EC2", lands=f"{RUN}:launchType", there="EC2"),
    PluginField(
        name="operatingSystemFamily",
        key="templates.*.ecs.runtime_platform.operating_system_family",
        value="WINDOWS_SERVER_2022_CORE",
        lands=f"{DEFINE}:runtimePlatform.operatingSystemFamily",
        there="WINDOWS_SERVER_2022_CORE",
    ),
    PluginField(
        name="cpuArchitecture",
        key="templates.*.ecs.runtime_platform.cpu_architecture",
        value="ARM64",
        lands=f"{DEFINE}:runtimePlatform.cpuArchitecture",
        there="ARM64",
    ),
    PluginField(name="defaultCapacityProvider", key="pools.*.launch_type", value=None),
    PluginField(
        name="capacityProviderStrategies",
        key="pools.*.capacity_provider_strategy",
        value=[{"capacity_provider": "spot", "weight": 4}, {"capacity_provider": "od", "weight": 1, "base": 2}],
        lands=f"{RUN}:capacityProviderStrategy",
        there=[
            {"capacityProvider": "spot", "weight": 4, "base": 0},
            {"capacityProvider": "od", "weight": 1, "base": 2},
        ],
    ),
    PluginField(
        name="networkMode", key="pools.*.network_mode", value="host", lands=f"{DEFINE}:networkMode", there="host"
    ),
    PluginField(
        name="subnets",
        key="pools.*.subnets",
        value=["subnet-1"],
        lands=f"{RUN}:networkConfiguration.awsvpcConfiguration.subnets",
        there=["subnet-1"],
    ),
    PluginField(
        name="securityGroups",
        key="pools.*.security_groups",
        value=["sg-1"],
        lands=f"{RUN}:networkConfiguration.awsvpcConfiguration.securityGroups",
        there=["sg-1"],
        needs=_AWSVPC,
    ),
    PluginField(
        name="assignPublicIp",
        key="pools.*.assign_public_ip",
        value=True,
        lands=f"{RUN}:networkConfiguration.awsvpcConfiguration.assignPublicIp",
        there="ENABLED",
        needs=_FARGATE,
    ),
    PluginField(name="remoteFSRoot", key="templates.*.remote_fs", value="/home/jenkins"),
    PluginField(name="uniqueRemoteFSRoot", key="templates.*.unique_remote_fs", value=True),
    PluginField(
        name="platformVersion",
        key="pools.*.platform_version",
        value="1.4.0",
        lands=f"{RUN}:platformVersion",
        there="1.4.0",
        needs=_FARGATE,
    ),
    PluginField(
        name="memoryReservation",
        key="templates.*.ecs.memory_reservation",
        value="1Gi",
        lands=f"{DEFINE}:{_AGENT}.memoryReservation",
        there=1024,
    ),
    PluginField(name="memory", key="templates.*.memory", value="3Gi", lands=f"{DEFINE}:{_AGENT}.memory", there=3072),
    PluginField(name="cpu", key="templates.*.cpu", value=0.5, lands=f"{DEFINE}:{_AGENT}.cpu", there=512),
    PluginField(
        name="ephemeralStorageSizeInGiB",
        key="templates.*.ecs.ephemeral_storage.size_in_gib",
        value=60,
        lands=f"{DEFINE}:ephemeralStorage.sizeInGiB",
        there=60,
        needs=_FARGATE,
    ),
    PluginField(
        name="sharedMemorySize",
        key="templates.*.ecs.linux_parameters.shared_memory_size",
        value="256Mi",
        lands=f"{DEFINE}:{_AGENT}.linuxParameters",
        there={"sharedMemorySize": 256, "capabilities": {"add": ["SYS_PTRACE"]}},
        needs={"templates.*.ecs.linux_parameters.capabilities.add": ["SYS_PTRACE"]},
    ),
    PluginField(
        name="kernelCapabilities",
        key="templates.*.ecs.linux_parameters.capabilities.add",
        value=["SYS_PTRACE"],
        lands=f"{DEFINE}:{_AGENT}.linuxParameters.capabilities.add",
        there=["SYS_PTRACE"],
    ),
    PluginField(
        name="dnsSearchDomains",
        key="templates.*.ecs.dns_search_domains",
        value=["ci.internal"],
        lands=f"{DEFINE}:{_AGENT}.dnsSearchDomains",
        there=["ci.internal"],
    ),
    PluginField(
        name="entrypoint",
        key="templates.*.ecs.entry_point",
        value=["/bin/agent", "two words"],
        lands=f"{DEFINE}:{_AGENT}.entryPoint",
        there=["/bin/agent", "two words"],
    ),
    PluginField(
        name="jvmArgs",
        key="templates.*.env",
        value={"JENKINS_JAVA_OPTS": "-Xmx1g"},
        lands=f"{DEFINE}:{_AGENT}.environment.JENKINS_JAVA_OPTS.value",
        there="-Xmx1g",
    ),
    PluginField(name="taskrole", key="pools.*.task_role_arn", value=_ROLE, lands=f"{DEFINE}:taskRoleArn", there=_ROLE),
    PluginField(
        name="executionRole",
        key="pools.*.execution_role_arn",
        value=_ROLE,
        lands=f"{DEFINE}:executionRoleArn",
        there=_ROLE,
    ),
    PluginField(
        name="privileged",
        key="templates.*.ecs.privileged",
        value=True,
        lands=f"{DEFINE}:{_AGENT}.privileged",
        there=True,
    ),
    PluginField(
        name="containerUser",
        key="templates.*.user",
        value="jenkins:docker",
        lands=f"{DEFINE}:{_AGENT}.user",
        there="jenkins:docker",
    ),
    PluginField(
        name="logDriver",
        key="templates.*.ecs.log_configuration.log_driver",
        value="journald",
        lands=f"{DEFINE}:{_AGENT}.logConfiguration.logDriver",
        there="journald",
    ),
    PluginField(
        name="logDriverOptions",
        key="templates.*.ecs.log_configuration.options",
        value={"awslogs-group": "/ci", "awslogs-region": "eu-west-1"},
        lands=f"{DEFINE}:{_AGENT}.logConfiguration.options",
        there={"awslogs-group": "/ci", "awslogs-region": "eu-west-1"},
        needs={"templates.*.ecs.log_configuration.log_driver": "awslogs"},
    ),
    PluginField(
        name="environments",
        key="templates.*.env",
        value={"TZ": "UTC"},
        lands=f"{DEFINE}:{_AGENT}.environment.TZ.value",
        there="UTC",
    ),
    PluginField(
        name="extraHosts",
        key="templates.*.ecs.extra_hosts",
        value=[{"hostname": "db", "ip_address": "10.0.0.7"}],
        lands=f"{DEFINE}:{_AGENT}.extraHosts",
        there=[{"hostname": "db", "ipAddress": "10.0.0.7"}],
    ),
    PluginField(
        name="mountPoints",
        key="templates.*.ecs.mount_points",
        value=[{"source_volume": "m2", "container_path": "/m2", "read_only": True}],
        lands=f"{DEFINE}:{_AGENT}.mountPoints",
        there=[{"sourceVolume": "m2", "containerPath": "/m2", "readOnly": True}],
        needs={"templates.*.ecs.volumes": [{"name": "m2", "host": {"source_path": "/var/m2"}}]},
    ),
    PluginField(
        name="portMappings",
        key="templates.*.ecs.port_mappings",
        value=[{"container_port": 80, "host_port": 0, "protocol": "udp"}],
        lands=f"{DEFINE}:{_AGENT}.portMappings",
        there=[{"containerPort": 80, "hostPort": 0, "protocol": "udp"}],
    ),
    PluginField(
        name="efsMountPoints",
        key="templates.*.ecs.volumes",
        value=[_EFS],
        lands=f"{DEFINE}:volumes.m2.efsVolumeConfiguration",
        there={
            "fileSystemId": "fs-1",
            "transitEncryption": "ENABLED",
            "authorizationConfig": {"accessPointId": "fsap-1", "iam": "ENABLED"},
        },
    ),
    PluginField(
        name="ulimits",
        key="templates.*.ecs.ulimits",
        value=[{"name": "nofile", "soft_limit": 1, "hard_limit": 2}],
        lands=f"{DEFINE}:{_AGENT}.ulimits",
        there=[{"name": "nofile", "softLimit": 1, "hardLimit": 2}],
    ),
    PluginField(
        name="placementStrategies",
        key="pools.*.placement_strategy",
        value=[{"type": "spread", "field": "instanceId"}, {"type": "binpack", "field": "cpu"}, {"type": "random"}],
        lands=f"{RUN}:placementStrategy",
        there=[{"type": "spread", "field": "instanceId"}, {"type": "binpack", "field": "cpu"}, {"type": "random"}],
        needs=_EC2,
    ),
    PluginField(
        name="tags",
        key="templates.*.tags",
        value={"team": "build"},
        lands=f"{DEFINE}:tags",
        there=[{"key": "team", "value": "build"}],
    ),
    PluginField(
        name="enableExecuteCommand",
        key="pools.*.enable_execute_command",
        value=True,
        lands=f"{RUN}:enableExecuteCommand",
        there=True,
        needs={"pools.*.task_role_arn": _ROLE},
    ),
    PluginField(name="inheritFrom", key="templates.*.inherit_from", value=None),
    PluginField(
        name="overrides",
        key="policies.*.overrides.allow",
        value=["image"],
        needs={"policies.*.overrides.images": ["*"]},
    ),
)
"""Section "Template fields"."""

NEVER_SUPPORTED: Final = (
    PluginField(
        name="GPU",
        key="templates.*.ecs.resource_requirements",
        value=[{"type": "GPU", "value": "2"}],
        lands=f"{DEFINE}:{_AGENT}.resourceRequirements",
        there=[{"type": "GPU", "value": "2"}],
        needs=_EC2,
    ),
    PluginField(
        name="placement constraints",
        key="pools.*.placement_constraints",
        value=[{"type": "memberOf", "expression": "attribute:a == b"}, {"type": "distinctInstance"}],
        lands=f"{RUN}:placementConstraints",
        there=[{"type": "memberOf", "expression": "attribute:a == b"}, {"type": "distinctInstance"}],
        needs=_EC2,
    ),
    PluginField(
        name="secrets",
        key="templates.*.ecs.secrets",
        value={"DEPLOY": "/ci/deploy"},
        lands=f"{DEFINE}:{_AGENT}.secrets",
        there=[{"name": "DEPLOY", "valueFrom": "/ci/deploy"}],
        needs={"pools.*.execution_role_arn": _ROLE},
    ),
    PluginField(
        name="sidecars",
        key="templates.*.ecs.sidecars",
        value=[{"name": "db", "image": "postgres:17", "memory": "512Mi"}],
        lands=f"{DEFINE}:containerDefinitions.db",
        there={"name": "db", "image": "postgres:17", "memory": 512, "essential": False},
    ),
    PluginField(
        name="health checks",
        key="templates.*.ecs.health_check",
        value={"command": ["CMD-SHELL", "true"], "interval": "10s"},
        lands=f"{DEFINE}:{_AGENT}.healthCheck",
        there={"command": ["CMD-SHELL", "true"], "interval": 10},
    ),
    PluginField(
        name="init process",
        key="templates.*.ecs.linux_parameters.init_process_enabled",
        value=True,
        lands=f"{DEFINE}:{_AGENT}.linuxParameters.initProcessEnabled",
        there=True,
    ),
    PluginField(
        name="tmpfs",
        key="templates.*.ecs.linux_parameters.tmpfs",
        value=[{"container_path": "/scratch", "size": "1Gi"}],
        lands=f"{DEFINE}:{_AGENT}.linuxParameters.tmpfs",
        there=[{"containerPath": "/scratch", "size": 1024}],
    ),
    PluginField(
        name="EBS volumes",
        key="templates.*.ecs.volume_configurations",
        value=[{"name": "work", "managed_ebs_volume": {"role_arn": _ROLE, "size_in_gib": 100}}],
        lands=f"{RUN}:volumeConfigurations",
        there=[{"name": "work", "managedEBSVolume": {"roleArn": _ROLE, "sizeInGiB": 100}}],
    ),
    PluginField(
        name="runtime platform on EC2",
        key="templates.*.ecs.runtime_platform.cpu_architecture",
        value="ARM64",
        lands=f"{DEFINE}:runtimePlatform.cpuArchitecture",
        there="ARM64",
        needs=_EC2,
    ),
    PluginField(
        name="Windows gMSA",
        key="templates.*.ecs.credential_specs",
        value=["credentialspec:arn:aws:s3:::ci/gmsa.json"],
        lands=f"{DEFINE}:{_AGENT}.credentialSpecs",
        there=["credentialspec:arn:aws:s3:::ci/gmsa.json"],
        needs={"templates.*.ecs.runtime_platform.operating_system_family": "WINDOWS_SERVER_2022_CORE"},
    ),
    PluginField(
        name="readonly root",
        key="templates.*.read_only",
        value=True,
        lands=f"{DEFINE}:{_AGENT}.readonlyRootFilesystem",
        there=True,
    ),
    PluginField(
        name="docker labels",
        key="templates.*.ecs.docker_labels",
        value={"a_b": "c"},
        lands=f"{DEFINE}:{_AGENT}.dockerLabels",
        there={"a_b": "c"},
    ),
    PluginField(
        name="stop timeout",
        key="templates.*.ecs.stop_timeout",
        value="90s",
        lands=f"{DEFINE}:{_AGENT}.stopTimeout",
        there=90,
    ),
    PluginField(
        name="systemControls",
        key="templates.*.ecs.system_controls",
        value=[{"namespace": "net.core.somaxconn", "value": "1024"}],
        lands=f"{DEFINE}:{_AGENT}.systemControls",
        there=[{"namespace": "net.core.somaxconn", "value": "1024"}],
    ),
    PluginField(
        name="FireLens",
        key="templates.*.ecs.sidecars",
        value=[
            {
                "name": "logs",
                "image": "aws-for-fluent-bit",
                "memory": "64Mi",
                "firelens_configuration": {"type": "fluentbit", "options": {"enable-ecs-log-metadata": "true"}},
            }
        ],
        lands=f"{DEFINE}:containerDefinitions.logs.firelensConfiguration",
        there={"type": "fluentbit", "options": {"enable-ecs-log-metadata": "true"}},
    ),
    PluginField(
        name="volumes other than host and EFS",
        key="templates.*.ecs.volumes",
        value=[{"name": "v", "docker_volume_configuration": {"scope": "shared", "driver": "local"}}],
        lands=f"{DEFINE}:volumes.v.dockerVolumeConfiguration",
        there={"scope": "shared", "driver": "local"},
        needs=_EC2,
    ),
)
"""What the plugin never had, but for what the broker says of each task itself: clientToken and startedBy."""
