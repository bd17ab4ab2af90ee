"""What backends, pools and templates say of Amazon ECS. Keys have the names of the API, in snake case."""

from datetime import timedelta
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from broker.config.base import Model, Text, Url
from broker.config.model_ecs_task import EcsModel
from broker.config.model_ecs_types import (
    CapacityProviderName,
    Cluster,
    EcsName,
    ExternalId,
    FamilyPrefix,
    KmsKey,
    NetworkMode,
    OneAsList,
    PlatformVersion,
    Region,
    RoleArn,
    SecretPrefix,
    SessionName,
    Subnet,
    TaskDefinition,
)
from broker.config.units import Duration, SomeTime, problem

ECS_BACKEND_KEYS: Final = frozenset(
    {
        "region",
        "cluster",
        "api_rate",
        "family_prefix",
        "profile",
        "access_key_id",
        "access_key_id_file",
        "secret_access_key",
        "secret_access_key_file",
        "session_token_file",
        "assume_role_arn",
        "external_id",
        "sts_region",
        "proxy",
        "endpoint_url",
        "poll_interval",
        "leave_grace",
        "keep_definitions",
    }
)
ECS_POOL_KEYS: Final = frozenset(
    {
        "capacity_provider",
        "capacity_provider_strategy",
        "launch_type",
        "subnets",
        "security_groups",
        "assign_public_ip",
        "platform_version",
        "placement_strategy",
        "placement_constraints",
        "enable_execute_command",
        "execution_role_arn",
        "task_role_arn",
        "secret_delivery",
        "secret_prefix",
        "secret_kms_key_id",
        "network_mode",
    }
)
ECS_TEMPLATE_KEYS: Final = ("task_definition", "agent_container", "ecs")
_LEAST_POLL: Final = timedelta(seconds=1)


class AssumeRoleModel(Model):
    """A role of a chain."""

    role_arn: RoleArn = Field(description="Role to take.")
    external_id: ExternalId | None = Field(default=None, description="What the role's trust policy asks for.")
    session_name: SessionName | None = Field(
        default=None, description="Name of the session in the account's logs; default: agentbroker."
    )


def _as_chain(value: object) -> object:
    return [{"role_arn": value}] if isinstance(value, str) else value


def _poll(value: timedelta) -> timedelta:
    if value < _LEAST_POLL:
        raise problem("bad-range", "'poll_interval' must be at least 1s: all brokers of an account share its quota")
    return value


def _launch_type(value: object) -> object:
    if value == "MANAGED_INSTANCES":
        raise problem(
            "unknown-value",
            "ECS takes Managed Instances by their capacity provider alone",
            "name it as 'capacity_provider' in place of 'launch_type'",
        )
    return value


class CapacityItemModel(Model):
    """A capacity provider with its share."""

    capacity_provider: CapacityProviderName = Field(description="FARGATE, FARGATE_SPOT or a name.")
    weight: Annotated[int, Field(ge=0, le=1000)] = Field(default=0, description="Its share beyond the base.")
    base: Annotated[int, Field(ge=0, le=100_000)] = Field(default=0, description="Tasks that it gets first of all.")


class PlacementStrategyModel(Model):
    """How ECS chooses an instance; on EC2 and external instances."""

    type: Literal["binpack", "spread", "random"] = Field(description="What it aims at.")
    field: Text | None = Field(
        default=None,
        description="binpack: cpu or memory; spread: instanceId, host or attribute:NAME; random: none.",
        examples=["memory"],
    )


class PlacementConstraintModel(Model):
    """What an instance has to be."""

    type: Literal["memberOf", "distinctInstance"] = Field(description="What is asked.")
    expression: Annotated[str, Field(min_length=1, max_length=2000)] | None = Field(
        default=None,
        description="Cluster query of memberOf.",
        examples=["attribute:ecs.instance-type =~ c7i.*"],
    )


class EcsBackendKeys(Model):
    """The account, the cluster, and how calls are paced."""

    assume_role_arn: (
        Annotated[
            list[AssumeRoleModel],
            BeforeValidator(_as_chain),
            Field(min_length=1, max_length=10),
            OneAsList(),
        ]
        | None
    ) = Field(
        default=None,
        description="Role to take, or a list: each is taken with the one before; aws-ecs.",
        examples=["arn:aws:iam::111122223333:role/agentbroker"],
    )
    external_id: ExternalId | None = Field(
        default=None, description="What the trust policy of a single assume_role_arn asks for; aws-ecs."
    )
    cluster: Cluster | None = Field(default=None, description="ECS cluster, by name or ARN; aws-ecs.")
    family_prefix: FamilyPrefix | None = Field(
        default=None, description="What families' names begin with; default: agentbroker; aws-ecs."
    )
    profile: Text | None = Field(
        default=None, description="Profile of the AWS configuration files; aws-ecs.", examples=["ci"]
    )
    secret_access_key: Text | None = Field(
        default=None, description="Better secret_access_key_file; aws-ecs.", examples=["${AWS_CI_SECRET_KEY}"]
    )
    secret_access_key_file: Text | None = Field(
        default=None,
        description="File that holds the secret of the key; aws-ecs.",
        examples=["/run/secrets/aws_secret_key"],
    )
    session_token_file: Text | None = Field(
        default=None,
        description="File that holds the token of a key for a time; aws-ecs.",
        examples=["/run/secrets/aws_session_token"],
    )
    sts_region: Region | None = Field(
        default=None, description="Region in which roles are taken; default: region; aws-ecs.", examples=["eu-west-1"]
    )
    proxy: Url | None = Field(
        default=None,
        description="Proxy to the cloud; default: HTTPS_PROXY and NO_PROXY; aws-ecs, alibaba-ecs.",
        examples=["http://proxy.example.com:3128"],
    )
    endpoint_url: Url | None = Field(
        default=None,
        description="Where all services of the cloud are, such as an emulator; aws-ecs.",
        examples=["http://127.0.0.1:4566"],
    )
    poll_interval: Annotated[SomeTime, AfterValidator(_poll)] | None = Field(
        default=None,
        description="How often what moves is looked at; default 3s; aws-ecs, alibaba-ecs.",
        examples=["3s"],
    )
    leave_grace: Duration | None = Field(
        default=None,
        description="How long an agent may take to leave before its task is stopped; default 10s; aws-ecs.",
        examples=["10s"],
    )
    keep_definitions: Annotated[int, Field(ge=0, le=100)] | None = Field(
        default=None, description="Unused revisions of a family that are kept; default 2; aws-ecs.", examples=[2]
    )


class EcsPoolKeys(Model):
    """What tasks run on, in which network, with which roles."""

    capacity_provider: CapacityProviderName | None = Field(
        default=None, description="FARGATE, FARGATE_SPOT or a name; aws-ecs.", examples=["FARGATE_SPOT"]
    )
    capacity_provider_strategy: Annotated[list[CapacityItemModel], Field(min_length=1, max_length=20)] | None = Field(
        default=None,
        description="Several capacity providers with their shares, in place of one; aws-ecs.",
        examples=[
            [{"capacity_provider": "instances-spot", "weight": 4}, {"capacity_provider": "instances", "base": 2}]
        ],
    )
    launch_type: Annotated[Literal["EC2", "FARGATE", "EXTERNAL"], BeforeValidator(_launch_type)] | None = Field(
        default=None, description="Without a capacity provider: what tasks run on; aws-ecs."
    )
    subnets: Annotated[list[Subnet], Field(min_length=1, max_length=16)] | None = Field(
        default=None, description="Subnets; aws-ecs.", examples=[["subnet-0a1", "subnet-0b2"]]
    )
    assign_public_ip: bool = Field(default=False, description="Whether tasks get a public address; aws-ecs.")
    platform_version: PlatformVersion | None = Field(
        default=None, description="Of Fargate; default: LATEST; aws-ecs.", examples=["1.4.0"]
    )
    placement_strategy: Annotated[list[PlacementStrategyModel], Field(max_length=5)] | None = Field(
        default=None,
        description="How ECS chooses instances, the first rule first; aws-ecs.",
        examples=[
            [{"type": "spread", "field": "attribute:ecs.availability-zone"}, {"type": "binpack", "field": "cpu"}]
        ],
    )
    placement_constraints: Annotated[list[PlacementConstraintModel], Field(max_length=10)] | None = Field(
        default=None, description="Which instances ECS may choose; aws-ecs.", examples=[[{"type": "distinctInstance"}]]
    )
    enable_execute_command: bool = Field(
        default=False, description="Whether one may look into tasks with ECS Exec; aws-ecs."
    )
    execution_role_arn: RoleArn | None = Field(
        default=None,
        description="Role that ECS pulls images, writes logs and reads secrets with; aws-ecs.",
        examples=["arn:aws:iam::111122223333:role/agentbroker-exec"],
    )
    task_role_arn: RoleArn | None = Field(
        default=None,
        description="Role that builds have; aws-ecs.",
        examples=["arn:aws:iam::111122223333:role/agentbroker-builds"],
    )
    secret_delivery: Literal["env", "ssm", "secrets-manager"] | None = Field(
        default=None, description="How an agent's secret gets into its task; default env; aws-ecs."
    )
    secret_prefix: SecretPrefix | None = Field(
        default=None,
        description="What the names of agents' secrets begin with; default: agentbroker; aws-ecs.",
        examples=["agentbroker/ci"],
    )
    secret_kms_key_id: KmsKey | None = Field(
        default=None,
        description="Key that agents' secrets are encrypted with; aws-ecs.",
        examples=["alias/agentbroker"],
    )
    network_mode: NetworkMode | None = Field(
        default=None,
        description="Of tasks; default is what ECS takes if none is said; unset: awsvpc on Fargate or with subnets.",
    )


class EcsTemplateKeys(Model):
    """What a template's tasks are."""

    task_definition: TaskDefinition | None = Field(
        default=None,
        description="An existing task definition to run, in place of one of the broker's; aws-ecs.",
        examples=["builds"],
    )
    agent_container: EcsName | None = Field(
        default=None,
        description="Container of it that is the agent; default: its first essential one; aws-ecs.",
        examples=["agent"],
    )
    ecs: EcsModel | None = Field(
        default=None,
        description="What only tasks of Amazon ECS have; aws-ecs.",
        examples=[{"stop_timeout": "90s"}],
    )
