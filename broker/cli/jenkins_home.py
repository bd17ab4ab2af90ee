"""What agentbroker keeps in a JENKINS_HOME: how it is put there and taken away again."""

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from broker.cli.new_token import new_token
from broker.errors import BrokerError
from broker.jenkins_files import FOLDER, FOLDERS, JAR, MANIFEST, SCRIPT, jenkins_files, manifest

USUAL: Final = "agentbroker"
"""The name of the cloud where there is but one broker."""
PROPERTIES: Final = FOLDER / f"{USUAL}.properties"
TOKEN: Final = Path(f"secrets/{USUAL}.token")
_KEYS: Final = ("broker", "name", "tls", "ca_file", "cert_file", "key_file", "token_file")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


class InstallError(BrokerError):
    """The files cannot be installed or removed; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrote:
    """One path of a home that was written, found as it should be, or removed."""

    path: Path
    note: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One broker of a controller: its own properties and token; the other files are for all."""

    properties: Path
    token: Path

    @classmethod
    def named(cls, home: Path, name: str | None) -> "Entry":
        """That of the cloud `name`, which may be new; without a name that of the first. Raises `InstallError`."""
        if name is not None and not _NAME.fullmatch(name):
            raise InstallError(f"--name {name!r}: letters, digits, dots, hyphens and underscores only")
        taken = {cloud_of(path): path.relative_to(home) for path in reversed(properties_in(home))}
        if name in taken:
            return cls._of(taken[name])
        if name in {None, USUAL}:
            if name is not None and (home / PROPERTIES).exists():
                raise InstallError(f"{home / PROPERTIES} is of another name; remove it or give its name")
            return cls._of(PROPERTIES)
        return cls._of(FOLDER / f"{USUAL}-{name}.properties")

    @classmethod
    def _of(cls, properties: Path) -> "Entry":
        return cls(properties, TOKEN.with_name(f"{properties.stem}.token"))


def install(home: Path, given: Mapping[str, str], token: str | None, name: str | None = None) -> list[Wrote]:
    """Puts everything into `home`. Safe to repeat: values of an existing properties file stay unless given.

    `name` is the cloud's, where a controller has several brokers. Without a `token`, an existing one stays and a
    missing one is made. Raises `InstallError` or `FilesMissing`.
    """
    if not home.is_dir():
        raise InstallError(f"{home} is not a directory; --home names the JENKINS_HOME")
    try:
        entry = Entry.named(home, name)
        renewed = name is None and not given and not (home / PROPERTIES).exists() and bool(properties_in(home))
        values = {} if renewed else _values(home, entry, {**given, **({"name": name} if name else {})})
        files = jenkins_files()
        for folder in FOLDERS:  # a file that is no more must not stay behind
            shutil.rmtree(home / FOLDER / folder, ignore_errors=True)
        for target, source in files.items():
            _copy(home, target, source)
        (home / MANIFEST).write_bytes(manifest({target: (home / target).read_bytes() for target in files}))
        _own(home, home / MANIFEST)
        counts = {f: sum(path.is_relative_to(FOLDER / f) for path in files) for f in FOLDERS}
        folders = [Wrote(path=home / FOLDER / f, note=f"{n} files") for f, n in counts.items() if n]
        wrote = [Wrote(path=home / SCRIPT), *folders, Wrote(path=home / JAR)]
        if not renewed:
            wrote += [_properties(home, entry, values), _token(home, entry, token)]
    except OSError as error:
        raise InstallError(f"{error.filename}: {error.strerror}") from error
    return wrote


def remove(home: Path, name: str | None = None) -> list[Wrote]:
    """Takes everything out of `home` again, and the directories that were made for it. Safe to repeat.

    With a `name` only what belongs to that broker, unless it is the last one. Raises `InstallError`.
    """
    try:
        if name is not None:
            known = {cloud_of(path) for path in properties_in(home)}
            if name not in known:
                return []
            if known != {name}:
                entry = Entry.named(home, name)
                return _unlink(home / entry.properties, home / entry.token)
        tokens = sorted((home / TOKEN.parent).glob(f"{USUAL}-*.token"))
        removed = _unlink(home / SCRIPT, home / TOKEN, *tokens)
        if (home / FOLDER).exists():
            shutil.rmtree(home / FOLDER)
            removed.append(Wrote(path=home / FOLDER))
        for folder in (home / SCRIPT.parent, home / TOKEN.parent):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
    except OSError as error:
        raise InstallError(f"{error.filename}: {error.strerror}") from error
    return removed


def _unlink(*paths: Path) -> list[Wrote]:
    there = [path for path in paths if path.exists()]
    for path in there:
        path.unlink()
    return [Wrote(path=path) for path in there]


def properties_in(home: Path) -> list[Path]:
    """The properties files of a home, one for each broker, in the order in which Jenkins asks them."""
    found = [*(home / FOLDER).glob(PROPERTIES.name), *(home / FOLDER).glob(f"{USUAL}-*.properties")]
    return sorted(found, key=lambda path: path.stem)


def cloud_of(path: Path) -> str:
    """The cloud's name by a properties file."""
    values = read_properties(path)
    return values.get("name", values.get("cloud", USUAL))


def _copy(home: Path, target: Path, source: Path) -> None:
    _folder(home, target.parent)
    shutil.copyfile(source, home / target)
    _own(home, home / target)


def _values(home: Path, entry: Entry, given: Mapping[str, str]) -> dict[str, str]:
    before = read_properties(home / entry.properties)
    if "cloud" in before:  # the name of `name` before 0.2
        before.setdefault("name", before.pop("cloud"))
    values = {**before, **given}
    if not values.get("broker"):
        raise InstallError("--broker HOST:PORT is needed: where this broker's server.grpc listens")
    values.setdefault("name", USUAL)
    values.setdefault("tls", "false" if _is_loopback(values["broker"]) else "true")
    values.setdefault("ca_file", values.get("ca", ""))
    values.pop("ca", None)  # its name before 0.2
    values.setdefault("cert_file", "")
    values.setdefault("key_file", "")
    values.setdefault("token_file", f"$JENKINS_HOME/{entry.token}")
    return values


def _properties(home: Path, entry: Entry, values: Mapping[str, str]) -> Wrote:
    path = home / entry.properties
    lines = ["# Where Jenkins finds its agent broker. A change counts at the next start of Jenkins."]
    lines += [f"{key}={values[key]}" for key in (*_KEYS, *sorted(values.keys() - set(_KEYS)))]
    path.write_text("\n".join(lines) + "\n")
    _own(home, path)
    return Wrote(path=path, note=f"broker={values['broker']}, tls={values['tls']}")


def read_properties(path: Path) -> dict[str, str]:
    """The values of an existing file; empty if there is none."""
    lines = path.read_text().splitlines() if path.exists() else []
    pairs = (line.partition("=") for line in lines if "=" in line and not line.lstrip().startswith("#"))
    return {key.strip(): value.strip() for key, _, value in pairs}


def _token(home: Path, entry: Entry, token: str | None) -> Wrote:
    path = home / entry.token
    if token is None and path.exists():
        path.chmod(0o600)
        return Wrote(path=path, note="kept, 0600")
    _folder(home, TOKEN.parent)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(token or new_token())
    _own(home, path)
    return Wrote(path=path, note="0600")


def _folder(home: Path, folder: Path) -> None:
    for part in [*reversed(folder.parents), folder]:
        if not (home / part).exists():
            (home / part).mkdir(mode=0o700 if part == TOKEN.parent else 0o755)
            _own(home, home / part)


def _own(home: Path, path: Path) -> None:
    """As root: everything belongs to whom the home belongs, for Jenkins has to read it."""
    if os.geteuid() == 0:
        status = home.stat()
        os.chown(path, status.st_uid, status.st_gid)


def _is_loopback(target: str) -> bool:
    host = target.rpartition(":")[0].strip("[]")
    return host in {"localhost", "::1"} or host.startswith("127.")
