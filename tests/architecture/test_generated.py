"""What is generated and committed is what the generator makes now."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_stubs_are_those_of_the_proto() -> None:
    check = subprocess.run([ROOT / ".ci" / "proto", "--check"], capture_output=True, text=True, check=False)
    assert check.returncode == 0, check.stderr


def test_the_pages_of_the_reference_are_those_of_the_code() -> None:
    check = subprocess.run([ROOT / ".ci" / "docs", "--check"], capture_output=True, text=True, check=False)
    assert check.returncode == 0, check.stderr
