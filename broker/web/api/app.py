"""The operators' API within the application of the broker's pages: checks a call, runs its route, answers."""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from multidict import MultiMapping
from pydantic import BaseModel, ValidationError

from broker.domain.operators import Operator
from broker.errors import BrokerError
from broker.reconcile.context import Context
from broker.telemetry import events
from broker.telemetry.metrics import Metrics
from broker.web.api.asks import Query
from broker.web.api.auth import caller_of, must_be
from broker.web.api.call import Call
from broker.web.api.errors import ApiError, of_http, of_validation, translated
from broker.web.api.handlers import Handlers
from broker.web.api.models import Model
from broker.web.api.routes import PREFIX, ROUTES, Route

MOST_BODY: Final = 16 * 1024
_ENDPOINT: Final = web.RequestKey("agentbroker_endpoint", str)


def mount(app: web.Application, handlers: Handlers, ctx: Context, *, loopback: bool) -> None:
    """Puts the API into an application; `loopback` says that its listener is bound to this machine alone."""

    def operators() -> Sequence[Operator]:
        return ctx.definitions.operators

    api = web.Application(middlewares=[_answering(ctx.metrics)])
    for route in ROUTES:
        api.router.add_route(route.method, route.pattern, _endpoint(route, handlers, operators, loopback=loopback))

    async def end_streams(_app: web.Application) -> None:
        handlers.feed.close()

    api.on_shutdown.append(end_streams)
    app.add_subapp(PREFIX, api)


def _answering(metrics: Metrics) -> Middleware:
    """Makes every refusal an answer of the API, and counts every call."""

    @web.middleware
    async def answering(request: web.Request, handler: Handler) -> web.StreamResponse:
        started, status = time.monotonic(), 500
        try:
            response = await _answered(request, handler)
            status = response.status
            return response
        finally:
            streamed = status == 200 and "text/event-stream" in request.headers.get("Accept", "")
            seconds = None if streamed else time.monotonic() - started
            metrics.http_finished(request.get(_ENDPOINT, ""), request.method, status, seconds)

    return answering


async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except BrokerError as error:
        return translated(error).response()
    except web.HTTPException as error:
        return of_http(error, request).response()
    except ConnectionError:
        raise  # nobody is there to be answered
    except Exception as error:
        events.CALL_FAILED.emit(method=request.get(_ENDPOINT, ""), error=type(error).__name__, exc_info=error)
        return ApiError(500, "failed", "a bug of the broker: its log has the details", "try again later").response()


def _endpoint(
    route: Route, handlers: Handlers, operators: Callable[[], Sequence[Operator]], *, loopback: bool
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def endpoint(request: web.Request) -> web.StreamResponse:
        request[_ENDPOINT] = PREFIX + route.path
        caller = caller_of(request, operators(), loopback=loopback)
        must_be(route.role, caller, route.summary.rstrip(".").lower())
        query, body = _query(request.query, route.query), await _body(request, route.body)
        answer = await route.handler(handlers, Call(request=request, caller=caller, query=query, body=body))
        if isinstance(answer, Model):
            headers = {"Cache-Control": "no-store"}
            return web.json_response(text=answer.model_dump_json(), headers=headers)
        return answer

    return endpoint


def _query(query: MultiMapping[str], model: type[Query]) -> Query:
    values: dict[str, str] = {}
    for key, value in query.items():
        if key in values:
            hint = f"say {key[:80]} once"
            raise ApiError(400, "bad_parameter", f"query parameter {key[:80]!r} is there more than once", hint)
        values[key] = value
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise of_validation(error, model, "query parameter") from None


async def _body(request: web.Request, model: type[BaseModel] | None) -> BaseModel | None:
    if model is None:
        return None
    if (request.content_length or 0) > MOST_BODY:
        raise _too_large()
    data = bytearray()
    async for chunk in request.content.iter_chunked(MOST_BODY):
        data += chunk
        if len(data) > MOST_BODY:
            raise _too_large()
    if data and request.content_type != "application/json":
        hint = "send Content-Type: application/json"
        raise ApiError(415, "not_json", f"the body is {request.content_type}", hint)
    try:
        return model.model_validate_json(bytes(data) or b"{}")
    except ValidationError as error:
        raise of_validation(error, model, "body") from None


def _too_large() -> ApiError:
    return ApiError(413, "too_large", f"the body is larger than {MOST_BODY} bytes", "send less")
