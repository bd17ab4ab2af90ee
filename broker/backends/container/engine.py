"""The calls to one container engine over the Docker API: each bounded in time, each error one of ours."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeVar

import aiohttp
from aiodocker import Docker, DockerError
from aiodocker.containers import DockerContainer

from broker.backends.container.errors import UNREADABLE, BeingRemoved, Call, JustEnded, NoSuchContainer, translate
from broker.domain.ids import BackendName
from broker.domain.reason import Reason
from broker.errors import BackendRejected, Throttled

_CALL_S: Final = 20.0
_CONNECT_S: Final = 3.0
_AT_ONCE: Final = 4
"""So many containers are made or removed at a time: measured, podman gets slower with more, up to no answer at all."""
_HEAVY: Final = frozenset({Call.CREATE, Call.START, Call.REMOVE})
_PULL_S: Final = 1800.0
_PULL_SILENT_S: Final = 180.0
_LOG_LINES: Final = 20
_LOOKS: Final = 5
T = TypeVar("T")

Item = Mapping[str, Any]
"""One container as the engine tells it: of a listing, or looked at alone."""


def usual_addresses(env: Mapping[str, str]) -> list[str]:
    """Where an engine may be when the config does not say: the variables of docker and podman, then their sockets."""
    sockets = ["/run/podman/podman.sock", "/run/docker.sock"]
    if runtime := env.get("XDG_RUNTIME_DIR"):
        sockets = [f"{runtime}/podman/podman.sock", f"{runtime}/docker.sock", *sockets]
    named = [env[name] for name in ("DOCKER_HOST", "CONTAINER_HOST") if env.get(name)]
    return [*named, *(f"unix://{path}" for path in sockets)]


def find_address(addresses: Sequence[str], key: str) -> str:
    """The first of these whose socket is there; BackendRejected says where it was looked for."""
    for address in addresses:
        if not address.startswith("unix://") or Path(address.removeprefix("unix://")).is_socket():
            return address
    message = f"none of {', '.join(addresses)} is there: start a container engine, or set {key}"
    raise BackendRejected("NoEngine", message, Reason.SETUP_FAILED)


class Engine:
    """One engine. Nothing is called before it is needed; an engine that comes back is found again."""

    def __init__(
        self, backend: BackendName, address: str | None, env: Mapping[str, str] = os.environ, patience_s: float = 15.0
    ) -> None:
        """`address` is unix:///PATH or tcp://HOST:PORT, None for the usual places; `patience_s` is for one's turn."""
        self._key = f"backends.{backend}.socket"
        self._configured = address
        self._env = env
        self._docker: Docker | None = None
        self._address = ""
        self._patience_s = patience_s
        self._room = asyncio.Semaphore(_AT_ONCE)

    async def create(self, name: str, body: Mapping[str, Any]) -> None:
        """Makes a container, not started; NameInUse if there is one of this name."""
        async with self._calling(Call.CREATE) as docker:
            await docker.containers.create(body, name=name)

    async def start(self, name: str) -> None:
        """Starts it; one that runs is a success, one that has ended runs again."""
        async with self._calling(Call.START) as docker:
            await docker.containers.container(name).start()

    async def inspect(self, name: str) -> Item | None:
        """All that is known of a container; None if there is none."""
        try:
            return await self._looking(Call.INSPECT, lambda docker: docker.containers.container(name).show())
        except NoSuchContainer:
            return None

    async def list(self, label: str, names: Sequence[str] = ()) -> Sequence[DockerContainer]:
        """All containers with this label, ended ones too; with `names`, at least those of these names."""
        filters = {"label": [label], **({"name": list(names)} if names else {})}
        return await self._looking(
            Call.LIST, lambda docker: docker.containers.list(all="true", filters=json.dumps(filters))
        )

    async def remove(self, name: str) -> None:
        """Kills and removes it with its own volumes; one that is gone, or going, is a success: look, and ask again."""
        try:
            async with self._calling(Call.REMOVE) as docker:
                await docker.containers.container(name).delete(force=True, v=True)
        except (NoSuchContainer, BeingRemoved):
            return

    async def last_lines(self, name: str) -> tuple[str, ...]:
        """The last lines that it printed; none if it is gone."""
        try:
            async with self._calling(Call.LOGS) as docker:
                told = await docker.containers.container(name).log(stdout=True, stderr=True, tail=_LOG_LINES)
        except NoSuchContainer:
            return ()
        return tuple("".join(told).splitlines()[-_LOG_LINES:])

    async def pull(self, image: str, progress: Callable[[str], None]) -> None:
        """Fetches an image; `progress` gets the engine's words on the way. Takes as long as it takes, up to 30 min."""
        timeout = aiohttp.ClientTimeout(total=_PULL_S, sock_connect=_CONNECT_S, sock_read=_PULL_SILENT_S)
        async with self._calling(Call.PULL, _PULL_S) as docker:
            async for told in docker.images.pull(image, stream=True, timeout=timeout):  # type: ignore[call-overload]
                progress(str(told.get("status", "")))

    async def close(self) -> None:
        """Lets go of the connections."""
        if self._docker is not None:
            await self._docker.close()
            self._docker = None

    async def _looking(self, call: Call, look: Callable[[Docker], Awaitable[T]]) -> T:
        """Looks again, some times, when a container ended in the middle of a look."""
        for _ in range(_LOOKS - 1):
            with suppress(JustEnded):
                async with self._calling(call) as docker:
                    return await look(docker)
        async with self._calling(call) as docker:
            return await look(docker)

    @asynccontextmanager
    async def _calling(self, call: Call, limit_s: float = _CALL_S) -> AsyncIterator[Docker]:
        docker = self._open()
        if call in _HEAVY:
            await self._enter()
        try:
            async with asyncio.timeout(limit_s):
                yield docker
        except (DockerError, aiohttp.ClientError, OSError, *UNREADABLE) as error:  # TimeoutError is an OSError
            raise translate(call, error, self._address, self._key) from error
        finally:
            if call in _HEAVY:
                self._room.release()

    async def _enter(self) -> None:
        """Waits for its turn, in order; Throttled if it does not come."""
        try:
            async with asyncio.timeout(self._patience_s):
                await self._room.acquire()
        except TimeoutError as error:
            message = f"{self._address}: {_AT_ONCE} containers at a time are made or removed, and others wait longer"
            raise Throttled("EngineBusy", message) from error

    def _open(self) -> Docker:
        if self._docker is None:
            self._address = self._configured or find_address(usual_addresses(self._env), self._key)
            timeout = aiohttp.ClientTimeout(total=_CALL_S, sock_connect=_CONNECT_S)
            self._docker = Docker(url=self._address, timeout=timeout)
        return self._docker
