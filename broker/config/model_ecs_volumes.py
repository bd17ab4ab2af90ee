"""Volumes of a task: of its instance, of Docker, EFS, FSx, and EBS made for each task."""

from typing import Annotated, Literal

from pydantic import Field

from broker.config.base import Model, Text
from broker.config.model_ecs_types import (
    AbsolutePath,
    AccessPointId,
    EcsName,
    FileSystemId,
    KmsKey,
    LoginReference,
    RoleArn,
    SnapshotId,
)

Switch = Literal["ENABLED", "DISABLED"]


class MountPointModel(Model):
    """A volume in a container."""

    source_volume: EcsName = Field(description="Name of the volume.", examples=["m2"])
    container_path: AbsolutePath = Field(description="Where it is in the container.")
    read_only: bool = Field(default=False, description="Whether it cannot be written.")


class HostVolumeModel(Model):
    """A directory of the instance."""

    source_path: AbsolutePath | None = Field(
        default=None, description="The directory; none: one that goes with the task.", examples=["/var/cache/maven"]
    )


class DockerVolumeModel(Model):
    """A volume of Docker."""

    scope: Literal["task", "shared"] | None = Field(
        default=None, description="Whether it goes with the task; default: task.", examples=["shared"]
    )
    autoprovision: bool | None = Field(default=None, description="Whether a shared one is made if it is not there.")
    driver: Text | None = Field(default=None, description="Volume driver.", examples=["local"])
    driver_opts: dict[str, str] | None = Field(default=None, description="Its options.", examples=[{"type": "tmpfs"}])
    labels: dict[str, str] | None = Field(default=None, description="Labels.", examples=[{"team": "build"}])


class EfsAuthorizationModel(Model):
    """How a task proves to EFS who it is."""

    access_point_id: AccessPointId | None = Field(default=None, description="Access point.")
    iam: Switch | None = Field(
        default=None, description="Whether by the task's role; needs transit_encryption.", examples=["ENABLED"]
    )


class EfsVolumeModel(Model):
    """A file system of EFS."""

    file_system_id: FileSystemId = Field(description="File system.")
    root_directory: AbsolutePath | None = Field(
        default=None, description="Directory of it; with an access point / alone.", examples=["/maven"]
    )
    transit_encryption: Switch | None = Field(
        default=None, description="Whether traffic is encrypted; default: DISABLED.", examples=["ENABLED"]
    )
    transit_encryption_port: Annotated[int, Field(ge=1, le=65535)] | None = Field(
        default=None, description="Port of the encrypted traffic.", examples=[2999]
    )
    authorization_config: EfsAuthorizationModel | None = Field(default=None, description="Who the task is to it.")


class FsxAuthorizationModel(Model):
    """How an instance logs in to FSx."""

    credentials_parameter: LoginReference = Field(description="Secret that holds user and password.")
    domain: Text = Field(description="Domain of Active Directory.", examples=["ci.example.com"])


class FsxVolumeModel(Model):
    """A file system of FSx for Windows File Server."""

    file_system_id: FileSystemId = Field(description="File system.")
    root_directory: Text = Field(description="Directory of it.", examples=["share"])
    authorization_config: FsxAuthorizationModel = Field(description="Login.")


class VolumeModel(Model):
    """A volume of a task: of exactly one kind."""

    name: EcsName = Field(description="Its name.", examples=["m2"])
    host: HostVolumeModel | None = Field(default=None, description="A directory of the instance.")
    docker_volume_configuration: DockerVolumeModel | None = Field(
        default=None, description="A volume of Docker; not on Fargate."
    )
    efs_volume_configuration: EfsVolumeModel | None = Field(default=None, description="A file system of EFS.")
    fsx_windows_file_server_volume_configuration: FsxVolumeModel | None = Field(
        default=None, description="A file system of FSx; Windows on EC2."
    )
    configured_at_launch: bool | None = Field(
        default=None, description="Whether volume_configurations says what it is.", examples=[True]
    )


class TerminationPolicyModel(Model):
    """What becomes of a volume."""

    delete_on_termination: bool = Field(default=True, description="Whether it goes with the task.")


class ManagedEbsModel(Model):
    """An EBS volume that ECS makes for each task."""

    role_arn: RoleArn = Field(
        description="Infrastructure role with which ECS makes it.",
        examples=["arn:aws:iam::111122223333:role/ecsInfrastructureRole"],
    )
    size_in_gib: Annotated[int, Field(ge=1, le=16_384)] | None = Field(
        default=None, description="Its size; default: the snapshot's.", examples=[100]
    )
    snapshot_id: SnapshotId | None = Field(default=None, description="Snapshot that it begins as.")
    volume_type: Literal["gp2", "gp3", "io1", "io2", "st1", "sc1", "standard"] | None = Field(
        default=None, description="Kind; default: gp3.", examples=["gp3"]
    )
    encrypted: bool | None = Field(default=None, description="Whether it is encrypted.", examples=[True])
    kms_key_id: KmsKey | None = Field(default=None, description="Key that it is encrypted with.")
    iops: Annotated[int, Field(ge=100, le=256_000)] | None = Field(
        default=None, description="I/O operations a second; gp3, io1, io2.", examples=[4000]
    )
    throughput: Annotated[int, Field(ge=125, le=1000)] | None = Field(
        default=None, description="MiB a second; gp3.", examples=[250]
    )
    volume_initialization_rate: Annotated[int, Field(ge=100, le=300)] | None = Field(
        default=None, description="MiB a second in which a snapshot is fetched.", examples=[200]
    )
    filesystem_type: Literal["ext3", "ext4", "xfs", "ntfs"] | None = Field(
        default=None, description="File system; default: xfs.", examples=["ext4"]
    )
    termination_policy: TerminationPolicyModel | None = Field(default=None, description="What becomes of it.")


class VolumeConfigurationModel(Model):
    """What a volume with configured_at_launch is."""

    name: EcsName = Field(description="Name of the volume.", examples=["workspace"])
    managed_ebs_volume: ManagedEbsModel = Field(description="The EBS volume.")
