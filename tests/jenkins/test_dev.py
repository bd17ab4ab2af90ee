"""`agentbroker dev` with a real Jenkins: everything over TLS of its own authority."""

import json
import os
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.jenkins, pytest.mark.component("jenkins"), pytest.mark.timeout(300)]

DEV = [sys.executable, "-m", "broker", "dev", "--controller", "jenkins", "--builds", "2", "--exit", "-o", "json"]


def test_a_real_jenkins_and_real_agents_trust_the_authority_of_the_run() -> None:
    command = [*DEV, "--jenkins-war", os.environ["JENKINS_WAR"]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["controller"], told["succeeded"], told["agents_launched"]) == ("jenkins", 2, 2)
    assert "agents dial https://127.0.0.1:" in done.stderr
    assert set(told["left_behind"].values()) == {0}
