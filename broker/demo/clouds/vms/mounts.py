"""What is mounted in a virtual machine, as an fstab."""

from pathlib import Path

from broker.demo.clouds.vms.files import MERGED, java_elsewhere
from broker.demo.clouds.vms.spec import Image, Java


def fstab(home: str, image: Image, hierarchies: dict[str, str]) -> str:
    """Lines for `mount --all`; `home` has its files, `hierarchies` are the machine's control groups."""
    root = f"{home}/root"
    return "".join(
        f"{source} {root}{place} {kind} {options} 0 0\n"
        for source, place, kind, options in [
            (root, "", "none", "bind"),
            *(("overlay", f"/{name}", "overlay", _layers(home, name)) for name in ("usr", "etc")),
            *((f"/{name}", f"/{name}", "none", "bind") for name in MERGED if _is_a_folder(name)),
            *_java(image),
            ("proc", "/proc", "proc", "defaults"),
            ("sysfs", "/sys", "sysfs", "ro"),
            ("devpts", "/dev/pts", "devpts", "newinstance,ptmxmode=0666,mode=620"),
            *_groups(hierarchies),
            *((path, path, "none", "bind,ro,X-mount.mkdir") for path in image.shared),
            *((path, path, "none", "bind,X-mount.mkdir") for path in image.written),
        ]
    )


def _layers(home: str, name: str) -> str:
    return f"lowerdir=/{name},upperdir={home}/up/{name},workdir={home}/work/{name}"


def _is_a_folder(name: str) -> bool:
    path = Path(f"/{name}")
    return path.is_dir() and not path.is_symlink()


def _java(image: Image) -> list[tuple[str, str, str, str]]:
    if image.java is Java.NONE:
        hidden = "/usr/lib/jvm"
        return [("tmpfs", hidden, "tmpfs", "ro")] if Path(hidden).exists() else []
    home = java_elsewhere()
    return [(home, "/opt/java", "none", "bind,X-mount.mkdir")] if home else []


def _groups(hierarchies: dict[str, str]) -> list[tuple[str, str, str, str]]:
    top = "/sys/fs/cgroup"
    if not hierarchies:
        return [("cgroup2", top, "cgroup2", "defaults")]
    each = [("cgroup", f"{top}/{name}", "cgroup", f"{how},X-mount.mkdir") for name, how in hierarchies.items()]
    return [("tmpfs", top, "tmpfs", "mode=755"), *each]
