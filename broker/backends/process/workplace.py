"""The directory of one agent process: what is written before its start, what its wrapper writes, what is left.

```
ROOT/AGENT-ATTEMPT/        0700, made complete under another name and renamed: it exists whole or not at all
    state.json             whose it is
    secret                 0600, what the agent shows at the gateway
    claim                  the wrapper's own /proc/PID/stat; made exclusively, so that one directory runs one agent
    output.log             what the agent prints; its last part
    exit                   its exit code
    remote/                where Jenkins works
    tmp/                   the agent's own temporary files, such as the scripts of shell steps
ROOT/.wipe-AGENT-ATTEMPT/  on its way out
```
"""

import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from broker.backends.process.procfs import Process, parse_stat
from broker.domain.ids import AgentId, InstanceRef, LaunchToken
from broker.domain.instance import LaunchKey

CLAIM: Final = "claim"
EXIT: Final = "exit"
LOG_LIMIT: Final = 1 << 20
LOG_KEPT: Final = 64 << 10
_TAIL: Final = 16 << 10
_LINES: Final = 20
_LINE_LENGTH: Final = 400
_REF: Final = re.compile(r"([0-9A-Za-z]{1,64})-([0-9]{1,9})")
_NEW: Final = ".new-"
_WIPE: Final = ".wipe-"


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What `state.json` says: the launch key, the owner, and the boot in which it was started."""

    agent_id: AgentId
    attempt: int
    token: LaunchToken
    installation: str
    boot_id: str


@dataclass(frozen=True, slots=True)
class Workplace:
    """One agent's directory under `root`. Blocking; errors are `OSError`s."""

    root: Path
    ref: InstanceRef

    @property
    def path(self) -> Path:
        """The directory itself."""
        return self.root / self.ref

    @property
    def remote(self) -> Path:
        """The agent's working directory: Jenkins' relative paths count from here."""
        return self.path / "remote"

    @property
    def temporary(self) -> Path:
        """Where the agent's JVM keeps what a killed one would leave behind."""
        return self.path / "tmp"

    @property
    def secret_file(self) -> Path:
        """What `-secret @FILE` names."""
        return self.path / "secret"

    @property
    def log_file(self) -> Path:
        """The agent's output."""
        return self.path / "output.log"

    @property
    def _trash(self) -> Path:
        return self.root / f"{_WIPE}{self.ref}"

    def exists(self) -> bool:
        """Whether the agent's directory stands."""
        return self.path.is_dir()

    def is_wiping(self) -> bool:
        """Whether something is still to be deleted of it."""
        return self._trash.exists()

    def create(self, state: State, secret: str) -> None:
        """Makes the directory, whole or not at all; FileExistsError or ENOTEMPTY if there is one."""
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        staging = self.root / f"{_NEW}{self.ref}-{secrets.token_hex(4)}"
        staging.mkdir(mode=0o700)
        try:
            (staging / "remote").mkdir(mode=0o700)
            (staging / "tmp").mkdir(mode=0o700)
            _write_private(staging / "state.json", json.dumps(asdict(state)))
            _write_private(staging / "secret", secret + "\n")
            staging.rename(self.path)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise

    def state(self) -> State | None:
        """What was written at its creation; None if it cannot be understood."""
        try:
            fields = json.loads((self.path / "state.json").read_text())
            return State(**fields)
        except (OSError, ValueError, TypeError):
            return None

    def is_claimed(self) -> bool:
        """Whether a wrapper has begun."""
        return (self.path / CLAIM).exists()

    def leader(self) -> Process | None:
        """The wrapper, as it noted itself; it may be dead by now."""
        try:
            return parse_stat((self.path / CLAIM).read_text(errors="replace"))
        except OSError:
            return None

    def exit_code(self) -> int | None:
        """The agent's exit code, once it has ended by itself."""
        try:
            return int((self.path / EXIT).read_text())
        except (OSError, ValueError):
            return None

    def last_lines(self) -> tuple[str, ...]:
        """The last lines of the output, without the secret. Cuts a file that has grown too big."""
        try:
            with self.log_file.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - (LOG_KEPT if size > LOG_LIMIT else _TAIL)))
                tail = file.read()
        except OSError:
            return ()
        if size > LOG_LIMIT:
            self._cut_log(tail)
        with suppress(OSError):
            tail = tail.replace(self.secret_file.read_bytes().strip() or b"\0", b"***")
        lines = tail[-_TAIL:].decode(errors="replace").splitlines()
        return tuple(line[:_LINE_LENGTH] for line in lines[-_LINES:])

    def wipe(self) -> None:
        """Deletes all of it. May be repeated; nothing of the agent may run."""
        if self._trash.exists():
            _remove(self._trash)
        with suppress(FileNotFoundError):
            self.path.rename(self._trash)
            _remove(self._trash)

    def _cut_log(self, tail: bytes) -> None:
        """The writer appends, so it goes on after what is kept; what it writes at this moment may be lost."""
        with suppress(OSError):
            os.truncate(self.log_file, 0)
            with self.log_file.open("ab") as file:
                file.write(tail)


def ref_of(key: LaunchKey) -> InstanceRef:
    """The name of an attempt's directory."""
    return InstanceRef(f"{key.agent_id}-{key.attempt}")


def parse_ref(ref: str) -> tuple[AgentId, int] | None:
    """Agent and attempt of a name that is one of ours; None for any other, a path among them."""
    match = _REF.fullmatch(ref)
    return (AgentId(match[1]), int(match[2])) if match else None


def all_refs(root: Path) -> Iterator[InstanceRef]:
    """Every agent of which there is a directory, whole or on its way out."""
    names = [entry.name for entry in root.iterdir()] if root.exists() else []
    return (InstanceRef(ref) for ref in {n.removeprefix(_WIPE) for n in names} if parse_ref(ref))


def remove_unfinished(root: Path) -> None:
    """Deletes what a creation that was cut off left behind."""
    for path in root.glob(f"{_NEW}*"):
        shutil.rmtree(path, ignore_errors=True)


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)


def _remove(path: Path) -> None:
    """Deletes a tree; builds leave directories that even their owner may not write (module caches do)."""
    try:
        shutil.rmtree(path)
    except PermissionError:
        for folder, _, _ in os.walk(path):
            with suppress(OSError):
                Path(folder).chmod(0o700)
        shutil.rmtree(path)
