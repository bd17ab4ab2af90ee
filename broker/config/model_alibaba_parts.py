"""Maps within what backends and pools say of Alibaba Cloud ECS: addresses of services, network, payment, disks."""

from datetime import timedelta
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from broker.config.base import Cpu, Model, Money
from broker.config.model_alibaba_types import (
    DiskCategory,
    DiskSnapshot,
    Endpoint,
    KeyPairName,
    MetadataUrl,
    PerformanceLevel,
    SourceNetwork,
    Vpc,
    VpcBlock,
)
from broker.config.units import Duration, Size, format_duration, problem

_HOUR: Final = timedelta(hours=1)


def _spot_duration(value: timedelta) -> timedelta:
    if value not in {timedelta(0), _HOUR}:
        message = f"'duration' of a spot host is 0s or 1h, got {format_duration(value)}"
        raise problem("bad-range", message, "the cloud protects a spot host for an hour, or not at all")
    return value


def _price_limit(value: float) -> float:
    if round(value, 3) != value or not value:
        raise problem("bad-range", f"'price_limit' is a price with at most 3 decimals, got {value:g}")
    return value


def as_key_pair(value: object) -> object:
    """A name as the map that has it."""
    return {"name": value} if isinstance(value, str) else value


class EndpointsModel(Model):
    """Where services of the cloud are, such as in a private cloud or an emulator."""

    ecs: Endpoint | None = Field(default=None, description="Elastic Compute Service.")
    vpc: Endpoint | None = Field(default=None, description="VPCs and vSwitches.")
    sts: Endpoint | None = Field(default=None, description="Where roles are taken.")
    metadata: MetadataUrl | None = Field(default=None, description="Where ram_role_name gets its keys.")


class AutoNetworkModel(Model):
    """What auto_network makes, and of which VPC."""

    vpc: Vpc | None = Field(
        default=None,
        description="VPC to use; default: its own, else the default one, else a new one.",
        examples=["vpc-bp1"],
    )
    vpc_cidr: VpcBlock = Field(default="172.16.0.0/12", description="Block of a new VPC.")
    vswitch_prefix: Annotated[int, Field(ge=16, le=29)] = Field(
        default=24, description="Length of the prefix of a new vSwitch's block."
    )
    ssh_from: list[SourceNetwork] | None = Field(
        default=None,
        description="Networks that a new security group lets in to port 22; default: the broker's own address.",
        examples=[["203.0.113.4/32"]],
    )


class HostSize(Model):
    """How large a host is to be, where the broker chooses its type."""

    cpu: Cpu = Field(default=2, description="vCPU.")
    memory: Size = Field(default=8 * 1024, description="Memory.")


class KeyPair(Model):
    """The key pair of the hosts."""

    name: KeyPairName | None = Field(
        default=None, description="Its name; default of one that is imported: agentbroker and its fingerprint."
    )
    import_: bool = Field(
        default=False, alias="import", description="Whether it is imported from the key in ssh, if it is not there."
    )


class Charge(Model):
    """How hosts are paid: by use, at a fixed price or as spot."""

    spot_strategy: Literal["NoSpot", "SpotAsPriceGo", "SpotWithPriceLimit"] = Field(
        default="NoSpot", description="Spot."
    )
    price_limit: Annotated[Money, AfterValidator(_price_limit)] | None = Field(
        default=None, description="Most to pay for an hour, with SpotWithPriceLimit.", examples=[0.9]
    )
    duration: Annotated[Duration, AfterValidator(_spot_duration)] | None = Field(
        default=None,
        description="How long a spot host is safe from being taken back: 1h or 0s; default: the cloud's, 1h.",
        examples=["1h"],
    )
    interruption: Literal["Terminate", "Stop"] = Field(
        default="Terminate", description="What becomes of a spot host that is taken back."
    )
    on_no_stock: Literal["on-demand", "fail"] = Field(default="fail", description="Without a spot host.")


class SystemDisk(Model):
    """The disk that a host boots from."""

    category: DiskCategory = Field(
        default="cloud_essd", description="Kind of disk; cloud_essd_PL0 to _PL3 say the performance level with it."
    )
    performance_level: PerformanceLevel | None = Field(default=None, description="Of a cloud_essd.")
    size: Size = Field(default=40 * 1024, description="Size, in whole GiB.")


class DataDisk(Model):
    """New disks that a host has beside."""

    category: DiskCategory = Field(
        default="cloud_essd", description="Kind of disk; cloud_essd_PL0 to _PL3 say the performance level with it."
    )
    performance_level: PerformanceLevel | None = Field(default=None, description="Of a cloud_essd.")
    size: Size = Field(default=40 * 1024, description="Size, in whole GiB.")
    count: Annotated[int, Field(ge=1, le=16)] = Field(default=1, description="So many, all alike.")
    snapshot: DiskSnapshot | None = Field(default=None, description="Snapshot that they are made of.")
    delete_with_instance: bool = Field(default=True, description="Whether they end with the host.")


class PublicIp(Model):
    """A public address of each host."""

    bandwidth_out: Annotated[int, Field(ge=1, le=100)] = Field(default=10, description="Mbit/s to the internet.")
    bandwidth_in: Annotated[int, Field(ge=1, le=100)] | None = Field(
        default=None, description="Mbit/s from the internet; default: the cloud's.", examples=[10]
    )
    charge: Literal["PayByTraffic", "PayByBandwidth"] = Field(default="PayByTraffic", description="How it is paid.")
