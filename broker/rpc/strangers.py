"""Calls that anybody may make, with no token: they get few places and little time, so that controllers are served."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import grpc
import grpc.aio

AT_ONCE: Final = 32
"""Of all strangers together; those that watch count for as long as they do."""
FIRST_MESSAGE_S: Final = 5.0
"""A call that only begins would hold its place of the listener's for ever."""

_Call = grpc.aio.ServicerContext[Any, Any]


class Strangers:
    """Wraps handlers that take one message."""

    def __init__(self) -> None:
        """Nobody is here yet."""
        self._here = 0

    def bounded(self, handler: Any) -> Any:
        """The same handler with a bound; it is called before the message has come, so that waiting counts, too."""
        codec = {
            "request_deserializer": handler.request_deserializer,
            "response_serializer": handler.response_serializer,
        }

        async def call(messages: AsyncIterable[Any], context: _Call) -> Any:
            async with self._place(context):
                return await handler.unary_unary(await _first(messages, context), context)

        async def stream(messages: AsyncIterable[Any], context: _Call) -> None:
            async with self._place(context):
                await handler.unary_stream(await _first(messages, context), context)

        if handler.unary_unary is not None:
            return grpc.stream_unary_rpc_method_handler(call, **codec)
        return grpc.stream_stream_rpc_method_handler(stream, **codec)

    @asynccontextmanager
    async def _place(self, context: _Call) -> AsyncIterator[None]:
        if self._here >= AT_ONCE:
            text = f"{AT_ONCE} calls without a token are open, the most at once; try again"
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, text)
        self._here += 1
        try:
            yield
        finally:
            self._here -= 1


async def _first(messages: AsyncIterable[Any], context: _Call) -> Any:
    try:
        async with asyncio.timeout(FIRST_MESSAGE_S):
            async for message in messages:
                return message
    except TimeoutError:
        await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, f"no message came in {FIRST_MESSAGE_S:g} s")
    return await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no message came")
