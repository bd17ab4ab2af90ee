"""What agentbroker keeps in a JENKINS_HOME: how it is put there and taken away again."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from broker.cli.new_token import new_token
from broker.errors import BrokerError
from broker.jenkins_files import FOLDER, FOLDERS, JAR, SCRIPT, jenkins_files

PROPERTIES: Final = FOLDER / "agentbroker.properties"
TOKEN: Final = Path("secrets/agentbroker.token")
_KEYS: Final = ("broker", "cloud", "tls", "ca_file", "cert_file", "key_file", "token_file")


class InstallError(BrokerError):
    """The files cannot be installed or removed; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrote:
    """One path of a home that was written, found as it should be, or removed."""

    path: Path
    note: str = ""


def install(home: Path, given: Mapping[str, str], token: str | None) -> list[Wrote]:
    """Puts everything into `home`. Safe to repeat: values of an existing properties file stay unless given.

    Without a `token`, an existing one stays and a missing one is made. Raises `InstallError` or `FilesMissing`.
    """
    if not home.is_dir():
        raise InstallError(f"{home} is not a directory; --home names the JENKINS_HOME")
    try:
        values = _values(home, given)
        files = jenkins_files()
        for folder in FOLDERS:  # a file that is no more must not stay behind
            shutil.rmtree(home / FOLDER / folder, ignore_errors=True)
        for target, source in files.items():
            _copy(home, target, source)
        counts = {f: sum(path.is_relative_to(FOLDER / f) for path in files) for f in FOLDERS}
        folders = [Wrote(path=home / FOLDER / f, note=f"{n} files") for f, n in counts.items() if n]
        wrote = [Wrote(path=home / SCRIPT), *folders, Wrote(path=home / JAR)]
        wrote += [_properties(home, values), _token(home, token)]
    except OSError as error:
        raise InstallError(f"{error.filename}: {error.strerror}") from error
    return wrote


def remove(home: Path) -> list[Wrote]:
    """Takes everything out of `home` again, and the directories that were made for it. Safe to repeat."""
    removed = []
    try:
        for path in (home / SCRIPT, home / TOKEN):
            if path.exists():
                path.unlink()
                removed.append(Wrote(path=path))
        if (home / FOLDER).exists():
            shutil.rmtree(home / FOLDER)
            removed.append(Wrote(path=home / FOLDER))
        for folder in (home / SCRIPT.parent, home / TOKEN.parent):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
    except OSError as error:
        raise InstallError(f"{error.filename}: {error.strerror}") from error
    return removed


def _copy(home: Path, target: Path, source: Path) -> None:
    _folder(home, target.parent)
    shutil.copyfile(source, home / target)
    _own(home, home / target)


def _values(home: Path, given: Mapping[str, str]) -> dict[str, str]:
    values = {**read_properties(home / PROPERTIES), **given}
    if not values.get("broker"):
        raise InstallError("--broker HOST:PORT is needed: where this broker's server.grpc listens")
    values.setdefault("cloud", "agentbroker")
    values.setdefault("tls", "false" if _is_loopback(values["broker"]) else "true")
    values.setdefault("ca_file", values.get("ca", ""))
    values.pop("ca", None)  # its name before 0.2
    values.setdefault("cert_file", "")
    values.setdefault("key_file", "")
    values.setdefault("token_file", f"$JENKINS_HOME/{TOKEN}")
    return values


def _properties(home: Path, values: Mapping[str, str]) -> Wrote:
    path = home / PROPERTIES
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


def _token(home: Path, token: str | None) -> Wrote:
    path = home / TOKEN
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
