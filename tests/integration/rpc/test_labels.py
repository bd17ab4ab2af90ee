"""A controller that may use some labels only sees no other ones, in policies and in nodes."""

from pathlib import Path

from broker.testing.factories import make_controller, make_definitions, make_policy
from broker.wire.v1 import agents_pb2 as wire
from tests.integration.rpc.world import TOKEN, bearer, handshake, request, running_api, sha256, stub


async def test_only_allowed_labels_are_published_and_only_their_policies_accepted(tmp_path: Path) -> None:
    policies = [make_policy(labels=("linux", "gpu")), make_policy(name="windows", labels=("windows",))]
    bounded = make_controller(token_sha256=(sha256(TOKEN),), labels=("lin*",))
    definitions = make_definitions(policies=policies, controllers=[bounded])
    async with running_api(tmp_path, definitions) as api, api.channel() as channel:
        agents = stub(channel)
        reply = await agents.Handshake(handshake(), metadata=bearer(TOKEN), timeout=10)
        assert [(p.name, list(p.labels)) for p in reply.policies.policies] == [("linux", ["linux"])]
        asked = await agents.RequestAgents(request("a-1"), metadata=bearer(TOKEN), timeout=10)
        assert asked.answers[0].accepted
        asked = await agents.RequestAgents(request("a-2", policy="windows"), metadata=bearer(TOKEN), timeout=10)
        assert (asked.answers[0].accepted, asked.answers[0].reason) == (False, "NoMatchingPolicy")
        assert asked.answers[0].message.endswith("none of the labels of controllers.main.labels: add one there")
        truth = await agents.SyncNodes(wire.SyncNodesRequest(boot_id="boot-1"), metadata=bearer(TOKEN), timeout=10)
        assert [(a.name, list(a.labels)) for a in truth.agents] == [("a-1", ["linux"])]
