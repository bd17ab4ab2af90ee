"""The double of Jenkins has no member that the real one lacks: what runs on it finds the same signatures there."""

import subprocess
from pathlib import Path

import pytest

from tests.integration.groovy.double import GROOVY
from tests.jenkins.rig import java, unpack_libraries

pytestmark = pytest.mark.jenkins


def test_every_signature_of_the_double_is_in_the_war(tmp_path: Path) -> None:
    unpack_libraries(tmp_path)
    classes = str(GROOVY / "target/test-classes")
    command = [java(), "-cp", classes, "io.agentbroker.testing.Signatures", classes, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    *missing, compared = done.stdout.splitlines()
    assert missing == []
    assert int(compared.removeprefix("compared ")) > 100
