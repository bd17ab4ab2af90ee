"""What pools say of hosts: how they are paid, prepared, reached and kept."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from broker.config.base import Count, Model, Money, Text
from broker.config.units import Duration, Size, SomeTime


class Charge(Model):
    """How hosts are paid."""

    spot_strategy: Literal["NoSpot", "SpotAsPriceGo", "SpotWithPriceLimit"] = Field(
        default="NoSpot", description="Spot."
    )
    price_limit: Money | None = Field(default=None, description="Most to pay for an hour.")
    on_no_stock: Literal["on-demand", "fail"] = Field(default="fail", description="Without a spot host.")


class SystemDisk(Model):
    """The disk of a host."""

    category: Text = Field(default="cloud_essd", description="Kind of disk.")
    size: Size = Field(default=40 * 1024, description="Size.")


class Ssh(Model):
    """The way onto a host."""

    user: Text = Field(default="root", description="User on the host.")
    port: Annotated[int, Field(ge=1, le=65535)] = Field(default=22, description="Port.")
    private_key: Text | None = Field(
        default=None, description="The key itself, from ${VAR}; better private_key_file.", examples=["${SSH_KEY}"]
    )
    private_key_file: Text | None = Field(
        default=None, description="File that holds the key.", examples=["/run/secrets/ssh_key"]
    )
    host_key: Literal["from-console", "pinned", "accept-new"] = Field(default="from-console", description="Trust.")
    jump_host: Text | None = Field(default=None, description="Host to go through.", examples=["bastion.example.com"])


class Init(Model):
    """What is run once on a new host."""

    script_file: Text = Field(description="Script to run.", examples=["/etc/agentbroker/init-host.sh"])
    timeout: SomeTime = Field(default=timedelta(minutes=10), description="How long it may take.")
    sudo: bool = Field(default=False, description="Whether it runs as root.")
    legacy_marker: Text | None = Field(
        default=None, description="File that says that a host has been prepared.", examples=["~/.hudson-run-init"]
    )


class HostModel(Model):
    """How long a host is kept."""

    idle_timeout: Duration = Field(default=timedelta(minutes=10), description="Empty time after which it ends.")
    max_age: Duration | None = Field(default=None, description="Age at which it takes no more agents.")
    max_uses: Count | None = Field(default=None, description="Agents after which it takes no more.")
