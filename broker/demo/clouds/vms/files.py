"""The files that a virtual machine has of its own, as a tar over its home in the keeper's directory.

There `root` is its root; `up/usr` and `up/etc` are what differs in its /usr and /etc from those of the machine outside.
"""

import shutil
from pathlib import Path
from typing import Final

from broker.demo.clouds.vms import people
from broker.demo.clouds.vms.hostkeys import TYPES, HostKeys
from broker.demo.clouds.vms.spec import Image, Java, VmSpec
from broker.demo.clouds.vms.tar import Tar

MERGED: Final = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
"""What is a link into /usr on a machine of today, and a directory on an older one."""
CONTAINERS_CONF: Final = """\
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "netavark"
"""
"""podman's defaults ask for limits that need CAP_SYS_RESOURCE, and for systemd."""
_SSHD: Final = (
    *(("HostKey", f"/etc/ssh/ssh_host_{name}_key") for name in TYPES),
    ("AddressFamily", "inet"),
    ("PermitRootLogin", "yes"),
    ("KbdInteractiveAuthentication", "no"),
    ("UsePAM", "no"),
    ("UseDNS", "no"),
    ("PrintMotd", "no"),
    ("Subsystem", "sftp internal-sftp"),
    ("AcceptEnv", "LANG LC_*"),
)
_FOLDERS: Final = (
    *("root", "up", "up/usr", "up/etc", "up/etc/ssh", "up/etc/containers", "work", "work/usr", "work/etc"),
    *(f"root/{name}" for name in ("usr", "etc", "proc", "sys", "home", "opt", "srv", "mnt", "media", "var")),
    *(f"root/var/{name}" for name in ("log", "cache", "spool", "lib", "lib/containers", "lib/cloud")),
    *(f"root/var/lib/cloud/{name}" for name in ("instance", "instance/scripts", "instance/sem")),
)
_AT_EACH_BOOT: Final = ("dev", "dev/pts", "dev/mqueue", "run", "run/sshd", "run/lock")
_DEVICES: Final = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
_DEVICE_LINKS: Final = {
    "ptmx": "pts/ptmx",
    "fd": "/proc/self/fd",
    "stdin": "fd/0",
    "stdout": "fd/1",
    "stderr": "fd/2",
}
_OLD_JAVA: Final = """\
#!/bin/sh
echo 'openjdk version "11.0.2" 2019-01-15
OpenJDK Runtime Environment 18.9 (build 11.0.2+9)
OpenJDK 64-Bit Server VM 18.9 (build 11.0.2+9, mixed mode)' >&2
case " $* " in *" -version "*) exit 0 ;; esac
echo 'Error: LinkageError occurred while loading main class' >&2
exit 1
"""


def boot_files(spec: VmSpec, keys: HostKeys, mounts: str, *, first: bool) -> bytes:
    """What a boot brings: at the first one everything, later what is not kept and what may have changed."""
    tar = Tar()
    for path in _FOLDERS if first else ():
        tar.folder(path)
    _at_boot(tar, spec, keys, mounts)
    if first:
        _system(tar, spec)
        people.write(tar, spec, "root", "up/etc")
        _user_data(tar, spec.user_data)
        _image(tar, spec.image)
    return tar.done()


def sshd_config(spec: VmSpec, **more: str) -> bytes:
    """sshd's configuration; of two lines with one name sshd heeds the first, so `more` wins."""
    password = ("PasswordAuthentication", "yes" if spec.password else "no")
    lines = [*more.items(), *spec.image.sshd.items(), password, *_SSHD]
    return "".join(f"{name} {value}\n" for name, value in lines).encode()


def hostname_of(spec: VmSpec) -> str:
    """Its name: the cloud's default is made of the instance's id."""
    return spec.hostname or f"i{spec.id.removeprefix('i-').replace('-', '')}z"


def java_elsewhere() -> str:
    """The home of the Java on the PATH, if it is not in /usr, which a virtual machine has anyway."""
    found = shutil.which("java")
    home = Path(found).resolve().parent.parent if found else Path("/usr")
    return str(home) if not home.is_relative_to("/usr") and (home / "release").exists() else ""


def _at_boot(tar: Tar, spec: VmSpec, keys: HostKeys, mounts: str) -> None:
    for path in _AT_EACH_BOOT:
        tar.folder(f"root/{path}")
    tar.folder("root/dev/shm", 0o1777)
    for name, (major, minor) in _DEVICES.items():
        tar.device(f"root/dev/{name}", major, minor)
    for name, target in _DEVICE_LINKS.items():
        tar.link(f"root/dev/{name}", target)
    tar.pipe("root/run/init")
    tar.file("root/run/boot.sh", (Path(__file__).parent / "boot.sh").read_bytes())
    tar.file("fstab", mounts.encode())
    for name, content in keys.files(f"root@{hostname_of(spec)}").items():
        tar.file(f"up/etc/ssh/{name}", content, 0o644 if name.endswith(".pub") else 0o600)


def _system(tar: Tar, spec: VmSpec) -> None:
    name = hostname_of(spec)
    tar.folder("root/root", 0o700)
    for path in ("tmp", "var/tmp"):
        tar.folder(f"root/{path}", 0o1777)
    tar.link("root/var/run", "/run")
    for link in MERGED:
        if Path(f"/{link}").is_symlink():
            tar.link(f"root/{link}", str(Path(f"/{link}").readlink()))
        elif Path(f"/{link}").is_dir():
            tar.folder(f"root/{link}")
    tar.file("up/etc/hostname", f"{name}\n".encode())
    tar.file("up/etc/hosts", f"127.0.0.1 localhost\n{spec.address.ip} {name}\n".encode())
    tar.file("up/etc/ssh/sshd_config", sshd_config(spec))
    tar.file("up/etc/containers/containers.conf", CONTAINERS_CONF.encode())


def _user_data(tar: Tar, text: str) -> None:
    instance = "root/var/lib/cloud/instance"
    tar.file(f"{instance}/user-data.txt", text.encode(), 0o600)
    if text.startswith("#!"):
        tar.file(f"{instance}/scripts/part-001", text.encode(), 0o700)


def _image(tar: Tar, image: Image) -> None:
    hidden = {"docker"} if image.engine == "podman" else {"docker", "podman"} if not image.engine else set()
    hidden |= set() if image.sudo else {"sudo"}
    hidden |= {"java"} if image.java is Java.NONE else set()
    for folder in ("bin", "sbin", "local", "local/bin", "local/sbin"):
        tar.folder(f"up/usr/{folder}")
        for name in hidden:
            if Path(f"/usr/{folder}/{name}").exists():
                tar.device(f"up/usr/{folder}/{name}", 0, 0)
    if image.java is Java.OLD:
        tar.file("up/usr/local/bin/java", _OLD_JAVA.encode(), 0o755)
    if image.java is not Java.NONE and java_elsewhere():
        tar.link("up/usr/bin/java", "/opt/java/bin/java")
    if image.engine == "docker":
        tar.link("up/usr/local/bin/docker", "/usr/bin/podman")
    for mode, files in ((0o644, image.files), (0o755, image.programs)):
        for path, content in files.items():
            tar.file(_kept_at(path), content, mode)
    for path in (*image.shared, *image.written):
        if Path(path).is_file():
            tar.file(_kept_at(path), b"")  # for it to be mounted on


def _kept_at(path: str) -> str:
    top, _, rest = path.strip("/").partition("/")
    return f"up/{top}/{rest}" if top in {"usr", "etc"} else f"root/{top}/{rest}"
