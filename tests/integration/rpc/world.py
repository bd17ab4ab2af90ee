"""The API of controllers over real sockets, on top of a core that nobody steps."""

import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import grpc.aio

from broker.domain.definitions import Definitions
from broker.domain.ids import ControllerName
from broker.rpc.fairness import Fairness
from broker.rpc.interceptors import Guard
from broker.rpc.server import serving
from broker.rpc.service import AgentsService
from broker.rpc.streams import BEAT_S, Streams
from broker.testing.factories import make_controller, make_definitions, make_policy
from broker.tls import Certificates
from broker.wire.v1 import agents_pb2 as wire
from broker.wire.v1.agents_pb2_grpc import AgentsStub
from tests.core import Core, open_core, real_secret

TOKEN, SECOND_TOKEN, OTHER_TOKEN = "canary-token-one", "canary-token-two", "canary-token-other"
OTHER = ControllerName("other")


def sha256(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def two_controllers() -> Definitions:
    """`main` with two tokens, as during a rotation, and `other`, which has a policy of its own."""
    return make_definitions(
        controllers=[
            make_controller(token_sha256=(sha256(TOKEN), sha256(SECOND_TOKEN))),
            make_controller(name=OTHER, token_sha256=(sha256(OTHER_TOKEN),)),
        ],
        policies=[make_policy(), make_policy(name="theirs", labels=("theirs",), controllers=(OTHER,))],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """A listening API and the core behind it."""

    core: Core
    port: int
    service: AgentsService

    @asynccontextmanager
    async def channel(self, credentials: grpc.ChannelCredentials | None = None) -> AsyncIterator[grpc.aio.Channel]:
        address = f"127.0.0.1:{self.port}"
        channel = grpc.aio.secure_channel(address, credentials) if credentials else grpc.aio.insecure_channel(address)
        async with channel:
            yield channel


@asynccontextmanager
async def running_api(
    path: Path,
    definitions: Definitions | None = None,
    address: str = "127.0.0.1:0",
    tls: Certificates | None = None,
    beat_s: float = BEAT_S,
) -> AsyncIterator[Api]:
    async with open_core(path / "broker.db", definitions or two_controllers()) as core:
        service, ctx = AgentsService(core.intake, core.ctx, Streams(beat_s)), core.ctx
        guard = Guard(lambda: ctx.definitions, ctx.metrics, Fairness(lambda: ctx.definitions, ctx.clock))
        async with serving(address, service, guard, tls, 1.0) as port:
            yield Api(core=core, port=port, service=service)


def bearer(token: str) -> Sequence[tuple[str, str]]:
    return (("authorization", f"Bearer {token}"),)


def stub(channel: grpc.aio.Channel) -> AgentsStub:
    return AgentsStub(channel)  # type: ignore[no-untyped-call] # generated


def handshake(**changes: object) -> wire.HandshakeRequest:
    return wire.HandshakeRequest(**{"api_version": 1, "boot_id": "boot-1", **changes})  # type: ignore[arg-type]


def request(*names: str, policy: str = "linux", **changes: str) -> wire.RequestAgentsRequest:
    agents = [wire.AgentRequest(name=n, policy=policy, secret=real_secret(n), **changes) for n in names]  # type: ignore[arg-type]
    return wire.RequestAgentsRequest(boot_id="boot-1", agents=agents)
