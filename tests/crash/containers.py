"""Agents as containers, counted in the engine's list."""

import secrets
from pathlib import Path
from typing import Any, Final

from aiodocker import Docker, DockerError

from broker.backends.container.ownership import AGENT_ID, ATTEMPT, MANAGED_BY
from tests.podman import IMAGE, TestEngine

_MARK: Final = "CRASH_RUN"
_SCRIPT: Final = 'cat "$${4#@}" >>/crash/starts; exec sleep 600'
"""Its fourth word names the file of the secret, which is the attempt's alone."""


class Containers:
    """A ground of containers, known by a mark of the test's own in their environment."""

    def __init__(self, root: Path, engine: TestEngine) -> None:
        self._engine = engine
        self._mark = f"run-{secrets.token_hex(8)}"
        self._shared = root / "shared"
        self._shared.mkdir()
        self._shared.chmod(0o777)

    def pool(self) -> dict[str, Any]:
        return {"backend": "engine", "command": ["/bin/sh", "-c", _SCRIPT, "agent"], "network": "host"}

    def backends(self) -> dict[str, Any]:
        return {"engine": {"type": "container", "socket": self._engine.address}}

    def template(self) -> dict[str, Any]:
        mounts = [f"{m.source}:{m.target}:ro" for m in self._engine.mounts()]
        mounts.append(f"{self._engine.path(self._shared)}:/crash")
        return {"image": IMAGE, "cpu": 0.5, "memory": "64Mi", "mounts": mounts, "env": {_MARK: self._mark}}

    async def living(self) -> set[tuple[str, int]]:
        return {
            (told["Config"]["Labels"][AGENT_ID], int(told["Config"]["Labels"][ATTEMPT]))
            for told in await self._listed()
        }

    async def stop(self, agent_id: str, attempt: int) -> None:
        async with Docker(url=self._engine.address) as docker:
            for told in await self._listed():
                labels = told["Config"]["Labels"]
                if (labels[AGENT_ID], labels[ATTEMPT]) == (agent_id, str(attempt)) and told["State"]["Running"]:
                    await docker.containers.container(told["Id"]).kill()

    async def remove_all(self) -> None:
        async with Docker(url=self._engine.address) as docker:
            for told in await self._listed():
                await docker.containers.container(told["Id"]).delete(force=True, v=True)

    def starts(self) -> list[str]:
        file = self._shared / "starts"
        return file.read_text().split() if file.exists() else []

    async def _listed(self) -> list[dict[str, Any]]:
        found = []
        async with Docker(url=self._engine.address) as docker:
            for one in await docker.containers.list(all="true", filters=f'{{"label": ["{MANAGED_BY}=agentbroker"]}}'):
                try:
                    told = await one.show()
                except DockerError:  # gone meanwhile
                    continue
                if f"{_MARK}={self._mark}" in told["Config"]["Env"]:
                    found.append(told)
        return found
