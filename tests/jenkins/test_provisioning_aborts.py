"""What a build leaves that is cancelled in the queue: its agent ends soon, and no other that is needed."""

import time

import pytest

from tests.jenkins.controller import wait_for
from tests.jenkins.policies import FLEET
from tests.jenkins.rig import Rig

pytestmark = [pytest.mark.jenkins, pytest.mark.component("jenkins"), pytest.mark.timeout(300)]

CANCEL = """
def queue = jenkins.model.Jenkins.get().queue
def items = queue.buildableItems.sort { it.id }
def agents = items.collect { item -> fleet.all().find { it.itemId == item.id } }
long from = System.nanoTime()
queue.cancel(items[1])
while (!agents[1].gone || jenkins.model.Jenkins.get().getNode(agents[1].nodeName) != null) { Thread.sleep(5) }
println ((System.nanoTime() - from).intdiv(1_000_000))
println agents*.nodeName.join(' ')
"""

# As in a reply of the broker's, on the thread that reads them.
OVERDUE = """
def name = fleet.all().min { it.itemId }.nodeName
def removal = [name: name, reason: 'QueueTimeout', message: 'no room for 5 m', cancel_build: true]
fleet.link.later(0) { fleet.link.sync.apply([agents: [], unknown: [], wanted: [], remove: [removal]]) }
"""


@pytest.fixture(autouse=True)
def _slow(rig: Rig) -> None:
    rig.slow.touch()


def test_the_agent_of_a_cancelled_build_ends_when_it_was_kept_for_two_seconds_and_the_others_stay(rig: Rig) -> None:
    rig.controller.create_job("three", "linux", "sleep 1")
    rig.controller.build("three", 3)
    wait_for("three are started", lambda: len(rig.launched()) == 3, seconds=30)
    took, names = rig.controller.script(FLEET + CANCEL).splitlines()
    print(f"released after {took} ms")
    assert 1900 < int(took) < 3000
    first, aborted, third = names.split()
    assert aborted not in rig.controller.nodes()
    builds = rig.controller.finished("three", 2)
    assert {b["builtOn"] for b in builds} == {first, third}
    assert len(rig.launched()) == 3
    rig.wait_until_nothing_is_left()


def test_the_build_of_an_agent_that_is_overdue_is_cancelled_with_the_reason(rig: Rig) -> None:
    rig.controller.create_job("overdue", "linux")
    rig.controller.build("overdue", 2)
    wait_for("two are asked for", lambda: rig.controller.script(FLEET + "print fleet.all().size()") == "2")
    rig.controller.script(FLEET + OVERDUE)
    wait_for(
        "one is cancelled",
        lambda: any("cancelled in the queue" in line for line in rig.controller.lines("agentbroker")),
    )
    time.sleep(2)
    assert rig.controller.queue() + len(rig.controller.builds("overdue")) == 1
    [line] = [line for line in rig.controller.lines("agentbroker") if "cancelled in the queue" in line]
    assert line.endswith("QueueTimeout: no room for 5 m")
    rig.slow.unlink()
    rig.controller.finished("overdue", 1)
