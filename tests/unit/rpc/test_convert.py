"""What controllers send becomes what the core and every store can hold."""

from broker.domain.ids import AgentName
from broker.rpc.convert import MOST_USES, releases, told
from broker.wire.v1 import agents_pb2 as wire


def test_no_controller_counts_further_than_a_store_does() -> None:
    release = wire.AgentRelease(name="a", cause=wire.RELEASE_CAUSE_COMPLETED, uses=2**32 - 1)
    node = wire.Node(name="a", uses=2**32 - 1)
    [given] = releases(wire.ReleaseAgentsRequest(boot_id="boot-1", agents=[release]))
    truth = told(wire.SyncNodesRequest(boot_id="boot-1", nodes=[node]))
    assert given.uses == truth.nodes[AgentName("a")].uses == MOST_USES < 2**31
