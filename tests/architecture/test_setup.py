"""The set-up of a clone, where it may not install anything: it names what is missing, and stops."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NEEDED_ITSELF = ("bash", "cat", "dirname", "tr")


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A directory with hardly a program in it; whoever asks `id` is no root."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in NEEDED_ITSELF:
        (programs / name).symlink_to(Path("/usr/bin") / name)
    (programs / "id").write_text("#!/bin/sh\necho 1000\n")
    (programs / "id").chmod(0o755)
    return programs


def setup(programs: Path, mode: str) -> subprocess.CompletedProcess[str]:
    command = [str(programs / "bash"), str(ROOT / ".ci/setup"), mode]
    return subprocess.run(command, env={"PATH": str(programs)}, capture_output=True, text=True, timeout=30, check=False)


def test_somebody_who_is_not_root_is_told_the_packages_and_nothing_is_installed(bare: Path) -> None:
    done = setup(bare, "test")
    assert done.returncode == 1
    [said] = done.stderr.splitlines()
    assert said.startswith("setup: missing on this machine: ")
    told = said.removeprefix("setup: missing on this machine: ").partition(" (")[0].split()
    assert {"git", "openjdk-17-jdk-headless", "maven", "curl", "prometheus"} <= set(told)
    assert "install them and run this again" in said


def test_a_package_that_only_tests_need_is_not_asked_for_by_the_demo(bare: Path) -> None:
    assert "prometheus" not in setup(bare, "demo").stderr


def test_readme_names_every_package_that_is_installed() -> None:
    words = (ROOT / "README.md").read_text()
    script = (ROOT / ".ci/setup").read_text().partition("missing_packages() {")[2].partition("\n}")[0]
    asked = {word for line in script.splitlines() for word in line.partition("|| echo ")[2].split()}
    assert asked >= {"git", "maven", "prometheus"}
    assert {name for name in asked if f"`{name}`" not in words} <= {"python3-venv", "openjdk-17-jdk-headless"}
