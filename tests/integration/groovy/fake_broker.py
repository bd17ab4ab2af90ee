"""A broker that says another version, or that lacks what newer ones have: the least of the API, in this process."""

import threading
import time
from concurrent import futures

import grpc

from broker.wire.v1 import agents_pb2 as wire
from broker.wire.v1 import agents_pb2_grpc

Call = grpc.ServicerContext


class FakeBroker(agents_pb2_grpc.AgentsServicer):
    """Takes every request on and makes no agent. What newer ones have beside these four calls is UNIMPLEMENTED."""

    def __init__(
        self, *, version: str = "0.1.0", api_version: int = 1, refuses: str = "", label: str = "linux"
    ) -> None:
        """`refuses`: the words with which a broker refuses another api_version."""
        self.version, self.api_version, self.refuses, self.label = version, api_version, refuses, label
        self.secrets: dict[str, str] = {}
        """What an agent of a name has to show the controller."""
        self.calls: list[tuple[str, float]] = []
        self.requested: set[str] = set()
        self._lock = threading.Lock()
        self._server = grpc.server(futures.ThreadPoolExecutor(4))
        agents_pb2_grpc.add_AgentsServicer_to_server(self, self._server)  # type: ignore[no-untyped-call]  # generated
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def stop(self) -> None:
        self._server.stop(None).wait(5)

    def times(self, call: str) -> list[float]:
        """When it was called, in seconds of the monotonic clock."""
        with self._lock:
            return [at for name, at in self.calls if name == call]

    def _note(self, call: str) -> None:
        with self._lock:
            self.calls.append((call, time.monotonic()))

    def Handshake(self, request: wire.HandshakeRequest, context: Call) -> wire.HandshakeReply:
        self._note("Handshake")
        if self.refuses:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, self.refuses)
        policy = wire.Policy(name=self.label, labels=[self.label], executors=1, retention=wire.Retention(max_uses=1))
        reply = wire.HandshakeReply(api_version=self.api_version, broker_version=self.version, controller="demo")
        reply.policies.CopyFrom(wire.PolicySet(revision="1", policies=[policy]))
        reply.sync_interval.FromMilliseconds(500)
        return reply

    def RequestAgents(self, request: wire.RequestAgentsRequest, context: Call) -> wire.RequestAgentsReply:
        self._note("RequestAgents")
        self.requested |= {agent.name for agent in request.agents}
        self.secrets |= {agent.name: agent.secret for agent in request.agents}
        return wire.RequestAgentsReply(answers=[wire.AgentAnswer(name=a.name, accepted=True) for a in request.agents])

    def ReleaseAgents(self, request: wire.ReleaseAgentsRequest, context: Call) -> wire.ReleaseAgentsReply:
        self._note("ReleaseAgents")
        self.requested -= {agent.name for agent in request.agents}
        return wire.ReleaseAgentsReply()

    def SyncNodes(self, request: wire.SyncNodesRequest, context: Call) -> wire.SyncNodesReply:
        self._note("SyncNodes")
        unknown = [node.name for node in request.nodes if node.name not in self.requested]
        return wire.SyncNodesReply(policies_revision="1", unknown=unknown)
