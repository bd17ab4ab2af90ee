"""What backends and pools say of Alibaba Cloud ECS: the account, and the virtual machines that agents are on."""

from datetime import timedelta
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from broker.config.base import Model, OrText, Text, one_or_more
from broker.config.model_alibaba_parts import (
    AutoNetworkModel,
    Charge,
    DataDisk,
    EndpointsModel,
    HostSize,
    KeyPair,
    PublicIp,
    SystemDisk,
    as_key_pair,
)
from broker.config.model_alibaba_types import (
    DeploymentSet,
    DiskId,
    HostNameText,
    ImageFamily,
    ImageId,
    InstanceName,
    InstanceType,
    RamExternalId,
    RamRoleArn,
    RamRoleName,
    RamSession,
    ResourceGroup,
    VSwitch,
    Zone,
)
from broker.config.model_ecs_types import OneAsList
from broker.config.model_hosts import HOST_KEYS
from broker.config.units import Duration, format_duration, problem

ALIBABA_BACKEND_KEYS: Final = frozenset(
    {
        "region",
        "access_key_id",
        "access_key_id_file",
        "access_key_secret",
        "access_key_secret_file",
        "security_token",
        "security_token_file",
        "ram_role_name",
        "role_arn",
        "role_session_name",
        "role_external_id",
        "vpc_endpoints",
        "endpoints",
        "proxy",
        "auto_network",
        "network",
        "auto_release",
        "api_rate",
        "poll_interval",
    }
)
OF_MACHINES: Final = frozenset(
    {
        "image_id",
        "image_family",
        "instance_types",
        "host_size",
        "zones",
        "vswitches",
        "security_groups",
        "key_pair",
        "charge",
        "system_disk",
        "data_disks",
        "data_disk_ids",
        "public_ip",
        "connect_by",
        "user_data",
        "user_data_file",
        "tags",
        "instance_name",
        "host_name",
        "vm_ram_role",
        "deployment_set",
        "resource_group",
        "http_tokens",
        "os",
        "password",
        "password_file",
        "start_by",
    }
)
ALIBABA_POOL_KEYS: Final = HOST_KEYS | OF_MACHINES
_LEAST_RELEASE: Final = timedelta(hours=4)


def _release(value: timedelta) -> timedelta:
    if value and not _LEAST_RELEASE <= value <= timedelta(days=365):
        message = f"'auto_release' is 4h to 365d, or 0s for none; got {format_duration(value)}"
        help_ = "the broker puts it off at half time: it is for the time in which there is no broker"
        raise problem("bad-range", message, help_)
    return value


class AlibabaBackendKeys(Model):
    """The account, its credentials, and how calls are made."""

    access_key_secret: Text | None = Field(
        default=None, description="Better access_key_secret_file; alibaba-ecs.", examples=["${ALI_KEY_SECRET}"]
    )
    access_key_secret_file: Text | None = Field(
        default=None, description="File that holds the secret; alibaba-ecs.", examples=["/run/secrets/ali_key_secret"]
    )
    security_token: Text | None = Field(
        default=None, description="Better security_token_file; alibaba-ecs.", examples=["${ALI_TOKEN}"]
    )
    security_token_file: Text | None = Field(
        default=None,
        description="File that holds the token of a key for a time (STS); alibaba-ecs.",
        examples=["/run/secrets/ali_token"],
    )
    ram_role_name: RamRoleName | None = Field(
        default=None, description="Role of the broker's machine; alibaba-ecs.", examples=["agentbroker"]
    )
    role_arn: (
        Annotated[list[RamRoleArn], BeforeValidator(one_or_more), Field(min_length=1, max_length=10), OneAsList()]
        | None
    ) = Field(
        default=None,
        description="Role to take, or a list: each is taken with the one before; alibaba-ecs.",
        examples=["acs:ram::1234567890123456:role/agentbroker"],
    )
    role_session_name: RamSession | None = Field(
        default=None, description="Name of the session in the account's logs; default: agentbroker; alibaba-ecs."
    )
    role_external_id: RamExternalId | None = Field(
        default=None, description="What the trust policy of the last role_arn asks for; alibaba-ecs."
    )
    vpc_endpoints: bool = Field(
        default=False,
        description="Whether calls go to the endpoints within a VPC, without internet; alibaba-ecs.",
    )
    endpoints: EndpointsModel | None = Field(
        default=None,
        description="Where services are; default: as the SDK knows them; alibaba-ecs.",
        examples=[{"ecs": "ecs.cn-hangzhou.aliyuncs.com"}],
    )
    auto_network: bool = Field(
        default=False,
        description="Whether the broker finds or makes VPC, vSwitches and security group of pools that name none; "
        "alibaba-ecs.",
    )
    network: AutoNetworkModel | None = Field(
        default=None, description="What auto_network uses and makes; alibaba-ecs.", examples=[{"vpc": "vpc-bp1"}]
    )
    auto_release: Annotated[Duration, AfterValidator(_release)] = Field(
        default=timedelta(hours=6),
        description="Time after which the cloud deletes hosts of a broker that is no more; 0s is never; alibaba-ecs.",
        examples=["6h"],
    )


class AlibabaPoolKeys(Model):
    """The virtual machines of a pool."""

    image_id: ImageId | None = Field(
        default=None, description="Image of the hosts; alibaba-ecs.", examples=["m-bp1agents"]
    )
    image_family: ImageFamily | None = Field(
        default=None, description="Image family of which the newest image is taken; alibaba-ecs."
    )
    instance_types: Annotated[list[InstanceType], Field(min_length=1, max_length=50)] | None = Field(
        default=None, description="Types of hosts, the best first; alibaba-ecs.", examples=[["ecs.c7.2xlarge"]]
    )
    host_size: HostSize | None = Field(
        default=None,
        description="In place of instance_types: the size of hosts, whose type the broker chooses; alibaba-ecs.",
        examples=[{"cpu": 2, "memory": "8Gi"}],
    )
    zones: Annotated[list[Zone], Field(min_length=1)] | None = Field(
        default=None,
        description="Zones that may be used; default: those of vswitches, or one with stock; alibaba-ecs.",
        examples=[["cn-hangzhou-h"]],
    )
    vswitches: Annotated[list[VSwitch], Field(min_length=1)] | None = Field(
        default=None, description="vSwitches, of one or several zones; alibaba-ecs.", examples=[["vsw-h"]]
    )
    key_pair: Annotated[KeyPair, BeforeValidator(as_key_pair), OrText()] | None = Field(
        default=None, description="Key pair of the hosts: its name, or a map; alibaba-ecs.", examples=["agents"]
    )
    charge: Charge | None = Field(default=None, description="How hosts are paid; alibaba-ecs.")
    system_disk: SystemDisk | None = Field(default=None, description="The disk that hosts boot from; alibaba-ecs.")
    data_disks: Annotated[list[DataDisk], Field(max_length=16)] | None = Field(
        default=None, description="New disks of each host; alibaba-ecs.", examples=[[{"size": "100Gi", "count": 2}]]
    )
    data_disk_ids: Annotated[list[DiskId], Field(max_length=16)] | None = Field(
        default=None,
        description="Existing disks that each host has attached; with several hosts multi-attach ones; alibaba-ecs.",
        examples=[["d-bp1cache"]],
    )
    public_ip: PublicIp | None = Field(
        default=None, description="A public address of each host; default: none; alibaba-ecs."
    )
    connect_by: Literal["private", "public"] | None = Field(
        default=None, description="Which address of a host the broker dials; default private; alibaba-ecs."
    )
    user_data: Text | None = Field(
        default=None,
        description="What cloud-init gets, at most 32 KB; not for secrets; alibaba-ecs.",
        examples=["#!/bin/sh\necho booted > /tmp/booted\n"],
    )
    user_data_file: Text | None = Field(
        default=None, description="File that holds the user data; alibaba-ecs.", examples=["/etc/agentbroker/user-data"]
    )
    tags: dict[str, str] | None = Field(
        default=None, description="Tags of hosts and their disks; alibaba-ecs.", examples=[{"team": "build"}]
    )
    instance_name: InstanceName | None = Field(
        default=None,
        description="Name of hosts in the cloud's lists, with {pool}, {policy}, {controller}, and on hosts for one "
        "agent {job} and {build}, its number; default: agentbroker-{pool}; alibaba-ecs.",
    )
    host_name: HostNameText | None = Field(default=None, description="Name that a host has for itself; alibaba-ecs.")
    vm_ram_role: RamRoleName | None = Field(
        default=None, description="Role of the hosts, which builds have; alibaba-ecs.", examples=["builds"]
    )
    deployment_set: DeploymentSet | None = Field(default=None, description="Deployment set; alibaba-ecs.")
    resource_group: ResourceGroup | None = Field(default=None, description="Resource group; alibaba-ecs.")
    http_tokens: Literal["optional", "required"] | None = Field(
        default=None,
        description="Whether a host's metadata is for those with a token alone; default: the image's; alibaba-ecs.",
    )
    os: Literal["linux", "windows"] | None = Field(
        default=None, description="What the image is; default linux; alibaba-ecs."
    )
    password: Text | None = Field(
        default=None, description="Better password_file; windows; alibaba-ecs.", examples=["${ALI_WINDOWS_PASSWORD}"]
    )
    password_file: Text | None = Field(
        default=None,
        description="File that holds the administrator's password; windows; alibaba-ecs.",
        examples=["/run/secrets/windows_password"],
    )
    start_by: Literal["ssh", "cloud-assistant"] | None = Field(
        default=None, description="How agents get onto hosts; default ssh; alibaba-ecs."
    )
