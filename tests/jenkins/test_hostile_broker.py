"""A broker that says what it may not changes nothing in Jenkins that is not its own, and Jenkins is well."""

import time
from collections.abc import Callable, Iterator

import pytest

from broker.demo.files import write_private
from broker.wire.v1 import agents_pb2 as wire
from tests.jenkins.conftest import new_rig
from tests.jenkins.controller import Controller, wait_for
from tests.jenkins.odd_broker import OddBroker, policy
from tests.jenkins.rig import Rig

pytestmark = [pytest.mark.jenkins, pytest.mark.component("jenkins"), pytest.mark.timeout(400)]

STATIC = "static-abcdefgh"
HTML = "<script>alert(1)</script>\x1b[31m\u202e"


@pytest.fixture(scope="module")
def broker() -> Iterator[OddBroker]:
    broker = OddBroker(policy("linux", "linux"))
    try:
        yield broker
    finally:
        broker.stop()


@pytest.fixture(scope="module")
def controller(jenkins_root: object, request: pytest.FixtureRequest, broker: OddBroker) -> Iterator[Controller]:
    rig: Rig = new_rig(jenkins_root, request)  # type: ignore[arg-type]
    rig.install()
    text = f"broker=127.0.0.1:{broker.port}\ntls=false\n"
    (rig.controller.home / "agentbroker/agentbroker.properties").write_text(text)
    write_private(rig.controller.home / "secrets/agentbroker.token", "a1" * 32)
    try:
        rig.controller.start()
        wait_for("it is connected", lambda: "agentbroker: connected to" in rig.controller.log(), 60)
        rig.controller.add_static_node(STATIC, "theirs their-abcdefgh")
        yield rig.controller
    finally:
        rig.stop()


@pytest.fixture(autouse=True)
def _version(controller: Controller, record_component: Callable[[str, str], None]) -> None:
    record_component("jenkins", controller.version())


def labels(controller: Controller, name: str) -> set[str]:
    return set(controller.script(f"print jenkins.model.Jenkins.get().getNode('{name}').labelString").split())


def state(name: str, **more: object) -> wire.AgentState:
    return wire.AgentState(name=name, phase="launching", takes_builds=True, executors=1, **more)  # type: ignore[arg-type]


def test_nodes_of_others_are_neither_removed_nor_replaced_nor_robbed_of_their_labels(
    controller: Controller, broker: OddBroker
) -> None:
    names = [STATIC, "built-in", "../../x-abcdefgh", "a/b-abcdefgh", "their-abcdefgh", "x" * 100, ""]
    broker.say_once(
        wire.SyncNodesReply(
            agents=[state(name, policy="linux", labels=["linux"]) for name in names],
            remove=[wire.NodeRemoval(name=name, reason="Cancelled", cancel_build=True) for name in names],
            unknown=names,
        )
    )
    assert set(controller.nodes()) == {STATIC}
    assert labels(controller, STATIC) == {"theirs", "their-abcdefgh"}
    assert controller.script(f"print jenkins.model.Jenkins.get().getNode('{STATIC}').class.name").endswith("DumbSlave")
    [line] = [line for line in controller.lines("agentbroker", "WARNING") if "left out" in line]
    assert 'agents "built-in" is no name of an agent' in line


def test_a_node_has_no_label_that_its_policy_lacks_and_numbers_that_can_be(
    controller: Controller, broker: OddBroker
) -> None:
    odd = state("linux-aaaaaaaa", policy="linux", labels=["linux", "theirs", "a || b"], why=HTML, remote_fs="/x\n\0")
    odd.executors = 4_000_000_000
    broker.say_once(wire.SyncNodesReply(agents=[odd, state("gone-bbbbbbbb", policy="gone", labels=["theirs"])]))
    assert labels(controller, "linux-aaaaaaaa") == {"linux"}
    assert labels(controller, "gone-bbbbbbbb") == set()
    assert controller.script("print jenkins.model.Jenkins.get().getNode('linux-aaaaaaaa').numExecutors") == "1000"
    names = ["linux-aaaaaaaa", "gone-bbbbbbbb"]
    broker.say_once(wire.SyncNodesReply(remove=[wire.NodeRemoval(name=n, reason="Cancelled") for n in names]))
    wait_for("they are gone", lambda: set(controller.nodes()) == {STATIC}, seconds=20)


def test_a_revision_that_changes_at_each_sync_is_no_storm(controller: Controller, broker: OddBroker) -> None:
    before, began = len(broker.handshakes), time.monotonic()
    for number in range(30):
        broker.revision = f"r{number}"
        broker.wait_for_syncs(1)
    assert len(broker.handshakes) - before <= time.monotonic() - began + 2


def test_messages_too_large_and_thousands_of_policies_leave_jenkins_well(
    controller: Controller, broker: OddBroker
) -> None:
    broker.sync.append(wire.SyncNodesReply(agents=[state("linux-cccccccc", why="x" * 10_000_000)]))
    broker.events += [wire.AgentEvent(number=n, agent="stranger", message=HTML * 100) for n in range(2_000)]
    broker.policies += [policy(f"p{number}", f"l{number}") for number in range(5_000)]
    broker.revision = "many"
    broker.always.wanted.add(policy="none", count=1_000_000, cause=wire.CAUSE_WARM)
    broker.wait_for_syncs(6)
    assert set(controller.nodes()) == {STATIC}
    size = "jenkins.model.Jenkins.get().clouds.find { it.class.name == 'BrokerCloud' }.fleet.policies.size()"
    assert int(controller.script(f"print {size}")) == 1_000
    began = time.monotonic()
    controller.get("api/json")
    assert time.monotonic() - began < 10
    assert "SEVERE" not in controller.log()
    assert "OutOfMemory" not in controller.log()
    assert "\x1b" not in controller.log()
