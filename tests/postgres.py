"""A real PostgreSQL for tests: one server a session, on a Unix socket in a directory of its own; a database a test."""

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Final

import pytest

from broker.config.settings import DatabaseSettings

_PORT: Final = 5432
"""Part of the socket's file name; nothing listens on the network."""
_SETTINGS: Final = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "60",
    "shared_buffers": "16MB",
    "autovacuum": "off",
    "jit": "off",
}
_END_S: Final = 20.0


class PostgresMissing(AssertionError):
    """No server program on this machine."""


class Postgres:
    """A server that runs; while one is `current`, what a test opens by a file's name is a database of it."""

    current: ClassVar["Postgres | None"] = None

    def __init__(self, directory: Path, user: str) -> None:
        self.directory = directory
        self.user = user
        self._places: dict[Path, DatabaseSettings] = {}
        self._numbers = itertools.count(1)

    def url(self, name: str) -> str:
        return f"postgresql://{self.user}@/{name}?host={self.directory}&port={_PORT}"

    def new_database(self, template: str = "template0") -> DatabaseSettings:
        name = f"test_{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        return DatabaseSettings(url=self.url(name))

    def place(self, path: Path) -> DatabaseSettings:
        """The database that stands for a file: the same for the same name."""
        if path not in self._places:
            self._places[path] = self.new_database()
        return self._places[path]

    @contextmanager
    def standing_in(self) -> Iterator[None]:
        """Within the block, `place_of` gives this server's databases; they are gone afterwards."""
        Postgres.current = self
        try:
            yield
        finally:
            Postgres.current = None
            for settings in self._places.values():
                self.drop(settings)
            self._places.clear()

    def drop(self, settings: DatabaseSettings) -> None:
        name = settings.url.partition("@/")[2].partition("?")[0]
        self.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def run(self, statement: str, database: str = "postgres") -> str:
        """What psql prints for a statement."""
        command = [
            str(programs() / "psql"),
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-c",
            statement,
            self.url(database),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    @property
    def pid(self) -> int:
        return int((self.directory / "data" / "postmaster.pid").read_text().splitlines()[0])


def place_of(path: Path) -> Path | DatabaseSettings:
    """Where a test's database is: the file, or what stands for it."""
    return path if Postgres.current is None else Postgres.current.place(path)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The server of this session."""
    with running_postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    """Runs a test once on each engine."""
    if request.param == "sqlite":
        yield "sqlite"
        return
    server: Postgres = request.getfixturevalue("postgres")
    with server.standing_in():
        yield "postgresql"


def programs() -> Path:
    """Where the newest server's programs are: Debian keeps them off the path."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("initdb")
    if found:
        return found[-1].parent
    if on_path:
        return Path(on_path).resolve().parent
    raise PostgresMissing("no initdb: install Debian's postgresql, or put the server's programs on the path")


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """A server of its own, stopped by its pid; as root it runs as the user postgres, since it refuses root."""
    root = os.geteuid() == 0
    user = "postgres" if root else pwd.getpwuid(os.geteuid()).pw_name
    with tempfile.TemporaryDirectory(prefix="agentbroker-pg-") as name:
        directory = Path(name)
        if root:
            shutil.chown(directory, user)
        data, log = directory / "data", directory / "log"
        _as(user, [str(programs() / "initdb"), "-D", str(data), "-A", "trust", "-N", "--locale=C.UTF-8", "-E", "UTF8"])
        options = " ".join(f"-c {key}={value or chr(39) * 2}" for key, value in _SETTINGS.items())
        start = [
            "-w",
            "-t",
            "60",
            "-D",
            str(data),
            "-l",
            str(log),
            "-o",
            f"{options} -k {directory} -p {_PORT}",
            "start",
        ]
        _as(user, [str(programs() / "pg_ctl"), *start])
        server = Postgres(directory, user)
        watcher = _end_with_us(server.pid, directory)
        try:
            yield server
        finally:
            _stop(server)
            assert watcher.stdin is not None
            watcher.stdin.close()
            watcher.wait(_END_S)


def _as(user: str, command: list[str]) -> None:
    prefix = ["runuser", "-u", user, "--"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*prefix, *command], cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, f"{command[0]}: {done.stdout}{done.stderr}"


def _end_with_us(pid: int, directory: Path) -> "subprocess.Popen[bytes]":
    """Ends the server, and what it has left, when this process is killed: then the pipe to the watcher closes."""
    code = (
        "import os, shutil, sys; sys.stdin.read(); pid, directory = int(sys.argv[1]), sys.argv[2]\n"
        "if os.path.exists(directory + '/data/postmaster.pid'): os.kill(pid, 3)\n"
        "shutil.rmtree(directory, ignore_errors=True)"
    )
    command = [sys.executable, "-c", code, str(pid), str(directory)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)


def _stop(server: Postgres) -> None:
    """At once, without a checkpoint: nobody will read it again."""
    pid = server.pid
    os.kill(pid, signal.SIGQUIT)
    deadline = time.monotonic() + _END_S
    while time.monotonic() < deadline and Path(f"/proc/{pid}").exists():
        time.sleep(0.02)
