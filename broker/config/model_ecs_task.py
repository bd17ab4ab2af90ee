"""`templates.X.ecs`: what only tasks of Amazon ECS have, in the structure of RegisterTaskDefinition."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from broker.config.base import Cpu, Model, Text
from broker.config.model_ecs_linux import LinuxParametersModel, SystemControlModel, UlimitModel
from broker.config.model_ecs_types import (
    AbsolutePath,
    CredentialSpec,
    EcsName,
    EnvironmentFileArn,
    HostName,
    IpAddress,
    LoginReference,
    NetworkMode,
    Port,
    RoleArn,
    SecretReference,
    User,
)
from broker.config.model_ecs_volumes import MountPointModel, VolumeConfigurationModel, VolumeModel
from broker.config.units import Duration, Size, SomeTime, problem

SecretMap = dict[str, SecretReference]


def _between(key: str, least: int, most: int) -> AfterValidator:
    def check(value: timedelta) -> timedelta:
        if not timedelta(seconds=least) <= value <= timedelta(seconds=most):
            raise problem("bad-range", f"'{key}' must be {least}s to {most}s")
        return value

    return AfterValidator(check)


def _whole_seconds(value: timedelta) -> timedelta:
    if value.microseconds:
        raise problem("bad-range", "ECS counts in whole seconds here", "write it without ms")
    return value


def _health_command(value: list[str]) -> list[str]:
    if value and value[0] not in {"CMD", "CMD-SHELL"}:
        message = "a health check's command begins with CMD (the words as they are) or CMD-SHELL (a line of the shell)"
        raise problem("bad-health-check", message, f'write \'["CMD-SHELL", "{" ".join(value)}"]\'')
    return value


Seconds = Annotated[SomeTime, AfterValidator(_whole_seconds)]


class PortMappingModel(Model):
    """A port of a container."""

    container_port: Annotated[int, Field(ge=1, le=65535)] = Field(description="Port in the container.", examples=[5432])
    host_port: Port | None = Field(
        default=None, description="Port of the instance; bridge mode: 0 or none is any.", examples=[0]
    )
    protocol: Literal["tcp", "udp"] = Field(default="tcp", description="Protocol.")


class ExtraHostModel(Model):
    """A line of /etc/hosts."""

    hostname: HostName = Field(description="Name.")
    ip_address: IpAddress = Field(description="Address.")


class DependsOnModel(Model):
    """A container to wait for."""

    container_name: EcsName = Field(description="A sidecar, or agent.", examples=["db"])
    condition: Literal["START", "COMPLETE", "SUCCESS", "HEALTHY"] = Field(description="What is waited for.")


class ResourceRequirementModel(Model):
    """GPUs of a container."""

    type: Literal["GPU"] = Field(description="What is required.")
    value: Annotated[str, Field(pattern="^(?:[1-9][0-9]{0,2}|ALL)$")] = Field(
        description="How many, as a text.", examples=["1"]
    )


class EnvironmentFileModel(Model):
    """A file of variables in S3."""

    value: EnvironmentFileArn = Field(description="The object.")
    type: Literal["s3"] = Field(default="s3", description="Where it is.")


class LogConfigurationModel(Model):
    """Where a container's output goes."""

    log_driver: Literal["json-file", "syslog", "journald", "gelf", "fluentd", "awslogs", "splunk", "awsfirelens"] = (
        Field(description="Log driver.")
    )
    options: dict[str, str] = Field(
        default={},
        description="The driver's options.",
        examples=[{"awslogs-group": "/ci/agents", "awslogs-region": "eu-west-1", "awslogs-stream-prefix": "agent"}],
    )
    secret_options: SecretMap = Field(
        default={}, description="Options of it that are secrets.", examples=[{"splunk-token": "/ci/splunk"}]
    )


class FirelensModel(Model):
    """That a sidecar is the log router."""

    type: Literal["fluentd", "fluentbit"] = Field(description="Which one.")
    options: dict[str, str] = Field(
        default={}, description="Its options.", examples=[{"enable-ecs-log-metadata": "true"}]
    )


class RepositoryCredentialsModel(Model):
    """The login to a private registry."""

    credentials_parameter: LoginReference = Field(description="Secret that holds user and password.")


class HealthCheckModel(Model):
    """How ECS finds out whether a container is healthy."""

    command: Annotated[list[Text], Field(min_length=2), AfterValidator(_health_command)] = Field(
        description="CMD or CMD-SHELL, then what is run.", examples=[["CMD-SHELL", "pg_isready"]]
    )
    interval: Annotated[Seconds, _between("interval", 5, 300)] | None = Field(
        default=None, description="Time from check to check; default 30s.", examples=["30s"]
    )
    timeout: Annotated[Seconds, _between("timeout", 2, 60)] | None = Field(
        default=None, description="Longest check; default 5s.", examples=["5s"]
    )
    retries: Annotated[int, Field(ge=1, le=10)] | None = Field(
        default=None, description="Failures that are too many; default 3.", examples=[3]
    )
    start_period: Annotated[Duration, _between("start_period", 0, 300)] | None = Field(
        default=None, description="Time at first in which failures do not count.", examples=["60s"]
    )


class EcsContainerModel(Model):
    """What any container of a task may have."""

    entry_point: Annotated[list[Text], Field(min_length=1)] | None = Field(
        default=None, description="In place of the image's.", examples=[["/usr/local/bin/jenkins-agent"]]
    )
    memory_reservation: Size | None = Field(
        default=None, description="Memory that is set aside for it, less than memory.", examples=["1Gi"]
    )
    privileged: bool | None = Field(default=None, description="Whether it is root on its instance; not on Fargate.")
    resource_requirements: Annotated[list[ResourceRequirementModel], Field(max_length=1)] | None = Field(
        default=None, description="GPUs; on EC2 and external instances."
    )
    secrets: SecretMap | None = Field(
        default=None, description="Variables whose values ECS reads at the start.", examples=[{"TOKEN": "/ci/token"}]
    )
    environment_files: Annotated[list[EnvironmentFileModel], Field(max_length=10)] | None = Field(
        default=None, description="Files of variables."
    )
    mount_points: list[MountPointModel] | None = Field(default=None, description="Volumes in it.")
    port_mappings: Annotated[list[PortMappingModel], Field(max_length=100)] | None = Field(
        default=None, description="Ports of it."
    )
    extra_hosts: list[ExtraHostModel] | None = Field(default=None, description="Lines of its /etc/hosts; not awsvpc.")
    ulimits: list[UlimitModel] | None = Field(default=None, description="Limits of its processes.")
    dns_servers: Annotated[list[IpAddress], Field(max_length=10)] | None = Field(
        default=None, description="Name servers; not awsvpc.", examples=[["10.0.0.2"]]
    )
    dns_search_domains: list[HostName] | None = Field(
        default=None, description="Domains of short names; not awsvpc.", examples=[["ci.internal"]]
    )
    docker_labels: dict[str, str] | None = Field(
        default=None, description="Labels of the container.", examples=[{"team": "build"}]
    )
    docker_security_options: list[Text] | None = Field(
        default=None, description="SELinux, AppArmor; not on Fargate.", examples=[["no-new-privileges"]]
    )
    credential_specs: Annotated[list[CredentialSpec], Field(max_length=1)] | None = Field(
        default=None,
        description="gMSA: what Active Directory knows it as.",
        examples=[["credentialspec:arn:aws:s3:::ci-settings/gmsa.json"]],
    )
    health_check: HealthCheckModel | None = Field(default=None, description="How its health is found out.")
    linux_parameters: LinuxParametersModel | None = Field(default=None, description="Of Linux alone.")
    log_configuration: LogConfigurationModel | None = Field(default=None, description="Where its output goes.")
    repository_credentials: RepositoryCredentialsModel | None = Field(
        default=None, description="Login to the registry of its image."
    )
    start_timeout: Seconds | None = Field(
        default=None, description="How long others may wait for it; on Fargate 2s to 120s.", examples=["60s"]
    )
    stop_timeout: Seconds | None = Field(
        default=None, description="Time to end by itself when told; on Fargate 2s to 120s.", examples=["90s"]
    )
    system_controls: list[SystemControlModel] | None = Field(default=None, description="Kernel parameters.")
    hostname: HostName | None = Field(default=None, description="Its host name; not awsvpc.")
    working_directory: AbsolutePath | None = Field(
        default=None, description="Where it starts.", examples=["/home/jenkins"]
    )
    links: list[Text] | None = Field(
        default=None, description="Other containers, NAME or NAME:ALIAS; bridge mode.", examples=[["db"]]
    )
    depends_on: list[DependsOnModel] | None = Field(default=None, description="Containers that start before it.")
    firelens_configuration: FirelensModel | None = Field(default=None, description="Makes it the log router.")


class SidecarModel(EcsContainerModel):
    """A container beside the agent's."""

    name: EcsName = Field(description="Its name.", examples=["db"])
    image: Text = Field(description="Its image.", examples=["postgres:17"])
    essential: bool = Field(default=False, description="Whether the task ends with it.")
    cpu: Cpu | None = Field(default=None, description="vCPU, within the task's on Fargate.", examples=[0.25])
    memory: Size | None = Field(default=None, description="Memory, within the task's on Fargate.", examples=["512Mi"])
    command: list[str] | None = Field(default=None, description="Arguments.", examples=[["-c", "fsync=off"]])
    env: dict[str, str] | None = Field(default=None, description="Variables.", examples=[{"PGPORT": "5433"}])
    user: User = Field(default=None, description="Who it is; default: the image's.", examples=["postgres"])
    read_only: bool | None = Field(default=None, description="Whether the image's files cannot be changed.")


class RuntimePlatformModel(Model):
    """Operating system and processor."""

    operating_system_family: (
        Literal[
            "LINUX",
            "WINDOWS_SERVER_2019_FULL",
            "WINDOWS_SERVER_2019_CORE",
            "WINDOWS_SERVER_2022_FULL",
            "WINDOWS_SERVER_2022_CORE",
            "WINDOWS_SERVER_2025_FULL",
            "WINDOWS_SERVER_2025_CORE",
            "WINDOWS_SERVER_2016_FULL",
            "WINDOWS_SERVER_2004_CORE",
            "WINDOWS_SERVER_20H2_CORE",
        ]
        | None
    ) = Field(default=None, description="Operating system; default: LINUX.", examples=["WINDOWS_SERVER_2022_CORE"])
    cpu_architecture: Literal["X86_64", "ARM64"] | None = Field(
        default=None, description="Processor; default: X86_64.", examples=["ARM64"]
    )


class EphemeralStorageModel(Model):
    """The disk of a task on Fargate."""

    size_in_gib: Annotated[int, Field(ge=21, le=200)] = Field(description="Its size; less is 20.", examples=[60])


class MemberOfModel(Model):
    """What an instance has to be, as part of the task definition."""

    type: Literal["memberOf"] = Field(default="memberOf", description="What is asked.")
    expression: Annotated[str, Field(min_length=1, max_length=2000)] = Field(
        description="Cluster query.", examples=["attribute:disk == nvme"]
    )


class EcsModel(EcsContainerModel):
    """What only tasks of Amazon ECS have: first the agent's container, then the whole task."""

    sidecars: Annotated[list[SidecarModel], Field(max_length=9)] | None = Field(
        default=None, description="Containers beside the agent's."
    )
    volumes: list[VolumeModel] | None = Field(default=None, description="Volumes of the task.")
    volume_configurations: Annotated[list[VolumeConfigurationModel], Field(max_length=1)] | None = Field(
        default=None, description="EBS volume that is made for each task."
    )
    task_role_arn: RoleArn | None = Field(default=None, description="Role that builds have, in place of the pool's.")
    execution_role_arn: RoleArn | None = Field(
        default=None, description="Role that ECS starts the task with, in place of the pool's."
    )
    network_mode: NetworkMode | None = Field(default=None, description="In place of the pool's.")
    ipc_mode: Literal["host", "task", "none"] | None = Field(
        default=None, description="With whom it shares memory; not on Fargate."
    )
    pid_mode: Literal["host", "task"] | None = Field(
        default=None, description="With whom it shares processes; on Fargate task alone."
    )
    placement_constraints: Annotated[list[MemberOfModel], Field(max_length=10)] | None = Field(
        default=None, description="Which instances ECS may choose, beside the pool's."
    )
    runtime_platform: RuntimePlatformModel | None = Field(default=None, description="Operating system and processor.")
    ephemeral_storage: EphemeralStorageModel | None = Field(default=None, description="Disk; Fargate.")
