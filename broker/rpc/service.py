"""The API of controllers, on top of intake."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import timedelta
from typing import Any

import grpc
import grpc.aio

from broker.intake import Intake
from broker.news import News
from broker.reconcile.context import Context
from broker.reconcile.presence import SYNC_INTERVAL_S
from broker.rpc import convert, convert_fleet, convert_introduction, convert_news
from broker.rpc.identity import NoToken, caller
from broker.rpc.interceptors import controller_of_call
from broker.rpc.streams import Streams
from broker.version import VERSION
from broker.views.fleet import Fleets
from broker.views.pages import Pages
from broker.wire.v1 import agents_pb2 as wire
from broker.wire.v1 import agents_pb2_grpc

API_VERSION = 1

_Call = grpc.aio.ServicerContext[Any, Any]


class AgentsService(agents_pb2_grpc.AgentsServicer):
    """Thin: converts, calls intake, converts back. Its reference is `agents.proto`."""

    def __init__(
        self, intake: Intake, ctx: Context, streams: Streams | None = None, pages: Callable[[], Pages] = Pages
    ) -> None:
        """Reads the definitions of the context; changes only through intake. A reload may change the pages."""
        self._intake = intake
        self._ctx = ctx
        self._news = News(ctx)
        self._fleets = Fleets(ctx)
        self._pages = pages
        self.streams = streams or Streams()

    async def Handshake(self, request: wire.HandshakeRequest, context: _Call) -> wire.HandshakeReply:
        """Versions, policies, intervals."""
        if request.api_version != API_VERSION:
            text = f"api_version {request.api_version} is not spoken here, this broker {VERSION} speaks {API_VERSION}"
            raise convert.OtherVersion(f"{text}; run: agentbroker init jenkins")
        controller = controller_of_call.get()
        policies = await self._intake.greet(
            controller,
            convert.boot_id(request.boot_id),
            request.client_version[: convert.LONGEST_VERSION],
            convert_introduction.introduction(request),
        )
        return wire.HandshakeReply(
            api_version=API_VERSION,
            broker_version=VERSION,
            controller=controller,
            policies=convert.policy_set(policies, self._ctx.definitions),
            sync_interval=convert.duration(timedelta(seconds=SYNC_INTERVAL_S)),
            gateway_url=self._ctx.gateway_url(controller),
            agent_page=self._pages().agent,
            now=convert.timestamp(self._ctx.clock.now()),
        )

    async def RequestAgents(self, request: wire.RequestAgentsRequest, context: _Call) -> wire.RequestAgentsReply:
        """Takes requests on."""
        asked = convert.asked_agents(request)
        answers = await self._intake.accept(controller_of_call.get(), convert.boot_id(request.boot_id), asked)
        return convert.agent_answers(answers)

    async def ReleaseAgents(self, request: wire.ReleaseAgentsRequest, context: _Call) -> wire.ReleaseAgentsReply:
        """Takes agents back."""
        given = convert.releases(request)
        unknown = await self._intake.release(controller_of_call.get(), convert.boot_id(request.boot_id), given)
        return wire.ReleaseAgentsReply(unknown=unknown)

    async def SyncNodes(self, request: wire.SyncNodesRequest, context: _Call) -> wire.SyncNodesReply:
        """The full truth both ways."""
        found = await self._intake.sync(controller_of_call.get(), convert.told(request))
        return convert.truth(found, self._ctx.definitions)

    async def WatchAgents(
        self, request: wire.WatchAgentsRequest, context: _Call
    ) -> AsyncGenerator[wire.WatchAgentsReply, None]:
        """What happens to the controller's agents, until one side ends it, or its token is no longer good."""
        controller, after = controller_of_call.get(), convert_news.watch_after(request)
        with self.streams.joining(controller, convert.boot_id(request.boot_id)) as stream:
            async with aclosing(self._news.follow(controller, after, stream.pause)) as items:
                async for item in items:
                    if caller(context, self._ctx.definitions) != controller:
                        raise NoToken("the token is another controller's now")
                    yield convert_news.news(item, self.streams.beat_s, self._ctx.definitions)

    async def DescribeFleet(self, request: wire.DescribeFleetRequest, context: _Call) -> wire.DescribeFleetReply:
        """The fleet as people see it."""
        found = await self._fleets.of(controller_of_call.get())
        return convert_fleet.fleet(found, self._pages().fleet)
