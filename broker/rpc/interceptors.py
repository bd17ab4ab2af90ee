"""At the door of every call: who calls, how much of it, the time it took, and errors as gRPC statuses."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager, nullcontext
from contextvars import ContextVar
from typing import Any, Final

import grpc
import grpc.aio

from broker.domain.definitions import Definitions
from broker.domain.ids import ControllerName
from broker.errors import BrokerError, Busy, StoreUnavailable
from broker.rpc.convert import InvalidMessage, OtherVersion
from broker.rpc.fairness import Fairness
from broker.rpc.identity import NoToken, NotThisController, caller, has_token
from broker.rpc.strangers import Strangers
from broker.rpc.streams import BrokerStops
from broker.telemetry import events
from broker.telemetry.metrics import Metrics
from broker.wire.v1 import agents_pb2 as wire

controller_of_call: ContextVar[ControllerName] = ContextVar("controller_of_call")
"""The controller whose token came with the call that is being answered."""
RETRY_AFTER: Final = "grpc-retry-pushback-ms"
"""Trailing metadata of a call that was too much: the milliseconds to wait (gRPC proposal A6, "pushback")."""

_OPEN_SERVICES: Final = ("/grpc.health.v1.Health/",)
_STATUSES: Final[Mapping[type[BrokerError], grpc.StatusCode]] = {
    InvalidMessage: grpc.StatusCode.INVALID_ARGUMENT,
    OtherVersion: grpc.StatusCode.FAILED_PRECONDITION,
    NoToken: grpc.StatusCode.UNAUTHENTICATED,
    NotThisController: grpc.StatusCode.PERMISSION_DENIED,
    Busy: grpc.StatusCode.RESOURCE_EXHAUSTED,
    StoreUnavailable: grpc.StatusCode.UNAVAILABLE,
    BrokerStops: grpc.StatusCode.UNAVAILABLE,
}

Call = grpc.aio.ServicerContext[Any, Any]
Handler = Callable[[Any, Call], Awaitable[Any]]
_Trailer = tuple[tuple[str, str], ...]
Stream = Callable[[Any, Call], AsyncGenerator[Any, None]]


class Guard(grpc.aio.ServerInterceptor):
    """Lets in calls with a controller's token, counts them, and turns what goes wrong into a status."""

    def __init__(self, definitions: Callable[[], Definitions], metrics: Metrics, fairness: Fairness) -> None:
        """Asks for the definitions at each call: a reload changes the tokens."""
        self._definitions = definitions
        self._metrics = metrics
        self._fairness = fairness
        self._strangers = Strangers()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Wraps the handler of a call; the health service is open to all, a kind of call that is not known to none."""
        handler = await continuation(handler_call_details)
        method = str(handler_call_details.method)
        if handler is None:
            return None
        if method.startswith(_OPEN_SERVICES):
            return self._strangers.bounded(handler)
        name = method.rpartition("/")[2]
        if not has_token(handler_call_details.invocation_metadata, self._definitions()):
            return grpc.stream_unary_rpc_method_handler(self._turned_away(name))
        codec = {
            "request_deserializer": handler.request_deserializer,
            "response_serializer": handler.response_serializer,
        }
        if handler.unary_unary is not None:
            return grpc.unary_unary_rpc_method_handler(self._call(handler.unary_unary, name), **codec)
        if handler.unary_stream is not None:
            return grpc.unary_stream_rpc_method_handler(self._stream(handler.unary_stream, name), **codec)
        return None

    def _turned_away(self, method: str) -> Handler:
        """Does not wait for the message of a call without a token: it would hold a place that controllers need."""

        async def call(_messages: Any, context: Call) -> None:
            async with self._admitted(context, method, None, stream=False):
                raise NoToken("the tokens have just changed; try again")

        return call

    def _call(self, handler: Handler, method: str) -> Handler:
        async def call(request: Any, context: Call) -> Any:
            async with self._admitted(context, method, request, stream=False):
                return await handler(request, context)

        return call

    def _stream(self, handler: Stream, method: str) -> Stream:
        async def stream(request: Any, context: Call) -> AsyncGenerator[Any, None]:
            admitted = self._admitted(context, method, request, stream=True)
            async with admitted, aclosing(handler(request, context)) as replies:
                async for reply in replies:
                    yield reply

        return stream

    @asynccontextmanager
    async def _admitted(self, context: Call, method: str, request: Any, *, stream: bool) -> AsyncIterator[None]:
        """Runs a call as its controller, and ends it with the status of what went wrong."""
        started = asyncio.get_running_loop().time()
        controller: ControllerName | None = None
        code, text, trailer = grpc.StatusCode.OK, "", _Trailer()
        try:
            controller = caller(context, self._definitions())
            controller_of_call.set(controller)
            with nullcontext() if stream else self._fairness.call(controller):
                if isinstance(request, wire.RequestAgentsRequest):
                    self._fairness.spend(controller, len(request.agents))
                yield
        except (asyncio.CancelledError, GeneratorExit, grpc.aio.AbortError):
            code = grpc.StatusCode.CANCELLED
            raise
        except Exception as error:
            code, text = _status(error, method)
            trailer = _trailer(error)
        finally:
            seconds = None if stream else asyncio.get_running_loop().time() - started
            self._metrics.rpc_finished(controller or "", method, code.name, seconds)
        if code is not grpc.StatusCode.OK:
            await context.abort(code, text, trailer)


def _status(error: Exception, method: str) -> tuple[grpc.StatusCode, str]:
    for kind, code in _STATUSES.items():
        if isinstance(error, kind):
            return code, str(error)
    events.CALL_FAILED.emit(method=method, error=repr(error), exc_info=error)
    return grpc.StatusCode.INTERNAL, "a bug of the broker: its log has the details; repeat later"


def _trailer(error: Exception) -> _Trailer:
    return ((RETRY_AFTER, str(max(1, round(error.retry_after_s * 1000)))),) if isinstance(error, Busy) else ()
