"""What operators type in an incident, on a running `agentbroker dev` with two pools, one of which fails each launch."""

import json
import re
from typing import Any

import yaml

from tests.e2e.running_dev import Dev
from tests.e2e.world import until


def two_pools(config: dict[str, Any]) -> dict[str, Any]:
    """`linux` runs agents; `spare`, whose launches fail, is its fallback."""
    config["pools"]["linux"]["limits"] = {"agents": 2}
    config["pools"]["spare"] = {"backend": "process", "command": ["false"]}
    config["policies"]["linux"]["pools"] = ["linux"]
    config["policies"]["linux"]["fallback"] = [{"pool": "spare", "after": "45s", "when": ["PoolAtLimit"]}]
    return config


def test_the_commands_of_an_incident_say_what_the_page_says(dev: Dev) -> None:
    before = dev.config()
    (dev.state / "broker.yaml").write_text(yaml.safe_dump(two_pools(dev.config())))
    assert "pools.spare" in dev.says("reload")
    plans(dev, before)
    levers(dev)
    assert dev.launches() == 0, "neither plan nor explain nor a lever launches anything"
    a_life(dev)
    the_end(dev)


def plans(dev: Dev, before: dict[str, Any]) -> None:
    assert dev.says("plan", "--label", "linux", "-n", "2").splitlines() == [
        "policy linux (ordered) -> linux ×2",
        "  linux  chosen   2 of 2 agents free",
        "  spare  standby  fallback after 45s on PoolAtLimit",
        "nothing was launched",
    ]
    told = json.loads(dev.says("plan", "linux", "-n", "2", "-o", "json"))
    assert (told["api"], told["kind"], told["placed"], told["waiting"]) == ("v1", "Plan", 2, 0)
    assert [(pool["pool"], pool["state"], pool["count"]) for pool in told["pools"]] == [
        ("linux", "chosen", 2),
        ("spare", "standby", 0),
    ]
    assert re.search(r"   config broker\.yaml \(\w+, loaded \S+ ago\)   ready\n", dev.says("status"))
    code, out = dev.run("plan", "linux", "-n", "3")
    assert code == 6, out
    assert out.splitlines()[0].startswith("policy linux (ordered) -> linux ×2; 1 waits: PoolAtLimit: pool linux is at")
    later = dev.says("plan", "linux", "-n", "3", "--at", "+1m").splitlines()
    assert later[0] == "policy linux (ordered) -> linux ×2, spare ×1"
    code, out = dev.run("plan", "linux && gpu")
    assert code == 6, out
    assert "no policy carries all of: gpu, linux" in out
    assert "no policy carries all of: gpu, linux" in dev.says("explain", "label", "linux && gpu")
    other = two_pools(before)
    other["policies"]["linux"] |= {"pools": ["spare"], "fallback": []}
    (dev.state / "other.yaml").write_text(yaml.safe_dump(other))
    under = dev.says("plan", "linux", "--config", str(dev.state / "other.yaml"))
    assert under.splitlines()[0] == "policy linux (ordered) -> spare ×1"


def levers(dev: Dev) -> None:
    put = dev.says("pool", "set", "linux", "limits.agents=3", "--for", "2h")
    end = "(override by local; `agentbroker pool unset linux limits.agents` ends it)\n"
    assert put.startswith("linux: limits.agents 2 -> 3 until "), put
    assert put.endswith(f" UTC {end}"), put
    assert dev.says("plan", "linux", "-n", "3").splitlines()[0] == "policy linux (ordered) -> linux ×3"
    assert "limits.agents=3" in dev.says("explain", "pool", "linux")
    assert dev.says("pool", "unset", "linux", "limits.agents").startswith("linux: limits.agents 3 -> 2")
    code, out = dev.run("pool", "set", "linux", "limits.agents=0", "--for", "2h")
    assert (code, "must be at least 1" in out) == (3, True), out
    paused = dev.says("pool", "pause", "linux", "--reason", "ECR migration", "--for", "1h")
    assert re.match(r"linux: paused until .* UTC \(by local; `agentbroker pool resume linux` ends it\)", paused), paused
    assert "linux paused 0/2 (PoolPaused, " in dev.says("status")
    assert re.search(
        r'linux +paused +by local \S+ ago until .* UTC: "ECR migration"', dev.says("explain", "policy", "linux")
    )
    code, out = dev.run("plan", "linux")
    assert (code, "ECR migration" in out) == (6, True), out
    assert dev.says("pool", "resume", "linux") == "linux: takes agents again\n"


def a_life(dev: Dev) -> None:
    launched = dev.says("agent", "launch", "--label", "linux", "--wait")
    name = re.search(r"linux-\S+", launched)
    assert name is not None, launched
    explained = dev.says("explain", name[0])
    assert " ONLINE in " in explained.splitlines()[0]
    assert re.search(r"placed +linux +\S+ s +chosen", explained), explained
    assert re.search(r"\n +spare +not now: fallback after 45s on PoolAtLimit", explained), explained
    started = dev.launches()
    assert started == 1
    for question in (("explain", "policy", "linux"), ("explain", "pool", "linux"), ("plan", "linux")):
        dev.run(*question)
    assert dev.launches() == started


def the_end(dev: Dev) -> None:
    dev.says("pool", "drain", "linux", "--reason", "maintenance")
    assert re.search(r"linux draining ./2 \(PoolDraining\)", dev.says("status")), "a lever without an end has none left"
    until(lambda: "0 online" in dev.says("explain", "policy", "linux"))
    told = dev.says("events", "--audit")
    for word in ("set", "unset", "paused", "resumed", "draining_pool", "config_reloaded"):
        assert f"  {word}  " in told, told
