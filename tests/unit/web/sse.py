"""A client of server-sent events, by the rules of html.spec.whatwg.org that a browser follows."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp


@dataclass(frozen=True, slots=True)
class Message:
    """One event of a stream."""

    id: str
    event: str
    data: dict[str, Any]


class Stream:
    """An open stream; `last_id` is what the client would resume from."""

    def __init__(self, reply: aiohttp.ClientResponse) -> None:
        self.reply = reply
        self.last_id = ""
        self.comments: list[str] = []

    async def next(self, timeout: float = 10.0) -> Message:
        """The next event, past comments and blocks that are none."""
        async with asyncio.timeout(timeout):
            while True:
                fields = await self._block()
                self.last_id = fields.get("id", self.last_id)
                if "data" in fields:
                    return Message(self.last_id, fields.get("event", "message"), json.loads(fields["data"]))

    async def _block(self) -> dict[str, str]:
        fields: dict[str, str] = {}
        while line := (await self.reply.content.readline()).decode():
            if line == "\n":
                return fields
            key, _, value = line.rstrip("\n").partition(":")
            if not key:
                self.comments.append(value.strip())
            fields[key] = value.removeprefix(" ")
        raise ConnectionError("the stream has ended")


@asynccontextmanager
async def streaming(
    http: aiohttp.ClientSession, url: str, last_id: str | None = None, **headers: str
) -> AsyncIterator[Stream]:
    """Opens a stream and waits for its first block, so that what happens from now on is in it."""
    asked = {"Accept": "text/event-stream", **headers} | ({"Last-Event-ID": last_id} if last_id else {})
    async with http.get(url, headers=asked, timeout=aiohttp.ClientTimeout(total=None)) as reply:
        assert reply.status == 200, await reply.text()
        assert reply.content_type == "text/event-stream"
        stream = Stream(reply)
        stream.last_id = (await stream._block())["id"]
        yield stream
