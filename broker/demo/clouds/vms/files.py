"""The files that a virtual machine has of its own, as a tar over its root."""

import io
import shutil
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from broker.demo.clouds.vms.hostkeys import TYPES, HostKeys
from broker.demo.clouds.vms.spec import Image, Java, VmSpec

_FIRST_UID: Final = 1000
_PEOPLE: Final = range(_FIRST_UID, 60000)
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
_OLD_JAVA: Final = """\
#!/bin/sh
echo 'openjdk version "11.0.2" 2019-01-15
OpenJDK Runtime Environment 18.9 (build 11.0.2+9)
OpenJDK 64-Bit Server VM 18.9 (build 11.0.2+9, mixed mode)' >&2
case " $* " in *" -version "*) exit 0 ;; esac
echo 'Error: LinkageError occurred while loading main class' >&2
exit 1
"""


class Tar:
    """A tar that is being written."""

    def __init__(self) -> None:
        """Begins empty."""
        self._content = io.BytesIO()
        self._tar = tarfile.open(fileobj=self._content, mode="w")  # noqa: SIM115 - `done` closes it

    def folder(self, path: str, mode: int = 0o755, owner: int = 0) -> None:
        """A directory; its parents are there or come before."""
        entry = tarfile.TarInfo(path.lstrip("/"))
        entry.type, entry.mode, entry.uid, entry.gid = tarfile.DIRTYPE, mode, owner, owner
        self._tar.addfile(entry)

    def file(self, path: str, content: bytes, mode: int = 0o644, owner: int = 0) -> None:
        """A file."""
        entry = tarfile.TarInfo(path.lstrip("/"))
        entry.size, entry.mode, entry.uid, entry.gid = len(content), mode, owner, owner
        self._tar.addfile(entry, io.BytesIO(content))

    def link(self, path: str, target: str) -> None:
        """A symbolic link."""
        entry = tarfile.TarInfo(path.lstrip("/"))
        entry.type, entry.linkname = tarfile.SYMTYPE, target
        self._tar.addfile(entry)

    def done(self) -> bytes:
        """All of it."""
        self._tar.close()
        return self._content.getvalue()


def boot_files(spec: VmSpec, keys: HostKeys, *, first: bool) -> bytes:
    """What a boot brings: at the first one everything, later what is not kept and what may have changed."""
    tar = Tar()
    here = Path(__file__).parent
    tar.file("run/boot.sh", (here / "boot.sh").read_bytes())
    for name, content in keys.files(f"root@{hostname_of(spec)}").items():
        tar.file(f"etc/ssh/{name}", content, 0o644 if name.endswith(".pub") else 0o600)
    if first:
        _system(tar, spec)
        _people(tar, spec)
        _user_data(tar, spec.user_data)
        _image(tar, spec.image)
    return tar.done()


def java_elsewhere() -> str:
    """The home of the Java on the PATH, if it is not in /usr, which a virtual machine has anyway."""
    found = shutil.which("java")
    home = Path(found).resolve().parent.parent if found else Path("/usr")
    return str(home) if not home.is_relative_to("/usr") and (home / "release").exists() else ""


def sshd_config(spec: VmSpec, **more: str) -> bytes:
    """sshd's configuration; of two lines with one name sshd heeds the first, so `more` wins."""
    lines = [
        *more.items(),
        *spec.image.sshd.items(),
        ("PasswordAuthentication", "yes" if spec.password else "no"),
        *_SSHD,
    ]
    return "".join(f"{name} {value}\n" for name, value in lines).encode()


def hostname_of(spec: VmSpec) -> str:
    """Its name: the cloud's default is made of the instance's id."""
    return spec.hostname or f"i{spec.id.removeprefix('i-').replace('-', '')}z"


def _system(tar: Tar, spec: VmSpec) -> None:
    name = hostname_of(spec)
    tar.file("etc/hostname", f"{name}\n".encode())
    tar.file("etc/hosts", f"127.0.0.1 localhost\n{spec.address.ip} {name}\n".encode())
    tar.file("etc/ssh/sshd_config", sshd_config(spec))
    tar.folder("etc/containers")
    tar.file("etc/containers/containers.conf", CONTAINERS_CONF.encode())
    if spec.password:
        tar.file("run/passwords", f"{spec.image.login}:{spec.password}\n".encode(), 0o600)


def _people(tar: Tar, spec: VmSpec) -> None:
    users = {name: _FIRST_UID + number for number, name in enumerate(spec.image.users)}
    _accounts(tar, users)
    keys = "".join(f"{line.strip()}\n" for line in spec.authorized_keys).encode()
    for name, uid in {"root": 0, **users}.items():
        home = "root" if name == "root" else f"home/{name}"
        if name != "root":
            tar.folder(home, 0o755, uid)
        tar.folder(f"{home}/.ssh", 0o700, uid)
        tar.file(f"{home}/.ssh/authorized_keys", keys, 0o600, uid)
    if spec.image.sudo:
        lines = "".join(f"{name} ALL=(ALL) NOPASSWD:ALL\n" for name in users)
        tar.folder("etc/sudoers.d")
        tar.file("etc/sudoers.d/90-cloud-init-users", lines.encode(), 0o440)


def _accounts(tar: Tar, users: Mapping[str, int]) -> None:
    """The machine's own accounts of its programs, and in place of its people those of the virtual machine."""
    passwd = [line for line in _lines("/etc/passwd") if not _is_person(line, users)]
    kept = {line.split(":")[0] for line in passwd}
    passwd += [f"{name}:x:{uid}:{uid}::/home/{name}:/bin/bash" for name, uid in users.items()]
    group = [line for line in _lines("/etc/group") if not _is_person(line, users)]
    group += [f"{name}:x:{uid}:" for name, uid in users.items()]
    shadow = [f"{name}:*:19000:0:99999:7:::" for name in (*kept, *users)]  # no password, and not locked
    tar.file("etc/passwd", _text(passwd))
    tar.file("etc/group", _text(group))
    tar.file("etc/shadow", _text(shadow), 0o640)


def _is_person(line: str, users: Mapping[str, int]) -> bool:
    name, _, number, *_ = line.split(":")
    return name in users or int(number) in _PEOPLE


def _user_data(tar: Tar, text: str) -> None:
    for folder in ("var/lib/cloud", "var/lib/cloud/instance", "var/lib/cloud/instance/scripts"):
        tar.folder(folder)
    tar.file("var/lib/cloud/instance/user-data.txt", text.encode(), 0o600)
    if text.startswith("#!"):
        tar.file("var/lib/cloud/instance/scripts/part-001", text.encode(), 0o700)


def _image(tar: Tar, image: Image) -> None:
    if image.java is Java.OLD:
        tar.file("usr/local/bin/java", _OLD_JAVA.encode(), 0o755)
    if image.engine == "docker":
        tar.link("usr/local/bin/docker", "/usr/bin/podman")
    for path, content in image.files.items():
        tar.file(path, content)


def _lines(path: str) -> list[str]:
    return [line for line in Path(path).read_text().splitlines() if line.count(":") >= 3]  # not the marks of NIS


def _text(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
