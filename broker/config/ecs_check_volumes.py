"""Volumes of a template's tasks: each of one kind, known by those that mount it, and whole."""

from typing import Final

from broker.config.ecs_check_containers import containers
from broker.config.ecs_uses import Ecs, ecs_of
from broker.config.model_ecs_volumes import EfsVolumeModel, ManagedEbsModel, VolumeModel
from broker.config.model_pools import TemplateModel
from broker.config.nodes import Path
from broker.config.suggest import nearest

KINDS: Final = (
    "host",
    "docker_volume_configuration",
    "efs_volume_configuration",
    "fsx_windows_file_server_volume_configuration",
    "configured_at_launch",
)
_SIZES: Final = {
    "gp2": (1, 16_384),
    "gp3": (1, 16_384),
    "io1": (4, 16_384),
    "io2": (4, 16_384),
    "st1": (125, 16_384),
    "sc1": (125, 16_384),
    "standard": (1, 1_024),
}
"""GiB; TaskManagedEBSVolumeConfiguration, sizeInGiB."""
_IOPS: Final = {"gp3": (3_000, 16_000), "io1": (100, 64_000), "io2": (100, 256_000)}
"""The same, iops."""
_NEED_IOPS: Final = frozenset({"io1", "io2"})


def check(ecs: Ecs) -> None:
    """Reports what RegisterTaskDefinition or RunTask would refuse, wherever the template runs."""
    for name, template in ecs.templates.items():
        said = ecs_of(template)
        if template.task_definition is not None:
            continue  # what it says of volumes is the existing definition's
        at: Path = ("templates", name, "ecs")
        for n, volume in enumerate(said.volumes or ()):
            _volume(ecs, volume, (*at, "volumes", n))
        _mounted(ecs, name, template)
        _at_launch(ecs, name, template)
        for n, made in enumerate(said.volume_configurations or ()):
            _ebs(ecs, made.managed_ebs_volume, (*at, "volume_configurations", n, "managed_ebs_volume"))


def _volume(ecs: Ecs, volume: VolumeModel, at: Path) -> None:
    kinds = [kind for kind in KINDS if getattr(volume, kind)]
    if len(kinds) > 1:
        message = f"volume '{volume.name}' is of {len(kinds)} kinds: {', '.join(kinds)}"
        ecs.error("bad-volume", ecs.key(*at, kinds[1]), message, "make a volume of each")
    docker = volume.docker_volume_configuration
    if docker and docker.autoprovision is not None and docker.scope != "shared":
        message = "'autoprovision' is of volumes with 'scope: shared': others are made for each task anyway"
        span = ecs.key(*at, "docker_volume_configuration", "autoprovision")
        ecs.error("bad-volume", span, message, "add 'scope: shared', or remove it")
    if volume.efs_volume_configuration:
        _efs(ecs, volume.efs_volume_configuration, (*at, "efs_volume_configuration"))


def _efs(ecs: Ecs, efs: EfsVolumeModel, at: Path) -> None:
    """The rules of EFSVolumeConfiguration and EFSAuthorizationConfig."""
    access = efs.authorization_config
    encrypted = efs.transit_encryption == "ENABLED"
    for key, wants in (
        ("iam", access and access.iam == "ENABLED"),
        ("access_point_id", access and access.access_point_id),
    ):
        if wants and not encrypted:
            message = f"'{key}' of an EFS volume needs encryption of its traffic"
            span = ecs.key(*at, "authorization_config", key)
            ecs.error("bad-volume", span, message, "add 'transit_encryption: ENABLED'")
    if access and access.access_point_id and efs.root_directory not in {None, "/"}:
        message = "with an access point, that says which directory is the root"
        ecs.error("bad-volume", ecs.key(*at, "root_directory"), message, "remove 'root_directory', or write '/'")
    if efs.transit_encryption_port and not encrypted:
        message = "'transit_encryption_port' is of encrypted traffic"
        span = ecs.key(*at, "transit_encryption_port")
        ecs.error("bad-volume", span, message, "add 'transit_encryption: ENABLED', or remove it")


def _mounted(ecs: Ecs, name: str, template: TemplateModel) -> None:
    said = ecs_of(template)
    names = [volume.name for volume in said.volumes or ()]
    for n, one in enumerate(names):
        if one in names[:n]:
            span = ecs.value("templates", name, "ecs", "volumes", n, "name")
            ecs.error("bad-volume", span, f"there are two volumes called '{one}'")
    known = {*names, *(made.name for made in said.volume_configurations or ())}
    for container in containers(name, template):
        paths: set[str] = set()
        for n, point in enumerate(container.said.mount_points or ()):
            at: Path = (*container.path, "mount_points", n)
            if point.source_volume not in known:
                meant = nearest(point.source_volume, sorted(known))
                help_ = f"did you mean '{meant}'?" if meant else "add it to 'ecs.volumes'"
                message = f"there is no volume '{point.source_volume}'"
                ecs.error("unknown-volume", ecs.value(*at, "source_volume"), message, help_)
            if point.container_path in paths:
                message = f"two volumes are mounted at '{point.container_path}'"
                ecs.error("bad-volume", ecs.value(*at, "container_path"), message)
            paths.add(point.container_path)


def _at_launch(ecs: Ecs, name: str, template: TemplateModel) -> None:
    """What is made at a launch is one volume, and described in one place."""
    said, at = ecs_of(template), ("templates", name, "ecs")
    late = [(n, volume.name) for n, volume in enumerate(said.volumes or ()) if volume.configured_at_launch]
    made = {one.name for one in said.volume_configurations or ()}
    for n, volume in late:
        span = ecs.key(*at, "volumes", n, "configured_at_launch")
        if volume not in made:
            message = f"volume '{volume}' is configured at launch, and 'volume_configurations' does not say how"
            ecs.error("bad-volume", span, message, f"add '- {{ name: {volume}, managed_ebs_volume: ... }}' there")
        elif volume != late[0][1]:
            ecs.error("bad-volume", span, "a task has one volume that is configured at launch")
    others = {volume.name for volume in said.volumes or ()} - {volume for _, volume in late}
    for n, one in enumerate(said.volume_configurations or ()):
        if one.name in others:
            message = f"volume '{one.name}' is of another kind already"
            span = ecs.value(*at, "volume_configurations", n, "name")
            ecs.error("bad-volume", span, message, "give it 'configured_at_launch: true' in 'volumes' alone")


def _ebs(ecs: Ecs, ebs: ManagedEbsModel, at: Path) -> None:
    """The rules of TaskManagedEBSVolumeConfiguration."""
    kind = ebs.volume_type or "gp3"
    if ebs.size_in_gib is None and ebs.snapshot_id is None:
        message = "an EBS volume needs a size, or a snapshot that has one"
        ecs.error("bad-volume", ecs.key(*at), message, "add 'size_in_gib' or 'snapshot_id'")
    _in_range(ecs, "size_in_gib", ebs.size_in_gib, _SIZES, kind, at)
    if ebs.iops is not None and kind not in _IOPS:
        message = f"'iops' cannot be chosen for a volume of type {kind}"
        ecs.error("bad-volume", ecs.key(*at, "iops"), message, "remove it, or use gp3, io1 or io2")
    elif kind in _NEED_IOPS and ebs.iops is None:
        ecs.error("bad-volume", ecs.key(*at, "volume_type"), f"a volume of type {kind} needs 'iops'")
    else:
        _in_range(ecs, "iops", ebs.iops, _IOPS, kind, at)
    if ebs.throughput is not None and kind != "gp3":
        message = f"'throughput' is of volumes of type gp3; this one is of type {kind}"
        ecs.error("bad-volume", ecs.key(*at, "throughput"), message, "remove it")
    if ebs.volume_initialization_rate is not None and ebs.snapshot_id is None:
        message = "'volume_initialization_rate' is of volumes that begin as a snapshot"
        span = ecs.key(*at, "volume_initialization_rate")
        ecs.error("bad-volume", span, message, "add 'snapshot_id', or remove it")
    if ebs.kms_key_id is not None and ebs.encrypted is False:
        message = "the volume is not encrypted, and has a key for it"
        ecs.error("bad-volume", ecs.key(*at, "kms_key_id"), message, "remove one of them")


def _in_range(ecs: Ecs, key: str, value: int | None, table: dict[str, tuple[int, int]], kind: str, at: Path) -> None:
    least, most = table.get(kind, (0, 0))
    if value is not None and most and not least <= value <= most:
        message = f"'{key}' of a volume of type {kind} is {least} to {most}, got {value}"
        ecs.error("bad-volume", ecs.value(*at, key), message)
