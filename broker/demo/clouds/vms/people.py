"""Who may log in to a virtual machine, and who may do what."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from broker.demo.clouds.vms.spec import VmSpec
from broker.demo.clouds.vms.tar import Tar

_FIRST_UID: Final = 1000
_PEOPLE: Final = range(_FIRST_UID, 60000)


def write(tar: Tar, spec: VmSpec, root: str, etc: str) -> None:
    """Accounts, homes with the instance's key, and sudo; `root` and `etc` are where these are in the tar."""
    users = {name: _FIRST_UID + number for number, name in enumerate(spec.image.users)}
    _accounts(tar, users, etc)
    keys = "".join(f"{line.strip()}\n" for line in spec.authorized_keys).encode()
    for name, uid in {"root": 0, **users}.items():
        home = f"{root}/root" if name == "root" else f"{root}/home/{name}"
        if name != "root":
            tar.folder(home, 0o755, uid)
        tar.folder(f"{home}/.ssh", 0o700, uid)
        tar.file(f"{home}/.ssh/authorized_keys", keys, 0o600, uid)
    lines = "".join(f"{name} ALL=(ALL) NOPASSWD:ALL\n" for name in users)
    tar.folder(f"{etc}/sudoers.d")
    tar.file(f"{etc}/sudoers.d/90-cloud-init-users", lines.encode(), 0o440)
    if spec.password:
        tar.file(f"{root}/run/passwords", f"{spec.image.login}:{spec.password}\n".encode(), 0o600)


def _accounts(tar: Tar, users: Mapping[str, int], etc: str) -> None:
    """The machine's own accounts of its programs, and in place of its people those of the virtual machine."""
    passwd = [line for line in _lines("/etc/passwd") if not _is_person(line, users)]
    kept = {line.split(":")[0]: None for line in passwd}
    passwd += [f"{name}:x:{uid}:{uid}::/home/{name}:/bin/bash" for name, uid in users.items()]
    group = [line for line in _lines("/etc/group") if not _is_person(line, users)]
    group += [f"{name}:x:{uid}:" for name, uid in users.items()]
    shadow = [f"{name}:*:19000:0:99999:7:::" for name in (*kept, *users)]  # no password, and not locked
    tar.file(f"{etc}/passwd", _text(passwd))
    tar.file(f"{etc}/group", _text(group))
    tar.file(f"{etc}/shadow", _text(shadow), 0o600)


def _is_person(line: str, users: Mapping[str, int]) -> bool:
    name, _, number, *_ = line.split(":")
    return name in users or int(number) in _PEOPLE


def _lines(path: str) -> list[str]:
    return [line for line in Path(path).read_text().splitlines() if line[:1] not in {"+", "-", "#", ""}]


def _text(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
