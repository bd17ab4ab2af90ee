"""A `ContainerBackend` on a real engine, whose agents are small shell scripts in the tiny image."""

import asyncio
import hashlib
import hmac
import json
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from aiodocker import Docker

from broker.backends.container.backend import ContainerBackend
from broker.backends.container.engine import Engine
from broker.backends.container.ownership import INSTALLATION, Ownership
from broker.clock import SystemClock
from broker.domain.ids import BackendName, InstanceRef
from broker.domain.instance import Instance, InstanceState
from broker.domain.pool import Pool
from broker.domain.resources import Resources
from broker.domain.template import Template
from broker.ports import LaunchSpec
from broker.testing.factories import make_pool, make_spec, make_template
from tests.podman import IMAGE, TestEngine

AGENT = """
while [ ! -e "/rig/$JENKINS_AGENT_NAME.stop" ]; do sleep 0.05; done
cat "/rig/$JENKINS_AGENT_NAME.stop"
exit "$(cat "/rig/$JENKINS_AGENT_NAME.code")"
"""
"""Ends when told by a file in the directory that it shares with the test."""


class ContainerRig:
    """With an installation id of its own, so that nothing else of the engine is seen."""

    def __init__(self, engine: TestEngine, shared: Path) -> None:
        self.engine = engine
        self.shared = shared
        shared.mkdir(exist_ok=True)
        shared.chmod(0o777)
        self.installation = uuid.uuid4().hex
        self.key = uuid.uuid4().bytes
        self.docker = Docker(url=engine.address)
        self.backend = self.open()

    def open(self, address: str | None = None, kind: type[Engine] = Engine) -> ContainerBackend:
        """Another backend of the same broker; `kind` is an engine that misbehaves."""
        engine = kind(BackendName("container"), address or self.engine.address)
        return ContainerBackend(engine, Ownership(self.installation, self.sign), SystemClock())

    def sign(self, text: str) -> str:
        return hmac.new(self.key, text.encode(), hashlib.sha256).hexdigest()

    def spec(self, n: int = 1, attempt: int = 1) -> LaunchSpec:
        return self.spec_of(["/bin/sh", "-c", AGENT, "agent"], n, attempt)

    def spec_of(self, command: Sequence[str], n: int = 1, attempt: int = 1, **options: Any) -> LaunchSpec:
        """A launch of `command`, which gets agent.jar's options; none is the image's own entrypoint."""
        pool = make_pool(options={"command": list(command) or None, "network": "host", **options})
        return make_spec(n, attempt, pool=pool, template=self.template())

    def template(self, **changes: Any) -> Template:
        shared = self.engine.mounts()
        rig = replace(shared[0], source=self.engine.path(self.shared), target="/rig", read_only=False)
        small = Resources(cpu_milli=500, memory_mib=64)
        return make_template(**{"image": IMAGE, "resources": small, "mounts": (*shared, rig), **changes})

    def pool(self, **options: Any) -> Pool:
        return make_pool(options={"network": "host", **options})

    async def reopen(self) -> ContainerBackend:
        await self.backend.close()
        self.backend = self.open()
        return self.backend

    async def stop_instance(self, ref: InstanceRef, *, exit_code: int, lines: Sequence[str]) -> None:
        agent = ref.rsplit("-", 2)[0]
        (self.shared / f"{agent}.code").write_text(str(exit_code))
        written = self.shared / f"{agent}.new"
        written.write_text("".join(f"{line}\n" for line in lines))
        written.rename(self.shared / f"{agent}.stop")

    async def listed(self) -> list[dict[str, Any]]:
        """All containers of this rig as the engine shows them, asked without the backend."""
        filters = json.dumps({"label": [f"{INSTALLATION}={self.installation}"]})
        return [await container.show() for container in await self.docker.containers.list(all="true", filters=filters)]

    async def count_running(self) -> int:
        return sum(bool(told["State"]["Running"]) for told in await self.listed())

    async def let_time_pass(self) -> None:
        await asyncio.sleep(0.05)

    async def instance(self, ref: InstanceRef) -> Instance | None:
        return (await self.backend.describe([ref])).get(ref)

    async def wait_for(self, ref: InstanceRef, state: InstanceState) -> Instance:
        seen: Instance | None = None
        for _ in range(400):
            if (seen := await self.instance(ref)) is not None and seen.state is state:
                return seen
            await self.let_time_pass()
        raise AssertionError(f"{ref} is not {state}: {seen}")

    async def run(self, spec: LaunchSpec) -> Instance:
        """Launches and waits for the end; the container stays to be read."""
        return await self.wait_for(await self.backend.launch(spec), InstanceState.STOPPED)

    async def show(self, ref: InstanceRef) -> dict[str, Any]:
        return await self.docker.containers.container(ref).show()

    async def volumes(self) -> set[str]:
        """The names of all volumes of the engine."""
        told: dict[str, Any] = await self.docker.volumes.list()  # type: ignore[no-untyped-call]  # aiodocker has none
        return {volume["Name"] for volume in told["Volumes"] or []}

    async def close(self) -> None:
        """Removes what there is, as a person would."""
        for told in await self.listed():
            await self.docker.containers.container(told["Id"]).delete(force=True, v=True)
        await self.docker.close()
        await self.backend.close()
