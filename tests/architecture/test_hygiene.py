"""What no file of the repository may hold, and how long a module may be."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

REGISTRY_HOSTS = [  # in pieces, so that this file holds none of them
    ("pypi", "org"),
    ("files", "pythonhosted", "org"),
    ("crates", "io"),
    ("proxy", "golang", "org"),
    ("registry", "npmjs", "org"),
    ("repo1", "maven", "org"),
    ("repo", "maven", "apache", "org"),
    ("deb", "debian", "org"),
    ("repo", "jenkins-ci", "org"),
]
MACHINE_PATHS = ["/".join(["", *parts]) for parts in (("work", "main"), ("work", "shared"), ("root", ".pyenv"))]

LONG_MODULES = {
    "broker/telemetry/metrics.py": "every metric in one place",
    "broker/domain/reason.py": "one table: five lines a reason",
}
"""Module of more than 300 lines → why it is one thought."""


def tracked_files() -> list[Path]:
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in names.split("\0") if name and (ROOT / name).is_file()]


def files_that_match(pattern: str) -> list[str]:
    searched = re.compile(pattern.encode())
    return [str(path.relative_to(ROOT)) for path in tracked_files() if searched.search(path.read_bytes())]


@pytest.mark.parametrize("host", [".".join(host) for host in REGISTRY_HOSTS])
def test_no_file_names_a_registry_host(host: str) -> None:
    assert files_that_match(rf"(?<![\w.-]){re.escape(host)}(?![\w-])") == []


@pytest.mark.parametrize("path", [*MACHINE_PATHS, str(ROOT)])
def test_no_file_holds_a_path_of_one_machine(path: str) -> None:
    assert files_that_match(rf"(?<![\w.)}}]){re.escape(path)}(?![\w-])") == []


def test_no_module_is_longer_than_300_lines() -> None:
    modules = {
        str(path.relative_to(ROOT)): path for path in tracked_files() if path.match("*.py") and "_pb2" not in path.name
    }
    lengths = {
        name: len(path.read_bytes().splitlines()) for name, path in modules.items() if name.startswith("broker/")
    }
    assert {name for name, length in lengths.items() if length > 300} <= LONG_MODULES.keys()
