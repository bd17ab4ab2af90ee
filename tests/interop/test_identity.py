"""A real controller says itself whose key is on its agent port, over the connection that has its token."""

import base64
import json
import sqlite3
from contextlib import closing

import pytest

from broker.demo.stack import CONTROLLER
from tests.interop.world import World
from tests.jenkins.controller import wait_for

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
