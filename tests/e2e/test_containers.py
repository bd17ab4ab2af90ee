"""Builds in real containers, from the request to nothing left; and what becomes of containers that fail."""

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from broker.inbound.secret import node_secret
from tests.e2e.containers import AGENT, MEMORY_MIB, BoxedWorld, shell
from tests.e2e.world import until
from tests.podman import TestEngine

pytestmark = [pytest.mark.component("podman"), pytest.mark.timeout(180)]

QUICK_RETRY = {"retry": {"attempts": 3, "backoff": "100ms..200ms"}}
Start = Callable[..., BoxedWorld]


@pytest.fixture
def start(tmp_path: Path, container_engine: TestEngine) -> Iterator[Start]:
    """Starts a world with these pools; it is ended after the test."""
    worlds: list[BoxedWorld] = []

    def start(pools: Mapping[str, Mapping[str, Any]], **more: Mapping[str, Any]) -> BoxedWorld:
        worlds.append(BoxedWorld(tmp_path / "run", container_engine, pools, **more))
        worlds[-1].start()
        return worlds[-1]

    yield start
    for world in worlds:
        world.stop()


def test_a_build_runs_in_the_container_that_the_engine_lists_and_that_is_gone_after(start: Start) -> None:
    world = start({"box": {"command": list(AGENT)}})
    world.controller.queue(2, label="box", seconds=3)
    until(lambda: len(world.printed()) == 2 and all(len(lines) == 2 for lines in world.printed()))
    listed = {(told["Config"]["Hostname"], str(told["HostConfig"]["Memory"])) for told in world.boxes()}
    assert {tuple(lines) for lines in world.printed()} == listed
    assert {build.node for build in world.controller.builds()} == {hostname for hostname, _ in listed}
    assert {limit for _, limit in listed} == {str(MEMORY_MIB << 20)}
    until(lambda: all(world.results()))
    assert world.results() == ["SUCCESS"] * 2
    world.wait_until_nothing_is_left()
    assert len(world.stack.launched()) == 2
    key = (world.stack.root / "controller.key").read_bytes()
    for build in world.controller.builds():
        assert build.node
        assert build.node.encode() in world.relay.asked
        assert node_secret(key, build.node).encode() not in world.relay.asked


def test_a_container_that_ends_before_it_connects_tells_its_code_and_its_last_lines(start: Start) -> None:
    world = start({"brief": {"command": shell("echo I cannot; echo go on; exit 3")}}, policy=QUICK_RETRY)
    world.controller.queue(1, label="brief", seconds=1)
    until(lambda: len(world.events("launch_failed")) >= 3)
    failed = world.events("launch_failed")[0]
    assert failed["why"] == "ContainerExited"
    assert failed["message"].startswith("exit code 3; ended by itself")
    assert failed["message"].endswith("I cannot\ngo on")


def test_a_container_that_runs_out_of_memory_says_so(start: Start) -> None:
    hungry = shell("exec /usr/bin/perl -e '$x = \"a\" x (600 * 1024 * 1024); sleep 60;'")
    world = start({"hungry": {"command": hungry}}, policy=QUICK_RETRY)
    world.controller.queue(1, label="hungry", seconds=1)
    until(lambda: world.events("launch_failed"))
    failed = world.events("launch_failed")[0]
    assert failed["why"] == "ContainerExited"
    assert failed["message"].startswith(f"exit code 137; killed (out of memory, its limit is {MEMORY_MIB} MiB")


def test_an_image_that_cannot_be_had_rests_the_pool(start: Start) -> None:
    world = start(
        {"imageless": {"command": list(AGENT), "cooldown": {"after_failures": 3}}},
        templates={"imageless": {"image": "127.0.0.1:9/no/such:1"}},
        policy=QUICK_RETRY,
    )
    world.controller.queue(2, label="imageless", seconds=1)
    until(lambda: world.events("pool_cooled_down"))
    failed = world.events("launch_failed")[0]
    assert failed["why"] == "ImagePullFailed"
    assert "127.0.0.1:9/no/such:1: " in failed["message"]
    assert "connection refused" in failed["message"]
    assert world.boxes() == []


def test_while_the_engine_is_away_its_agents_work_on_and_afterwards_end(start: Start) -> None:
    world = start({"box": {"command": list(AGENT)}})
    world.controller.queue(2, label="box", seconds=8)
    until(lambda: len(world.printed()) == 2)
    world.relay.stop()
    until(lambda: any("EngineUnreachable" in str(event) for event in world.events("poll_failed")))
    assert len(world.boxes()) == 2
    until(lambda: all(world.results()))
    assert world.results() == ["SUCCESS"] * 2
    assert len(world.boxes()) == 2
    world.relay.start()
    world.wait_until_nothing_is_left()
    assert len(world.stack.launched()) == 2


def test_a_container_removed_by_hand_is_told_as_vanished(start: Start) -> None:
    world = start({"slow": {"command": shell("exec sleep 600")}}, policy=QUICK_RETRY)
    world.controller.queue(1, label="slow", seconds=1)
    until(lambda: any(event["phase"] == "connecting" for event in world.events("agent_changed_phase")))
    assert world.stack.broker is not None
    os.kill(world.stack.broker.pid, signal.SIGSTOP)  # an engine first ends what it removes, which is no concern here
    try:
        world.engine.remove(world.boxes()[0]["Id"])
    finally:
        os.kill(world.stack.broker.pid, signal.SIGCONT)
    until(lambda: world.events("launch_failed"))
    failed = world.events("launch_failed")[0]
    assert failed["why"] == "InstanceVanished"
    assert failed["message"].startswith(f"{failed['agent']}-1-")


def test_a_broker_that_is_killed_finds_its_containers_again(start: Start) -> None:
    world = start({"box": {"command": list(AGENT)}})
    world.controller.queue(2, label="box", seconds=6)
    until(lambda: len(world.printed()) == 2)
    assert world.stack.broker is not None
    world.stack.broker.kill()
    world.stack.start_broker()
    until(lambda: all(world.results()))
    assert world.results() == ["SUCCESS"] * 2
    world.wait_until_nothing_is_left()
    assert len(world.stack.launched()) == 2
