"""The scripts compile against the real Jenkins: a wrong static type shows here, not at its first use."""

import subprocess
from pathlib import Path

import pytest

from tests.integration.groovy.double import GROOVY
from tests.jenkins.rig import java, unpack_libraries

pytestmark = pytest.mark.jenkins


def test_all_scripts_compile_with_the_libraries_of_the_war(tmp_path: Path) -> None:
    unpack_libraries(tmp_path)
    classes = tmp_path / "classes"
    classes.mkdir()
    scripts = sorted(map(str, (GROOVY / "src").glob("*.groovy")))
    class_path = f"{tmp_path}/*:{GROOVY / 'target/agentbroker-client.jar'}"
    command = [java(), "-cp", class_path, "org.codehaus.groovy.tools.FileSystemCompiler", "-d", str(classes)]
    done = subprocess.run([*command, *scripts], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    made = {file.stem for file in classes.glob("*.class")}
    assert made >= {Path(script).stem for script in scripts}
