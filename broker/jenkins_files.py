"""The files that a Jenkins controller needs: where they are, and as the broker hands them out.

In a clone they are those of `groovy/`, so that an edit counts at once; in an installed distribution they are package
data under `broker/jenkins/`, put there by `make jar` before the wheel is built.
"""

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from broker.errors import BrokerError

SCRIPT: Final = Path("init.groovy.d/agentbroker.groovy")
FOLDER: Final = Path("agentbroker")
JAR: Final = FOLDER / "lib/agentbroker-client.jar"
MANIFEST: Final = FOLDER / "files.sha256"
"""What belongs together, in the form of sha256sum: the script starts nothing when a file is missing or another."""
FOLDERS: Final = ("src", "views")
ARCHIVE: Final = "agentbroker.tar.gz"
_PACKAGE: Final = Path(__file__).parent


class FilesMissing(BrokerError):
    """The files are not there, or not those that were built; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """One file as it is handed out; `sha256` in hexadecimal."""

    body: bytes
    sha256: str


@dataclass(frozen=True, slots=True)
class _Kept:
    signature: tuple[tuple[str, int, int], ...]
    files: Mapping[str, Served]


def jenkins_files() -> dict[Path, Path]:
    """Where in a JENKINS_HOME each file goes → where it comes from. Raises `FilesMissing`."""
    clone = _PACKAGE.parent / "groovy"
    if (clone / SCRIPT).is_file():
        root, jar = clone, clone / "target/agentbroker-client.jar"
        if not jar.is_file():
            raise FilesMissing(f"the client jar is not there ({jar}): `make jar` builds it")
    else:
        root = _PACKAGE / "jenkins"
        jar = root / JAR.name
        _check(root, jar)
    files = {SCRIPT: root / SCRIPT, JAR: jar}
    for folder in FOLDERS:
        files |= {FOLDER / path.relative_to(root): path for path in _sources(root / folder)}
    return files


def _check(root: Path, jar: Path) -> None:
    told = jar.with_name(f"{jar.name}.sha256")
    if not all(path.is_file() for path in (root / SCRIPT, jar, told)):
        text = "this distribution was built without the files for Jenkins"
        raise FilesMissing(f"{text} ({root}): build it with `make wheel`, or run `make jar` before you build it")
    expected, found = told.read_text().split()[0], _sha256(jar.read_bytes())
    if found != expected:
        raise FilesMissing(f"{jar} is not the jar that was built (SHA-256 {found}, not {expected}): install it again")


def _sources(root: Path) -> Iterator[Path]:
    for path in sorted(root.rglob("*")):
        java = path.relative_to(root).parts[0] in {"main", "test"}
        if path.is_file() and not java:
            yield path


def manifest(files: Mapping[Path, bytes]) -> bytes:
    """The text of `MANIFEST` for files by their places in a JENKINS_HOME."""
    return "".join(f"{_sha256(files[target])}  {target.as_posix()}\n" for target in sorted(files)).encode()


class JenkinsFiles:
    """What is handed out at `/jenkins/`: each file under its name, and `ARCHIVE`, to be unpacked in a JENKINS_HOME."""

    def __init__(self) -> None:
        """Reads nothing yet."""
        self._kept: _Kept | None = None

    def read(self) -> Mapping[str, Served]:
        """Name → file; made again when one of them has changed. Blocks on the disk. Raises `FilesMissing`."""
        try:
            files = jenkins_files()
            now = tuple((str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in files.values())
            if self._kept is None or self._kept.signature != now:
                self._kept = _Kept(now, _served({target: path.read_bytes() for target, path in files.items()}))
        except OSError as error:
            raise FilesMissing(f"{error.filename}: {error.strerror}") from error
        return self._kept.files


def _served(files: Mapping[Path, bytes]) -> dict[str, Served]:
    named = {_name(target): body for target, body in files.items()}
    return {name: Served(body=body, sha256=_sha256(body)) for name, body in {ARCHIVE: _archive(files), **named}.items()}


def _name(target: Path) -> str:
    """`agentbroker.groovy`, `agentbroker-client.jar`, and sources below their folder, such as `src/Demand.groovy`."""
    return target.name if target in {SCRIPT, JAR} else target.relative_to(FOLDER).as_posix()


def _archive(files: Mapping[Path, bytes]) -> bytes:
    """The same bytes for the same files: no times, no owners."""
    files = {**files, MANIFEST: manifest(files)}
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for target in sorted(files):
            member = tarfile.TarInfo(target.as_posix())
            member.size, member.mode = len(files[target]), 0o644
            archive.addfile(member, io.BytesIO(files[target]))
    return packed.getvalue()


def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
