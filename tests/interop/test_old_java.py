"""An agent whose Java is too old for the controller: it connects, dies, comes back, and soon no more."""

import time
from collections.abc import Callable

import pytest

from broker.demo.sim.plans import Transport
from tests.interop.javas import old_java
from tests.interop.world import Way, World
from tests.jenkins.controller import wait_for
from tests.jenkins.pipelines import create_pipeline, needs_plugins, start_build
from tests.jenkins.reuse import agent, wait_until_gone
from tests.jenkins.rig import LABEL

MOST_SESSIONS = 5
pytestmark = [
    pytest.mark.agentjar,
    pytest.mark.jenkins,
    pytest.mark.component("old java"),
    pytest.mark.timeout(300),
    pytest.mark.skipif(old_java() is None, reason="no Java is found that is too old: name one in AGENT_JAVA_OLD"),
]


def add_pool(world: World, name: str, java: str) -> None:
    """A pool of its own, whose breaker says nothing of others; policy and label are called as it is."""
    config = world.config()
    config["pools"][name] = {**config["pools"][LABEL], "java": str(world.light_java(java, name))}
    config["policies"][name] = {**config["policies"][LABEL], "labels": [name], "pools": [name]}
    world.write(config)


@pytest.mark.parametrize("transport", list(Transport), ids=lambda transport: transport.value)
@needs_plugins()
def test_it_has_five_sessions_and_all_who_wait_for_it_read_why(
    world: World, transport: Transport, record_component: Callable[[str, str], None]
) -> None:
    java, version = old_java() or ("", 0)
    pool = f"old-{transport.value}"
    add_pool(world, pool, java)
    world.take(Way(transport, transport))
    create_pipeline(world.controller, pool, f'node("{pool}") {{ echo "it runs" }}')
    start_build(world.controller, pool)
    name = wait_for("an agent is asked for", lambda: next((n for n in world.controller.nodes() if pool in n), ""))
    logs = [""]

    def ended() -> bool:
        logs.append(world.controller.node_log(name) or logs[-1])
        return bool(agent(world, name)["phase"] == "gone")

    wait_for(f"{name} is given up", ended, 120, every=0.2)
    why = f"its Java is too old: it is Java {version}, and Jenkins needs 21"
    row = wait_until_gone(world, name)
    assert (row["reason"], why in row["message"]) == ("HandshakeRejected", True), row
    assert why in logs[-1], logs[-1]
    wait_for("its build reads it", lambda: why in world.controller.console(pool, 1), 20)
    assert why in world.explain(name)
    time.sleep(15)
    opened = [line for line in world.gateway_log() if "session_opened" in line and pool in line]
    assert 0 < len(opened) <= MOST_SESSIONS, opened
    assert why in world.explain("pool", pool)
    record_component("old java", str(version))
