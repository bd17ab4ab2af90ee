"""At the door of every call: the token, the time it took, and errors as gRPC statuses."""

import asyncio
import hashlib
import hmac
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, Final

import grpc
import grpc.aio

from broker.domain.definitions import Definitions
from broker.domain.ids import ControllerName
from broker.errors import StoreUnavailable
from broker.rpc.convert import InvalidMessage, OtherVersion
from broker.telemetry import events
from broker.telemetry.metrics import Metrics

controller_of_call: ContextVar[ControllerName] = ContextVar("controller_of_call")
"""The controller whose token came with the call that is being answered."""

_OPEN_SERVICES: Final = ("/grpc.health.v1.Health/",)
_HINT: Final = "send 'authorization: Bearer TOKEN' with the token whose SHA-256 stands at controllers.NAME.token_sha256"

Handler = Callable[[Any, grpc.aio.ServicerContext[Any, Any]], Awaitable[Any]]


class Guard(grpc.aio.ServerInterceptor):
    """Lets in calls with a controller's token, counts them, and turns what goes wrong into a status."""

    def __init__(self, definitions: Callable[[], Definitions], metrics: Metrics) -> None:
        """Asks for the definitions at each call: a reload changes the tokens."""
        self._definitions = definitions
        self._metrics = metrics

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Wraps the handler of a call; the health service is open to all."""
        handler = await continuation(handler_call_details)
        method = str(handler_call_details.method)
        if handler is None or method.startswith(_OPEN_SERVICES) or handler.unary_unary is None:
            return handler
        guarded = self._guarded(handler.unary_unary, method.rpartition("/")[2])
        return grpc.unary_unary_rpc_method_handler(
            guarded,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    def _guarded(self, handler: Handler, method: str) -> Handler:
        async def call(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            started = asyncio.get_running_loop().time()
            controller, code, text, reply = self._controller(context), grpc.StatusCode.OK, "", None
            try:
                if controller is None:
                    code, text = grpc.StatusCode.UNAUTHENTICATED, f"no token of a controller of this broker; {_HINT}"
                else:
                    controller_of_call.set(controller)
                    reply = await handler(request, context)
            except InvalidMessage as error:
                code, text = grpc.StatusCode.INVALID_ARGUMENT, str(error)
            except OtherVersion as error:
                code, text = grpc.StatusCode.FAILED_PRECONDITION, str(error)
            except StoreUnavailable as error:
                code, text = grpc.StatusCode.UNAVAILABLE, str(error)
            except (asyncio.CancelledError, grpc.aio.AbortError):
                code = grpc.StatusCode.CANCELLED
                raise
            except Exception as error:
                events.CALL_FAILED.emit(method=method, error=repr(error), exc_info=error)
                code, text = grpc.StatusCode.INTERNAL, "a bug of the broker: its log has the details; repeat later"
            finally:
                seconds = asyncio.get_running_loop().time() - started
                self._metrics.rpc_finished(controller or "", method, code.name, seconds)
            if code is not grpc.StatusCode.OK:
                await context.abort(code, text)
            return reply

        return call

    def _controller(self, context: grpc.aio.ServicerContext[Any, Any]) -> ControllerName | None:
        """Whose token it is; looks at all of them, so that the time tells nothing."""
        given = next((v for k, v in context.invocation_metadata() or () if k == "authorization"), "")
        text = given if isinstance(given, str) else given.decode("latin-1")
        kind, _, token = text.partition(" ")
        digest = hashlib.sha256(token.encode()).hexdigest() if kind.lower() == "bearer" and token else ""
        found = None
        for controller in self._definitions().controllers.values():
            for known in controller.token_sha256:
                if hmac.compare_digest(known, digest):
                    found = controller.name
        return found
