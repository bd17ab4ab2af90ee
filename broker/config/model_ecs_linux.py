"""What the Linux kernel gives a container of a task."""

from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field

from broker.config.base import MOST, Model, Text
from broker.config.model_ecs_types import AbsolutePath
from broker.config.suggest import nearest
from broker.config.units import Size, problem

_NAMES: Final = (
    "ALL AUDIT_CONTROL AUDIT_WRITE BLOCK_SUSPEND CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID IPC_LOCK IPC_OWNER "
    "KILL LEASE LINUX_IMMUTABLE MAC_ADMIN MAC_OVERRIDE MKNOD NET_ADMIN NET_BIND_SERVICE NET_BROADCAST NET_RAW SETFCAP "
    "SETGID SETPCAP SETUID SYS_ADMIN SYS_BOOT SYS_CHROOT SYS_MODULE SYS_NICE SYS_PACCT SYS_PTRACE SYS_RAWIO "
    "SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG SYSLOG WAKE_ALARM"
)
CAPABILITIES: Final = tuple(_NAMES.split())


def _capability(value: object) -> object:
    if isinstance(value, str) and value not in CAPABILITIES:
        bare = value.strip().upper().removeprefix("CAP_")
        meant = bare if bare in CAPABILITIES else nearest(bare, CAPABILITIES)
        help_ = f"did you mean '{meant}'?" if meant else "they are named as in capabilities(7), without CAP_"
        raise problem("unknown-value", f"'{value[:60]}' is no capability that ECS knows", help_)
    return value


Capability = Annotated[str, BeforeValidator(_capability), Field(json_schema_extra={"enum": list(CAPABILITIES)})]


class CapabilitiesModel(Model):
    """What a process may do beside what all may."""

    add: list[Capability] | None = Field(
        default=None, description="More; on Fargate SYS_PTRACE alone.", examples=[["SYS_PTRACE"]]
    )
    drop: list[Capability] | None = Field(default=None, description="Less.", examples=[["NET_RAW"]])


class TmpfsModel(Model):
    """A directory in memory."""

    container_path: AbsolutePath = Field(description="Where.", examples=["/tmp"])  # noqa: S108 -- the container's own
    size: Size = Field(description="At most.", examples=["512Mi"])
    mount_options: list[Text] | None = Field(default=None, description="Mount options.", examples=[["exec", "nosuid"]])


class DeviceModel(Model):
    """A device of the instance."""

    host_path: AbsolutePath = Field(description="On the instance.", examples=["/dev/kvm"])
    container_path: AbsolutePath | None = Field(
        default=None, description="In the container; default: the same.", examples=["/dev/kvm"]
    )
    permissions: list[Literal["read", "write", "mknod"]] | None = Field(
        default=None, description="What it may do with it; default: all.", examples=[["read", "write"]]
    )


class LinuxParametersModel(Model):
    """What the Linux kernel gives a container."""

    capabilities: CapabilitiesModel | None = Field(default=None, description="Capabilities.")
    init_process_enabled: bool | None = Field(default=None, description="Whether a small init reaps zombies.")
    shared_memory_size: Size | None = Field(
        default=None, description="Size of /dev/shm; not on Fargate.", examples=["256Mi"]
    )
    tmpfs: list[TmpfsModel] | None = Field(default=None, description="Directories in memory.")
    devices: list[DeviceModel] | None = Field(default=None, description="Devices of the instance; not on Fargate.")
    max_swap: Size | None = Field(default=None, description="Swap it may use; not on Fargate.", examples=["1Gi"])
    swappiness: Annotated[int, Field(ge=0, le=100)] | None = Field(
        default=None, description="How readily it swaps, with max_swap; not on Fargate.", examples=[10]
    )


class UlimitModel(Model):
    """A limit of processes."""

    name: Literal[
        "core",
        "cpu",
        "data",
        "fsize",
        "locks",
        "memlock",
        "msgqueue",
        "nice",
        "nofile",
        "nproc",
        "rss",
        "rtprio",
        "rttime",
        "sigpending",
        "stack",
    ] = Field(description="What is limited.", examples=["nofile"])
    soft_limit: Annotated[int, Field(ge=-1, le=MOST)] = Field(description="Limit that it starts with.", examples=[4096])
    hard_limit: Annotated[int, Field(ge=-1, le=MOST)] = Field(
        description="Limit that it may raise it to.", examples=[65536]
    )


class SystemControlModel(Model):
    """A kernel parameter."""

    namespace: Text = Field(description="Its name.", examples=["net.ipv4.tcp_keepalive_time"])
    value: Text = Field(description="Its value.", examples=["60"])
