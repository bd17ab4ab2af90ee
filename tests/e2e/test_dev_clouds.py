"""`agentbroker dev --clouds fake`: the demo on a cloud that is played here, and the faults of that cloud."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from broker.demo.clouds.remote import ALIBABA_FILE, FILE, Control
from broker.demo.http import get_json, post_json
from broker.demo.leftovers import marked_processes
from broker.demo.stack import RUN_MARK
from tests.e2e.running_dev import Dev
from tests.e2e.world import until

DEV = [sys.executable, "-m", "broker", "dev", "--controller", "simulated", "--clouds", "fake"]


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """The demo on the fake, one for all tests; they run in their order, and the last one ends it."""
    started = Dev(tmp_path_factory.mktemp("clouds") / "state", "--clouds", "fake")
    try:
        yield started
    finally:
        started.stop()


def _builds(dev: Dev) -> str:
    """Where its controller takes builds and tells of them."""
    url: str = dev.config()["controllers"]["demo"]["url"]
    return f"{url}demo/builds"


def _queue(dev: Dev, count: int, seconds: float) -> None:
    post_json(_builds(dev), {"label": "linux", "seconds": seconds, "count": count})


def _results(dev: Dev, count: int) -> list[str | None]:
    """Of the last so many builds."""
    return [build["result"] for build in get_json(_builds(dev))["builds"]][-count:]


def _state(dev: Dev) -> dict[str, Any]:
    found: dict[str, Any] = Control.of(dev.state).ask("state")
    return found


def test_twelve_builds_run_on_a_task_each_and_nothing_is_left() -> None:
    done = subprocess.run(
        [*DEV, "--builds", "12", "--exit", "-o", "json"], capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["builds"], told["succeeded"], told["agents_launched"]) == (12, 12, 12)
    assert set(told["left_behind"].values()) == {0}
    assert {"tasks", "machines"} <= told["left_behind"].keys()


def test_a_cloud_that_throttles_and_loses_answers_costs_no_build_and_no_task(dev: Dev) -> None:
    faults = "dev", "fault", "aws"
    place = "--state-dir", str(dev.state)
    dev.says(*faults, "RunTask", "ThrottlingException", "--times", "2", *place)
    dev.says(*faults, "RunTask", "--drop", "--after-effect", *place)
    _queue(dev, 3, 0.2)
    until(lambda: _results(dev, 3) == ["SUCCESS"] * 3, seconds=120)
    until(lambda: _state(dev)["tasks"] == [], seconds=60)
    state = _state(dev)
    assert state["errors"]["RunTask ThrottlingException"] == 2
    assert state["problems"] == []
    assert dev.launches() == 3


def test_faults_are_ended_and_a_demo_that_is_not_there_is_told(dev: Dev, tmp_path: Path) -> None:
    place = "--state-dir", str(dev.state)
    dev.says("dev", "fault", "aws", "RunTask", "ServerException", "--times", "100", *place)
    assert "no call goes wrong" in dev.says("dev", "fault", "aws", "clear", *place)
    _queue(dev, 1, 0.1)
    until(lambda: _results(dev, 1) == ["SUCCESS"], seconds=60)
    assert "RunTask ServerException" not in _state(dev)["errors"]
    until(lambda: _state(dev)["tasks"] == [], seconds=60)
    code, words = dev.run("dev", "fault", "aws", "interrupt", *place)
    assert (code, words.strip()) == (1, "Error: no task runs on spot capacity")
    code, words = dev.run("dev", "fault", "aws", "RunTask", "--state-dir", str(tmp_path))
    assert code == 1
    assert FILE in words


def test_a_build_whose_spot_capacity_is_taken_ends_and_leaves_no_task(dev: Dev) -> None:
    before = dev.launches()
    _queue(dev, 1, 300)
    until(lambda: dev.launches() == before + 1, seconds=60)
    until(lambda: get_json(_builds(dev))["builds"][-1]["started_at"])
    assert "spot" in dev.says("dev", "fault", "aws", "interrupt", "--state-dir", str(dev.state))
    until(lambda: _state(dev)["tasks"] == [], seconds=60)
    until(lambda: _results(dev, 1) != [None], seconds=60)


def test_builds_run_on_machines_of_the_other_cloud_while_the_first_has_no_capacity(dev: Dev) -> None:
    place = "--state-dir", str(dev.state)
    before = dev.launches()
    dev.says("dev", "fault", "alibaba", "RunInstances", "OperationDenied.NoStock", "--times", "1", *place)
    dev.says("dev", "fault", "aws", "no-capacity", *place)
    _queue(dev, 2, 3)
    until(lambda: _results(dev, 2) == ["SUCCESS"] * 2, seconds=150)
    agents = [line.split()[0] for line in (dev.state / "launches.log").read_text().splitlines()[before:]]
    assert len(agents) == 2
    told = dev.says("explain", agents[0])
    assert "fallback for " in told
    assert "linux-vm" in told
    alibaba = Control.of(dev.state, ALIBABA_FILE)
    until(lambda: (now := alibaba.ask("state"))["instances"] == now["machines"] == [], seconds=90)
    state = alibaba.ask("state")
    assert state["errors"]["RunInstances OperationDenied.NoStock"] == 1
    assert state["problems"] == []
    dev.says("dev", "fault", "aws", "clear", *place)
    dev.says("dev", "fault", "alibaba", "clear", *place)


def test_a_demo_that_is_told_to_end_takes_its_tasks_with_it(dev: Dev) -> None:
    mark = f"{RUN_MARK}={dev.config()['templates']['default']['env'][RUN_MARK]}"
    before = dev.launches()
    _queue(dev, 2, 300)
    until(lambda: dev.launches() == before + 2, seconds=60)
    assert len(marked_processes(mark)) >= 6, "broker, gateway, controller, cloud and two agents"
    dev.stop()
    assert marked_processes(mark) == []
