"""The wheel, in an empty environment far from the clone: the commands work there, and read nothing of the clone."""

import hashlib
import json
import os
import subprocess
import zipfile
from pathlib import Path

import pytest

from broker.jenkins_files import JAR, SCRIPT

ROOT = Path(__file__).parents[2]
UV = ROOT / ".venv/bin/uv"
# Every process of the environment imports this at its start: it writes down each file of the clone that is opened.
WATCH = f"""
import os, sys
def note(event, args, _root={str(ROOT) + os.sep!r}):
    if event == "open" and str(args[0]).startswith(_root):
        with os.fdopen(os.open(os.environ["OPENED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT), "w") as file:
            file.write(str(args[0]) + "\\n")
if "OPENED" in os.environ:
    sys.addaudithook(note)
"""
SMALLEST = """
version: 1
controllers:
  main: { url: http://localhost:8080/, token_sha256: %s }
pools:
  here: { backend: process }
policies:
  linux: { labels: [linux], pools: [here] }
"""

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make wheel` builds."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([ROOT / ".ci/wheel", folder], check=True, timeout=120)
    [built] = folder.glob("*.whl")
    return built


class Installed:
    """An environment that holds the wheel and what it needs, by the committed hashes, and nothing else."""

    def __init__(self, root: Path, wheel: Path) -> None:
        self.root = root
        self.cwd = root / "empty"
        self.cwd.mkdir()
        self.python = root / "env/bin/python"
        locked = ["--require-hashes", "-r", str(ROOT / "requirements/runtime.txt")]
        self._uv("venv", "--python", str(ROOT / ".venv/bin/python"), str(root / "env"))
        self._uv("pip", "install", "--python", str(self.python), *locked)
        self._uv("pip", "install", "--python", str(self.python), "--no-deps", "--no-index", str(wheel))
        [self.packages] = (root / "env/lib").glob("python3*/site-packages")
        (self.packages / "sitecustomize.py").write_text(WATCH)

    def _uv(self, *arguments: str) -> None:
        subprocess.run([UV, *arguments, "--quiet"], cwd=self.cwd, check=True, timeout=240)

    def run(self, *command: str, status: int = 0) -> str:
        """Runs a program of the environment in an empty directory; gives what it printed, or said when it failed."""
        bare = {"PATH": f"{self.root}/env/bin:/usr/bin:/bin", "HOME": str(self.cwd), "OPENED": f"{self.root}/opened"}
        done = subprocess.run(command, cwd=self.cwd, env=bare, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stderr if status else done.stdout

    def opened_in_the_clone(self) -> list[str]:
        log = self.root / "opened"
        return log.read_text().splitlines() if log.exists() else []


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(tmp_path_factory.mktemp("installed"), wheel)


def in_the_clone() -> set[str]:
    """The package's files that git does not ignore."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "broker"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return {name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()}


def test_it_holds_all_of_the_package_and_what_was_made_for_it_and_nothing_else(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if not name.endswith("/")}
    inside = {name for name in names if name.startswith("broker/")}
    made = {name for name in inside if name.startswith("broker/jenkins/")} | {"broker/revision.txt"}
    assert inside == in_the_clone() | made
    assert {name.split("/")[0].partition("-")[0] for name in names - inside} == {"jenkins_agentbroker"}
    other = {name for name in in_the_clone() if not name.endswith((".py", ".md"))}
    assert {"broker/py.typed", "broker/wire/v1/agents_pb2.pyi"} <= other


def test_it_holds_the_files_for_jenkins_and_the_jars_sha256(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    jar = archive.read("broker/jenkins/agentbroker-client.jar")
    assert jar == (ROOT / "groovy/target/agentbroker-client.jar").read_bytes()
    told = archive.read("broker/jenkins/agentbroker-client.jar.sha256").decode()
    assert told == f"{hashlib.sha256(jar).hexdigest()}  agentbroker-client.jar\n"
    groovy = {name.removeprefix("broker/jenkins/") for name in archive.namelist() if name.endswith(".groovy")}
    ours = {path.relative_to(ROOT / "groovy").as_posix() for path in (ROOT / "groovy").rglob("*.groovy")}
    assert groovy == {name for name in ours if not name.startswith(("src/test/", "target/"))}


def test_it_says_its_version_and_the_commit(installed: Installed) -> None:
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert installed.run("agentbroker", "version").startswith(f"agentbroker 0.1.0 ({commit.stdout.strip()}")


def test_every_module_is_imported_from_there(installed: Installed) -> None:
    script = """if True:
        import importlib, json, pkgutil, broker
        found = {}
        for module in pkgutil.walk_packages(broker.__path__, "broker."):
            try:
                if module.name != "broker.__main__":
                    found[module.name] = importlib.import_module(module.name).__file__
            except ModuleNotFoundError as error:
                assert error.name == "asyncpg", error  # of an extra that is not installed here
        print(json.dumps(found))
    """
    found: dict[str, str] = json.loads(installed.run(str(installed.python), "-c", script))
    assert len(found) > 100
    assert {path for path in found.values() if not path.startswith(str(installed.packages))} == set()
    assert installed.opened_in_the_clone() == []


def test_it_installs_into_a_jenkins_home_what_the_source_has(installed: Installed) -> None:
    home = installed.cwd / "home"
    home.mkdir()
    printed = installed.run("agentbroker", "init", "jenkins", "--home", str(home), "--broker", "127.0.0.1:7071")
    assert (home / SCRIPT).read_bytes() == (ROOT / "groovy" / SCRIPT).read_bytes()
    assert (home / JAR).read_bytes() == (ROOT / "groovy/target" / JAR.name).read_bytes()
    for source in (home / "agentbroker/src").rglob("*"):
        assert source.read_bytes() == (ROOT / "groovy/src" / source.name).read_bytes()
    token = (home / "secrets/agentbroker.token").read_text()
    assert hashlib.sha256(token.encode()).hexdigest() in printed
    assert installed.opened_in_the_clone() == []


def test_a_spoilt_jar_is_not_installed(installed: Installed) -> None:
    jar = installed.packages / "broker/jenkins" / JAR.name
    whole, home = jar.read_bytes(), installed.cwd / "another"
    home.mkdir()
    jar.unlink()  # it may be one file with that of the installer's cache
    jar.write_bytes(whole[:-1])
    try:
        command = ["agentbroker", "init", "jenkins", "--home", str(home), "--broker", "127.0.0.1:7071"]
        assert "is not the jar that was built" in installed.run(*command, status=1)
    finally:
        jar.write_bytes(whole)
    assert not list(home.rglob("*.jar"))


def test_it_checks_a_config(installed: Installed) -> None:
    (installed.cwd / "broker.yaml").write_text(SMALLEST % ("0a" * 32))
    assert "ok" in installed.run("agentbroker", "config", "check", "broker.yaml")


def test_it_runs_the_demo_and_leaves_nothing(installed: Installed) -> None:
    command = ["agentbroker", "dev", "--controller", "simulated", "--builds", "2", "--exit", "-o", "json"]
    told = json.loads(installed.run(*command))
    assert (told["builds"], told["succeeded"], set(told["left_behind"].values())) == (2, 2, {0})
    assert installed.opened_in_the_clone() == []
