"""Whose key is on the agent port of a real controller: it says so itself, over the connection that has its token, and
the config may pin it."""

import base64
import json
import sqlite3
import urllib.request
from collections.abc import Iterator
from contextlib import closing

import pytest

from broker.demo.sim.plans import Transport
from broker.demo.stack import CONTROLLER
from tests.interop.world import Way, World
from tests.jenkins.controller import wait_for
from tests.jenkins.policies import FLEET, reload
from tests.jenkins.rig import LABEL

pytestmark = [pytest.mark.agentjar, pytest.mark.jenkins, pytest.mark.timeout(300)]


def told(world: World) -> dict[str, str]:
    """What the broker keeps of that."""
    file = world.root / "state" / "broker.db"
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
        rows = database.execute("SELECT value FROM meta WHERE key = 'identities'").fetchall()
    return dict(json.loads(rows[0][0])) if rows else {}


def test_the_broker_knows_the_controllers_key_from_the_controller(world: World) -> None:
    own = base64.b64encode(world.agent_port.identity.spki).decode()
    wait_for("the broker was told", lambda: told(world))
    assert told(world) == {CONTROLLER: own}


def test_agents_are_told_the_version_that_the_controller_wants(world: World) -> None:
    versions = []
    for url in (world.controller.url, world.stack.gateway_url):
        with urllib.request.urlopen(f"{url}tcpSlaveAgentListener/", timeout=10) as reply:
            versions.append(reply.headers["X-Remoting-Minimum-Version"])
    assert versions[0] == versions[1] != ""


@pytest.fixture
def pinned(world: World) -> Iterator[None]:
    """The config has another key than the controller's; what it was without comes back."""
    world.take(Way(Transport.TCP, Transport.TCP))
    before = world.config()
    config = world.config()
    config["controllers"][CONTROLLER]["instance_identity"] = world.gateway_identity()
    world.write(config)
    reload(world)
    yield
    world.write(before)
    reload(world)


@pytest.mark.usefixtures("pinned")
def test_with_another_key_pinned_no_agent_gets_as_far_as_jenkins(world: World) -> None:
    name = world.controller.script(FLEET + f"print fleet.launch(fleet.policyNamed('{LABEL}'), 'ana').nodeName")
    words = "another key than its identity"
    wait_for("its agent reads why", lambda: words in world.said_by(name), 40)
    assert any(words in line and name in line for line in world.gateway_log())
    assert "Inbound agent connected" not in world.controller.node_log(name)
    world.end(name)
