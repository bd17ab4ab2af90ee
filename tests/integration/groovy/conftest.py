"""What all tests of the Groovy side share."""

import subprocess
from collections.abc import Callable

import pytest

from tests.integration.groovy.double import GROOVY


@pytest.fixture(scope="session")
def groovy_version() -> str:
    """The version that the Groovy on the class path of these tests says it is."""
    command = ["java", "-cp", f"{GROOVY / 'target/test-lib'}/*", "groovy.ui.GroovyMain"]
    done = subprocess.run([*command, "-e", "print GroovySystem.version"], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture(autouse=True)
def _groovy(groovy_version: str, record_component: Callable[[str, str], None]) -> None:
    record_component("groovy", groovy_version)
