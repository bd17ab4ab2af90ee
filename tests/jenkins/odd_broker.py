"""A broker that says what a test tells it to say, over TLS or not, in this process."""

import threading
import time
from collections.abc import Iterator
from concurrent import futures

import grpc

from broker.demo.authority import Pair
from broker.wire.v1 import agents_pb2 as wire
from broker.wire.v1 import agents_pb2_grpc

Call = grpc.ServicerContext


class OddBroker(agents_pb2_grpc.AgentsServicer):
    """Takes all requests on. What is in `sync` and `events` is told once, what is in `always` in each sync."""

    def __init__(self, *policies: wire.Policy, pair: Pair | None = None, clock_ahead_s: int = 0) -> None:
        """`pair`: speaks TLS with it. A client of it is refused while `refuses` has words."""
        self.policies = list(policies)
        self.clock_ahead_s = clock_ahead_s
        self.refuses = ""
        self.version = "0.1.0"
        self.revision = "1"
        self.always = wire.SyncNodesReply()
        self.sync: list[wire.SyncNodesReply] = []
        self.events: list[wire.AgentEvent] = []
        self.tokens: set[str] = set()
        self.handshakes: list[float] = []
        self.syncs = 0
        self.requested: dict[str, wire.AgentRequest] = {}
        self.released: set[str] = set()
        self._lock = threading.Lock()
        self._server = grpc.server(futures.ThreadPoolExecutor(8), options=[("grpc.max_send_message_length", -1)])
        agents_pb2_grpc.add_AgentsServicer_to_server(self, self._server)  # type: ignore[no-untyped-call]  # generated
        if pair:
            credentials = grpc.ssl_server_credentials([(pair.key.read_bytes(), pair.certificate.read_bytes())])
            self.port = self._server.add_secure_port("127.0.0.1:0", credentials)
        else:
            self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def stop(self) -> None:
        self._server.stop(None).wait(5)

    def say_once(self, reply: wire.SyncNodesReply) -> None:
        """Returns when the sync after it has come, so that it has been dealt with."""
        with self._lock:
            self.sync.append(reply)
        self.wait_for_syncs(3)

    def wait_for_syncs(self, count: int) -> None:
        """Returns when so many more have come."""
        until, end = self.syncs + count, time.monotonic() + 60
        while self.syncs < until:
            assert time.monotonic() < end, "Jenkins has stopped to talk to the broker"
            time.sleep(0.05)

    def Handshake(self, request: wire.HandshakeRequest, context: Call) -> wire.HandshakeReply:
        self._look(context)
        self.handshakes.append(time.monotonic())
        reply = wire.HandshakeReply(api_version=1, broker_version=self.version, controller="demo")
        reply.policies.CopyFrom(wire.PolicySet(revision=self.revision, policies=self.policies))
        reply.sync_interval.FromMilliseconds(300)
        reply.now.FromMilliseconds(int((time.time() + self.clock_ahead_s) * 1000))
        return reply

    def RequestAgents(self, request: wire.RequestAgentsRequest, context: Call) -> wire.RequestAgentsReply:
        self._look(context)
        with self._lock:
            self.requested |= {agent.name: agent for agent in request.agents}
        return wire.RequestAgentsReply(answers=[wire.AgentAnswer(name=a.name, accepted=True) for a in request.agents])

    def ReleaseAgents(self, request: wire.ReleaseAgentsRequest, context: Call) -> wire.ReleaseAgentsReply:
        self._look(context)
        self.released |= {agent.name for agent in request.agents}
        return wire.ReleaseAgentsReply()

    def SyncNodes(self, request: wire.SyncNodesRequest, context: Call) -> wire.SyncNodesReply:
        self._look(context)
        with self._lock:
            self.syncs += 1
            reply = wire.SyncNodesReply(policies_revision=self.revision)
            reply.MergeFrom(self.always)
            if self.sync:
                reply.MergeFrom(self.sync.pop(0))
        return reply

    def WatchAgents(self, request: wire.WatchAgentsRequest, context: Call) -> Iterator[wire.WatchAgentsReply]:
        self._look(context)
        beat = wire.WatchAgentsReply(heartbeat=wire.Heartbeat(number=1))
        beat.heartbeat.interval.FromSeconds(10)
        yield beat
        while context.is_active():
            while self.events:
                yield wire.WatchAgentsReply(event=self.events.pop(0))
            time.sleep(0.05)

    def _look(self, context: Call) -> None:
        given = dict(context.invocation_metadata()).get("authorization", "")
        self.tokens.add(str(given).removeprefix("Bearer "))
        if self.refuses:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, self.refuses)


def policy(name: str, *labels: str, **more: object) -> wire.Policy:
    """A policy of one-shot agents."""
    retention = wire.Retention(max_uses=1)
    retention.idle_timeout.FromSeconds(600)
    return wire.Policy(name=name, labels=labels, executors=1, retention=retention, **more)  # type: ignore[arg-type]
