"""Beside another cloud that provisions without delay: each build has one agent planned, whoever serves it."""

import time

import pytest

from tests.jenkins.controller import wait_for
from tests.jenkins.rig import OTHER_CLOUD, Rig

pytestmark = [pytest.mark.jenkins, pytest.mark.component("jenkins"), pytest.mark.timeout(300)]

LIMIT = 5
POLICY = {"limits": {"agents": LIMIT}}


@pytest.fixture(scope="module", autouse=True)
def _other_cloud(rig: Rig) -> None:
    rig.controller.script(OTHER_CLOUD)


def other_asked(rig: Rig) -> int:
    return int(rig.controller.script(f"{OTHER} print other.asked"))


def our_provision_calls(rig: Rig) -> int:
    find = "jenkins.model.Jenkins.get().clouds.find { it.class.name == 'BrokerCloud' }"
    return int(rig.controller.script(f"print {find}.provisionCalls"))


OTHER = "def other = jenkins.model.Jenkins.get().clouds.find { it.class.name == 'OtherCloud' };"


def forget_the_other(rig: Rig) -> None:
    """Removes the other cloud's nodes, which never connect, and what waits for them."""
    planned = other_asked(rig)
    wait_for("its nodes are there", lambda: sum(name.startswith("other") for name in rig.controller.nodes()) >= planned)
    rig.controller.script(
        "def j = jenkins.model.Jenkins.get(); j.queue.clear()\n"
        "j.nodes.findAll { it.class.name == 'OtherNode' }.each { j.removeNode(it) }\n"
        f"{OTHER} other.asked = 0"
    )


def test_for_a_label_of_the_other_our_provision_is_not_called(rig: Rig) -> None:
    calls = our_provision_calls(rig)
    rig.controller.create_job("theirs", "other")
    rig.controller.build("theirs", 3)
    wait_for("the other is asked", lambda: other_asked(rig) == 3, seconds=30)
    time.sleep(3)
    assert (other_asked(rig), our_provision_calls(rig) - calls) == (3, 0)
    forget_the_other(rig)


def test_at_our_limit_the_other_gets_exactly_the_rest(rig: Rig) -> None:
    rig.controller.create_job("shared", "linux", "sleep 45")
    rig.controller.build("shared", 20)
    wait_for("the other is asked", lambda: other_asked(rig) >= 20 - LIMIT, seconds=60)
    for _ in range(10):
        time.sleep(1)
        assert other_asked(rig) == 20 - LIMIT
    assert len(set(rig.launched())) == LIMIT
    forget_the_other(rig)
    rig.controller.finished("shared", LIMIT)
    rig.wait_until_nothing_is_left()
    assert len(rig.launched()) == LIMIT, "agents that waited for room were started though no build waited"


def test_with_our_broker_down_the_other_gets_all(rig: Rig) -> None:
    launched = len(rig.launched())
    assert rig.stack.broker is not None
    rig.stack.broker.kill()
    rig.controller.create_job("all", "linux")
    rig.controller.build("all", 6)
    wait_for("the other is asked", lambda: other_asked(rig) >= 6, seconds=60)
    time.sleep(5)
    assert other_asked(rig) == 6
    rig.stack.start_broker()
    rig.wait_until_connected(times=2)
    forget_the_other(rig)
    rig.wait_until_nothing_is_left()
    assert len(rig.launched()) == launched
