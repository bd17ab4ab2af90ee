"""The controller's own agent.jar, fetched once and kept by its hash."""

import asyncio
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import aiohttp

from broker.domain.ids import ControllerName
from broker.domain.reason import Reason
from broker.errors import BackendRejected, Throttled
from broker.ports import Clock

_FRESH_S: Final = 600.0
_TIMEOUT: Final = aiohttp.ClientTimeout(total=25, sock_connect=5, sock_read=15)
_LIMIT: Final = 64 << 20
_MAGIC: Final = b"PK\x03\x04"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Jar:
    path: Path
    checked_at: float
    validators: tuple[tuple[str, str], ...]


class AgentJars:
    """Answers the path of a controller's agent.jar. Asks the controller whether it changed at most every 10 minutes."""

    def __init__(self, cache: Path, url_of: Callable[[ControllerName], str | None], clock: Clock) -> None:
        """Keeps jars in `cache`; `url_of` gives a controller's root URL, ending in a slash."""
        self._cache = cache
        self._url_of = url_of
        self._clock = clock
        self._jars: dict[ControllerName, _Jar] = {}
        self._locks: dict[ControllerName, asyncio.Lock] = {}

    async def path(self, controller: ControllerName) -> Path:
        """The jar's path. `Throttled` (nothing was made, try later) if the controller is away and none was fetched."""
        # Held while the jar is fetched, which is bounded: a burst of launches fetches it once.
        async with self._locks.setdefault(controller, asyncio.Lock()):
            known = self._jars.get(controller)
            if known is not None and not await asyncio.to_thread(known.path.is_file):
                known = None
            if known is not None and self._clock.monotonic() - known.checked_at < _FRESH_S:
                return known.path
            jar = await self._refresh(controller, known)
            self._jars[controller] = jar
            return jar.path

    async def _refresh(self, controller: ControllerName, known: _Jar | None) -> _Jar:
        url = f"{self._root(controller)}jnlpJars/agent.jar"
        try:
            async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
                return await self._fetch(session, url, known)
        except (aiohttp.ClientError, TimeoutError) as error:
            if known is not None:
                return replace(known, checked_at=self._clock.monotonic())
            message = f"cannot fetch {url}: {str(error) or type(error).__name__}"
            raise Throttled("ControllerUnreachable", message, Reason.CONTROLLER_UNREACHABLE) from error

    async def _fetch(self, session: aiohttp.ClientSession, url: str, known: _Jar | None) -> _Jar:
        conditions = dict(known.validators) if known else {}
        async with session.get(url, headers=conditions) as reply:
            now = self._clock.monotonic()
            if reply.status == 304 and known is not None:
                return replace(known, checked_at=now)
            if reply.status >= 500 or reply.status == 429:  # a controller that is starting answers 503
                raise aiohttp.ClientError(f"it answered {reply.status}")
            if reply.status != 200:
                message = f"{url} answered {reply.status}: is this the URL of a Jenkins? or set the pool's agent_jar"
                raise BackendRejected("AgentJarNotFound", message, Reason.SETUP_FAILED)
            body = await _read(reply, url)
            pairs = (("If-None-Match", "ETag"), ("If-Modified-Since", "Last-Modified"))
            validators = tuple((ask, reply.headers[told]) for ask, told in pairs if told in reply.headers)
        path = await asyncio.to_thread(self._keep, body)
        return _Jar(path=path, checked_at=now, validators=validators)

    def _keep(self, body: bytes) -> Path:
        path = self._cache / f"agent-{hashlib.sha256(body).hexdigest()}.jar"
        if not path.is_file() or path.stat().st_size != len(body):
            self._cache.mkdir(parents=True, exist_ok=True, mode=0o700)
            unfinished = path.with_suffix(f".{os.getpid()}")
            unfinished.write_bytes(body)
            unfinished.replace(path)
        return path

    def _root(self, controller: ControllerName) -> str:
        if (root := self._url_of(controller)) is not None:
            return root
        raise BackendRejected("UnknownController", f"no controller {controller} in the config", Reason.SETUP_FAILED)


async def _read(reply: aiohttp.ClientResponse, url: str) -> bytes:
    body = bytearray()
    async for chunk in reply.content.iter_chunked(1 << 16):
        body += chunk
        if len(body) > _LIMIT:
            break
    if len(body) > _LIMIT or not body.startswith(_MAGIC):
        message = f"{url} is no jar file: is this the URL of a Jenkins? or set the pool's agent_jar"
        raise BackendRejected("AgentJarInvalid", message, Reason.SETUP_FAILED)
    return bytes(body)
