"""A pool without room and the next in line, on a running `agentbroker dev`: agents come, and `explain` says why so."""

import re
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.full_engine import WORDS, FullEngine
from tests.e2e.running_dev import Dev


def boxes_first(config: dict[str, Any], engine: str) -> dict[str, Any]:
    """`boxes` are containers of an engine without room; `linux`, whose agents run, is their fallback."""
    config["backends"] = {"engine": {"type": "container", "socket": engine}}
    config["pools"]["boxes"] = {"backend": "engine", "pull": "never", "network": "host"}
    config["templates"]["default"]["image"] = "acme/agent:1"
    fallback = [{"pool": "linux", "when": ["InsufficientCapacity", "PoolCoolingDown"]}]
    config["policies"]["linux"] |= {"pools": ["boxes"], "fallback": fallback}
    return config


def test_an_agent_without_room_in_the_first_pool_comes_from_the_second_and_says_so(dev: Dev, tmp_path: Path) -> None:
    with FullEngine(tmp_path / "engine.sock") as engine:
        (dev.state / "broker.yaml").write_text(yaml.safe_dump(boxes_first(dev.config(), engine.address)))
        dev.says("reload")
        assert dev.says("plan", "linux").splitlines()[0] == "policy linux (ordered) -> boxes ×1"
        launched = dev.says("agent", "launch", "--label", "linux", "--wait")
        name = re.search(r"linux-\S+", launched)
        assert name is not None, launched
        assert (engine.asked, dev.launches()) == (1, 1)
        no_room = f"InsufficientCapacity: 500: {WORDS}"
        told = [" ".join(line.split()) for line in dev.says("explain", name[0]).splitlines()]
        assert " ONLINE in " in told[0]
        steps = [re.sub(r"^[0-9:.]+ | [0-9.]+ s(?= |$)", "", line) for line in told[1:]]
        assert steps[1:7] == [
            "placed boxes chosen",
            "linux not now: fallback on InsufficientCapacity, PoolCoolingDown",
            f"failed boxes {no_room}",
            "placed linux chosen (fallback for InsufficientCapacity)",
            steps[5],
            steps[6],
        ]
        assert re.fullmatch(r"booting linux [0-9a-f]{32}-2", steps[6])
        assert re.fullmatch(
            rf"boxes not now: PoolCoolingDown: pool boxes is left alone until \S+ UTC: {no_room}", steps[5]
        )
        left_alone = dev.says("explain", "policy", "linux").splitlines()[1]
        assert re.fullmatch(rf"  boxes +cooling down \S+ more +{no_room[:80]}.*", left_alone)
        assert re.search(r"boxes cooldown 0 \(InsufficientCapacity, \S+ left\)", dev.says("status"))
        under = dev.says("plan", "linux").splitlines()
        assert under[0] == "policy linux (ordered) -> linux ×1"
        assert re.match(r"  boxes +PoolCoolingDown +pool boxes is left alone until ", under[1])
        assert dev.launches() == 1, "asking has launched nothing"
