"""Programs that others wrote and that play a cloud: each a process on loopback, from an environment of its own.

`.ci/setup test` makes them in `.emulators/NAME`. What each is good for, and what it lacks, say the tests that use it.
"""

import json
import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from broker.demo.ports import free_port
from tests.e2e.world import until

ROOT = Path(__file__).parents[1] / ".emulators"
KEEPER = """
"$@" &
cat
kill $!
wait $!
"""
"""Runs a program until its own input ends, which it also does when a test run is killed."""
NO_AMBIENT = ("AWS_", "DOCKER_", "MINISTACK_", "MOTO_")
"""Beginnings of variables that would have an emulator do something else than on any other machine."""


def version_of(name: str) -> str:
    """The version that is installed; fails where `.ci/setup test` has not made the environment."""
    [told] = (ROOT / name / "lib").glob(f"python3*/site-packages/{name}-*.dist-info")
    return told.name.removesuffix(".dist-info").rpartition("-")[2]


@contextmanager
def running(
    name: str, arguments: Sequence[str], directory: Path, url: str, ready: str, **environment: str
) -> Iterator[str]:
    """One emulator with its log in `directory`; gives `url` once `url + ready` answers anything."""
    program = ROOT / name / "bin" / arguments[0]
    kept = {key: value for key, value in os.environ.items() if not key.startswith(NO_AMBIENT)}
    home = {"HOME": str(directory), "TMPDIR": str(directory), "PYTHONDONTWRITEBYTECODE": "1"}
    log = directory / f"{name}.log"
    with log.open("wb") as output:
        keeper = subprocess.Popen(
            ["/bin/sh", "-c", KEEPER, name, str(program), *arguments[1:]],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            env={**kept, **home, **environment},
            cwd=directory,
            start_new_session=True,
        )
    try:
        until(lambda: _answers(url + ready) or _has_ended(keeper), seconds=40)
        assert keeper.poll() is None, log.read_text()
        yield url
    finally:
        keeper.communicate(timeout=60)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def _has_ended(keeper: subprocess.Popen[bytes]) -> bool:
    return keeper.poll() is not None


@contextmanager
def moto_server(directory: Path) -> Iterator[str]:
    """moto's server, with nothing in it."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with running("moto", ["moto_server", "-H", "127.0.0.1", "-p", str(port)], directory, url, "/moto-api/"):
        yield url


@contextmanager
def ministack_server(directory: Path, engine: str) -> Iterator[str]:
    """ministack, whose tasks are containers of the engine at this address. Left to itself it binds every address.

    Containers that have ended it removes as instances' own agents do, but minutes later: here some seconds.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    given = {"BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "DOCKER_HOST": engine, "SERVICES": SERVICES}
    with running("ministack", ["python", "-c", MINISTACK], directory, url, "/_ministack/health", **given):
        yield url


SERVICES = "ecs,ec2,sts,iam,logs,ssm,secretsmanager"
MINISTACK = """
from ministack.app import main
from ministack.core import container_reaper
container_reaper.REAP_INTERVAL, container_reaper.EXITED_GRACE = 1.0, 8.0
main()
"""
"""One container that is made and not started yet must not be taken for abandoned: so not sooner."""


@dataclass(frozen=True, slots=True)
class Microburst:
    """microburst before another emulator: answers with the faults that it is told, and passes on what is left."""

    url: str

    def rules(self, *rules: Mapping[str, object]) -> None:
        """The faults from now on, in place of all before."""
        self._ask("POST", "rules", list(rules))

    def forget(self) -> None:
        """No faults, and none that were."""
        self.rules()
        self._ask("DELETE", "fired")

    def fired(self) -> list[tuple[str, str]]:
        """Each fault that it has answered with: the operation and what was done."""
        return [(told["operation"], told["action"]) for told in self._ask("GET", "fired?limit=1000")]

    def _ask(self, method: str, what: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(f"{self.url}/_microburst/{what}", data, method=method)
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return json.load(answer)


@contextmanager
def microburst_proxy(directory: Path, upstream: str, **keys: str) -> Iterator[Microburst]:
    """One before `upstream`. Signatures do not survive it, so with `AWS_…` keys it signs anew what it passes on."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    arguments = ["microburst", "--upstream", upstream, "--port", str(port), "--host", "127.0.0.1"]
    with running(
        "microburst", [*arguments, *(["--resign"] if keys else [])], directory, url, "/_microburst/health", **keys
    ):
        yield Microburst(url)


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory, record_component: Callable[[str, str], None]) -> Iterator[str]:
    """The URL of a moto that a whole run shares: a test takes names, or an account, of its own."""
    record_component("moto", version_of("moto"))
    with moto_server(tmp_path_factory.mktemp("moto")) as url:
        yield url


def credentials(account: str = "test") -> Mapping[str, str]:
    """What a client of an emulator signs with; none of them checks the signature."""
    return {"aws_access_key_id": account, "aws_secret_access_key": "test", "region_name": "eu-west-1"}
