"""The broker's side of a simulated controller: handshake, requests, releases and the sync, over gRPC.

What `groovy/` does inside a real controller, in small. Every call may fail and is repeated; nothing here waits for
anything but the network, and the state is `broker.demo.model.Controller` alone.
"""

import asyncio
import base64
from collections.abc import Sequence

import grpc

from broker.demo.model import Controller
from broker.demo.records import Planned, PolicyView, Released
from broker.demo.shortage import Labels, asked_for
from broker.domain.overrides import by_key
from broker.domain.reason import Reason
from broker.inbound.secret import node_secret
from broker.wire.v1 import agents_pb2 as wire
from broker.wire.v1 import agents_pb2_grpc

_OPTIONS = [
    ("grpc.enable_http_proxy", 0),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 1000),
]
_CALL_TIMEOUT_S = 10.0
_PAUSE_S = 0.5


class BrokerLink:
    """Keeps one controller and the broker of one mind; whoever sets `changed` gets a sync soon."""

    def __init__(
        self,
        controller: Controller,
        *,
        target: str,
        token: str,
        secret_key: bytes,
        url: str,
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        """`target` is host:port of the broker's API, plaintext without `credentials`; `url` is what people open."""
        self._credentials = credentials
        self.controller = controller
        self.changed = asyncio.Event()
        self._target, self._url = target, url
        self._metadata = (("authorization", f"Bearer {token}"),)
        self._secret_key = secret_key
        self._revision = ""
        self._interval_s = 2.0
        self.port_told: tuple[int, bytes] | None = None
        """The TCP port for agents and the key of it; None for none."""

    async def run(self) -> None:
        """Runs until it is cancelled."""
        async with self._channel() as channel:
            self._stub = agents_pb2_grpc.AgentsStub(channel)  # type: ignore[no-untyped-call]  # generated without types
            async with asyncio.TaskGroup() as group:
                group.create_task(self._sync_loop(), name="sync")
                group.create_task(self._request_loop(), name="requests")
                group.create_task(self._release_loop(), name="releases")

    def _channel(self) -> grpc.aio.Channel:
        if self._credentials is None:
            return grpc.aio.insecure_channel(self._target, options=_OPTIONS)
        return grpc.aio.secure_channel(self._target, self._credentials, options=_OPTIONS)

    async def _sync_loop(self) -> None:
        while True:
            self.changed.clear()
            try:
                if not self._revision:
                    await self._handshake()
                await self._sync()
            except grpc.aio.AioRpcError as error:
                print(f"broker: {error.code().name}: {error.details()}", flush=True)
                self._revision = ""
                await asyncio.sleep(_PAUSE_S)
                continue
            await self._changed_or(self._interval_s)

    async def _changed_or(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self.changed.wait()
                await asyncio.sleep(0.1)  # what happens together is told together
        except TimeoutError:
            return

    async def _handshake(self) -> None:
        port, identity = self.port_told or (0, b"")
        reply = await self._stub.Handshake(
            wire.HandshakeRequest(
                api_version=1,
                client_version="simulated",
                controller_version="simulated",
                controller_url=self._url,
                boot_id=self.controller.boot_id,
                instance_identity=base64.b64encode(identity).decode(),
                agent_port=port,
            ),
            metadata=self._metadata,
            timeout=_CALL_TIMEOUT_S,
        )
        self.controller.learn(tuple(_policy(policy) for policy in reply.policies.policies))
        self._interval_s = reply.sync_interval.ToTimedelta().total_seconds() or self._interval_s
        self._revision = reply.policies.revision

    async def _sync(self) -> None:
        unanswered = set(self.controller.unanswered)
        request = _sync_request(self.controller)
        reply = await self._stub.SyncNodes(request, metadata=self._metadata, timeout=_CALL_TIMEOUT_S)
        self._take(reply, unanswered)
        if reply.policies_revision != self._revision:
            self._revision = ""
            self.changed.set()

    def _take(self, reply: wire.SyncNodesReply, unanswered: set[str]) -> None:
        controller = self.controller
        policies = {policy.name: policy for policy in controller.policies}
        for state in reply.agents:
            policy = policies.get(state.policy)
            lacking = state.name not in controller.nodes and state.name not in controller.planned
            if policy and lacking and state.name not in controller.removed:
                controller.add_node(state.name, policy, _labels(state), uses=state.uses)
        for state in reply.agents:
            if state.name in controller.nodes:
                controller.nodes[state.name].keep_warm = state.keep_warm
        controller.elsewhere = {a.name: _labels(a) for a in reply.agents if a.takes_builds}
        controller.forget_unknown(reply.unknown, unanswered)
        for removal in reply.remove:
            print(f"{removal.name}: removed: {removal.reason} {removal.message}", flush=True)
            controller.remove(removal.name)
        if not controller.synced:
            print(f"synced: {len(reply.agents)} agents", flush=True)
        for wish in reply.wanted:
            controller.fulfil(
                wish.policy, wish.count, wire.Cause.Name(wish.cause).removeprefix("CAUSE_"), wish.launch_id
            )
        controller.synced = True
        controller.syncs += 1

    async def _request_loop(self) -> None:
        while True:
            self.controller.make_due_nodes()
            self.controller.release_idle()
            if self.controller.plan():
                self.changed.set()
            if not self.controller.unanswered or not await self._request(list(self.controller.unanswered.values())):
                await asyncio.sleep(0.1)

    async def _request(self, batch: Sequence[Planned]) -> bool:
        request = wire.RequestAgentsRequest(
            boot_id=self.controller.boot_id,
            agents=[_agent_request(one, node_secret(self._secret_key, one.name)) for one in batch[:1000]],
        )
        try:
            reply = await self._stub.RequestAgents(request, metadata=self._metadata, timeout=_CALL_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            print(f"request: {error.code().name}: {error.details()}", flush=True)
            await asyncio.sleep(_PAUSE_S)
            return False
        for answer in reply.answers:
            self._answered(answer)
        return True

    def _answered(self, answer: wire.AgentAnswer) -> None:
        one = self.controller.unanswered.pop(answer.name, None)
        if answer.accepted:
            return
        print(f"{answer.name}: refused: {answer.reason} {answer.message}", flush=True)
        if one is not None and asked_for(one.labels) and answer.reason == Reason.OVERRIDE_FORBIDDEN:
            self.controller.forbid(one, f"{answer.reason}: {answer.message}")
        else:
            self.controller.refused([answer.name])

    async def _release_loop(self) -> None:
        while True:
            batch = list(self.controller.released.values())[:1000]
            if batch and await self._release(batch):
                for one in batch:
                    self.controller.released.pop(one.name, None)
            await asyncio.sleep(0.05)

    async def _release(self, batch: Sequence[Released]) -> bool:
        request = wire.ReleaseAgentsRequest(
            boot_id=self.controller.boot_id,
            agents=[
                wire.AgentRelease(
                    name=one.name,
                    cause=f"RELEASE_CAUSE_{one.cause}",
                    message=one.cause.lower(),
                    uses=one.uses,
                )
                for one in batch
            ],
        )
        try:
            await self._stub.ReleaseAgents(request, metadata=self._metadata, timeout=_CALL_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            print(f"release: {error.code().name}: {error.details()}", flush=True)
            await asyncio.sleep(_PAUSE_S)
            return False
        return True


def _policy(policy: wire.Policy) -> PolicyView:
    return PolicyView(
        name=policy.name,
        labels=frozenset(policy.labels),
        prefix=policy.name_prefix,
        accept_unlabelled=policy.accept_unlabelled,
        max_uses=policy.retention.max_uses,
        idle_timeout_s=policy.retention.idle_timeout.ToTimedelta().total_seconds() or 120.0,
    )


def _labels(state: wire.AgentState) -> Labels:
    return frozenset([*state.labels, *state.override_labels])


def _agent_request(one: Planned, secret: str) -> wire.AgentRequest:
    request = wire.AgentRequest(
        name=one.name,
        policy=one.policy.name,
        secret=secret,
        label_expression=one.expression,
        job=one.job,
        cause=f"CAUSE_{one.cause}",
        launch_id=one.launch_id,
        overrides=wire.Overrides(**by_key(asked_for(one.labels))),
    )
    request.queued_at.FromMilliseconds(int(one.queued_at * 1000))
    return request


def _sync_request(controller: Controller) -> wire.SyncNodesRequest:
    nodes = [
        wire.Node(
            name=node.name,
            online=node.channel is not None,
            accepting=node.accepting and node.build is None,
            busy=node.build is not None,
            uses=node.uses,
            current_build=f"demo-{node.build.number}" if node.build else "",
            offline_cause=node.why,
        )
        for node in controller.nodes.values()
    ]
    return wire.SyncNodesRequest(
        boot_id=controller.boot_id, nodes=nodes, queue=_queue_depths(controller), pending=list(controller.planned)
    )


def _queue_depths(controller: Controller) -> list[wire.QueueDepth]:
    depths: dict[tuple[str, str], wire.QueueDepth] = {}
    for build in controller.waiting():
        policy = controller.policy_for(build.labels)
        if policy:
            key = (policy.name, build.expression)
            depth = depths.setdefault(key, wire.QueueDepth(policy=policy.name, label_expression=build.expression))
            depth.length += 1
            if depth.length == 1:  # the queue is sorted: the first is the oldest
                depth.oldest_age.FromMilliseconds(int((controller.now() - build.queued_at) * 1000))
    return list(depths.values())
