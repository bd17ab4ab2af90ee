"""The operators' API over a real socket, on top of a core that a test steps in virtual time."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from broker.domain.definitions import Definitions
from broker.domain.operators import Operator, Role
from broker.domain.timed_override import TimedOverride
from broker.errors import ConfigError, NotFound
from broker.incidents import Changed
from broker.operations import Actor
from broker.reload import ReloadResult
from broker.testing.clock import EPOCH
from broker.web.api.app import mount
from broker.web.api.handlers import Handlers
from broker.web.app import Check, serving
from tests.core import Core, open_core
from tests.integration.rpc.world import sha256

ANA_TOKEN, TV_TOKEN = "canary-operator-token", "canary-viewer-token"
OPERATORS = (
    Operator(name="ana", role=Role.OPERATOR, token_sha256=sha256(ANA_TOKEN)),
    Operator(name="tv", role=Role.VIEWER, token_sha256=sha256(TV_TOKEN)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back."""

    status: int
    json: dict[str, Any]
    headers: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """A listening API and the core behind it."""

    core: Core
    handlers: Handlers
    reloads: "Reloads"
    port: int
    http: aiohttp.ClientSession

    async def call(self, method: str, path: str, token: str | None = None, **more: Any) -> Answer:
        headers = dict(more.pop("headers", {}))
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        async with self.http.request(method, self.url(path), headers=headers, **more) as reply:
            assert reply.content_type == "application/json", await reply.text()
            return Answer(status=reply.status, json=await reply.json(), headers=dict(reply.headers))

    async def get(self, path: str, token: str | None = None, **more: Any) -> dict[str, Any]:
        answer = await self.call("GET", path, token, **more)
        assert answer.status == 200, answer
        return answer.json

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/api/v1/{path}"


async def ready() -> Sequence[Check]:
    return [Check(name="store", ok=True)]


class Reloads:
    """What stands for the reload of a config file; `broken` is what is wrong with the file."""

    def __init__(self) -> None:
        self.actors: list[str] = []
        self.broken = ""

    async def reload(self, actor: str = "") -> ReloadResult:
        result = await self.preview()
        self.actors.append(actor)
        return result

    def shown(self) -> dict[str, object]:
        return {"version": 1}

    def read_last(self) -> tuple[str, datetime]:
        return "broker.yaml", EPOCH

    async def preview(self) -> ReloadResult:
        if self.broken:
            raise ConfigError(self.broken)
        return ReloadResult(changed=("pools.it.limits.agents: 1 -> 2",), needs_restart=(), revision="2")


class NothingTimed:
    """What stands for keys that are set for a time: none can be."""

    def shown(self) -> tuple[TimedOverride, ...]:
        return ()

    async def set(self, override: TimedOverride, actor: Actor) -> Changed:
        raise NotFound(f"{override.key} cannot be set")

    async def unset(self, pool: str, key: str, actor: Actor) -> Changed:
        raise NotFound(f"{key} of {pool} is not set")


@asynccontextmanager
async def running_api(
    path: Path, definitions: Definitions | None = None, *, loopback: bool = True
) -> AsyncIterator[Api]:
    async with open_core(path / "broker.db", definitions) as core, serving_core(core, loopback=loopback) as api:
        yield api


@asynccontextmanager
async def serving_core(core: Core, *, loopback: bool = True) -> AsyncIterator[Api]:
    """The API on a core that a test has opened itself."""
    async with aiohttp.ClientSession() as http:
        app, reloads = web.Application(), Reloads()
        handlers = Handlers(core.ctx, ready, lambda: (), reloads, NothingTimed())
        mount(app, handlers, core.ctx, loopback=loopback)
        async with serving(app) as port:
            yield Api(core=core, handlers=handlers, reloads=reloads, port=port, http=http)
