"""What `agentbroker dev` says before it starts anything."""

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from broker.cli.dev import dev


def test_a_cloud_without_the_aws_client_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiobotocore", None)  # as if it were not installed
    done = CliRunner().invoke(dev, ["--clouds", "fake"])
    assert done.exit_code == 2
    assert "jenkins-agentbroker[aws]" in done.output


def test_a_cloud_that_nobody_plays_is_wrong_usage() -> None:
    assert CliRunner().invoke(dev, ["--clouds", "moon"]).exit_code == 2


def test_a_fault_without_a_demo_says_how_to_start_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    done = CliRunner().invoke(dev, ["fault", "aws", "RunTask", "ThrottlingException"])
    assert done.exit_code == 1
    assert "agentbroker dev --clouds fake" in done.output
