"""A control plane in a process of its own: all real, but for a backend that notes when it is asked to launch.

    python -m tests.benchmarks.recording_broker CONFIG

Says its gRPC port in the first line on stdout. Each line on stdin is answered with one object: `launches` and `gone`
since the last line, by agent's name in monotonic nanoseconds (one clock for all processes of a machine), and how many
`instances` exist. The line `profile` does the same and begins a profile; the next one of these tells it on stderr.
After the line `die` nothing of the backend `hanging` gets an answer, until `revive`. It stops where stdin ends.
"""

import asyncio
import cProfile
import json
import pstats
import sys
import time
from collections.abc import Mapping, Sequence

from broker.app import Wiring, running_broker
from broker.config.load import load
from broker.domain.ids import BackendName, InstanceRef
from broker.domain.instance import Instance, LaunchKey, Listing
from broker.domain.offer import Offer
from broker.domain.pool import Pool
from broker.domain.reason import Reason
from broker.errors import BackendRejected
from broker.ports import LaunchSpec
from broker.telemetry import log
from broker.testing.backend import FakeBackend

_PROFILED: int = 45
"""Functions that are told of."""


class RecordingBackend(FakeBackend):
    """Notes the moment of each call of `launch`, before anything else, and when it first said that one is gone."""

    def __init__(self) -> None:
        """Without bound or misbehaviour."""
        super().__init__()
        self.launches: dict[str, int] = {}
        self.gone: dict[str, int] = {}
        self._told_gone: set[InstanceRef] = set()

    async def launch(self, spec: LaunchSpec) -> InstanceRef:
        """Notes, then launches as the fake does."""
        self.launches.setdefault(spec.name, time.monotonic_ns())
        return await super().launch(spec)

    async def describe(self, refs: Sequence[InstanceRef]) -> Mapping[InstanceRef, Instance]:
        """As the fake does, then notes."""
        found = await super().describe(refs)
        for ref in refs:
            if ref not in found and ref not in self._told_gone:
                self._told_gone.add(ref)
                self.gone[self.ledger.made[ref].name] = time.monotonic_ns()
        return found

    def take(self) -> dict[str, object]:
        """What is told for a line."""
        launches, self.launches = self.launches, {}
        gone, self.gone = self.gone, {}
        return {"launches": launches, "gone": gone, "instances": len(self.ledger.instances)}


class MortalBackend(FakeBackend):
    """Once it has died no call is answered, and what waits for an answer gets one when it lives again."""

    def __init__(self) -> None:
        """Alive."""
        super().__init__()
        self.alive = asyncio.Event()
        self.alive.set()

    async def offers(self, pool: Pool) -> Sequence[Offer]:
        """As the fake does, while it lives."""
        await self.alive.wait()
        return await super().offers(pool)

    async def launch(self, spec: LaunchSpec) -> InstanceRef:
        """As the fake does, while it lives."""
        await self.alive.wait()
        return await super().launch(spec)

    async def locate(self, key: LaunchKey) -> InstanceRef | None:
        """As the fake does, while it lives."""
        await self.alive.wait()
        return await super().locate(key)

    async def describe(self, refs: Sequence[InstanceRef]) -> Mapping[InstanceRef, Instance]:
        """As the fake does, while it lives."""
        await self.alive.wait()
        return await super().describe(refs)

    async def terminate(self, ref: InstanceRef) -> None:
        """As the fake does, while it lives."""
        await self.alive.wait()
        await super().terminate(ref)

    async def list_owned(self) -> Listing:
        """As the fake does, while it lives."""
        await self.alive.wait()
        return await super().list_owned()


class _Profile:
    """Begun and told in turn."""

    def __init__(self) -> None:
        self._profile: cProfile.Profile | None = None

    def switch(self) -> None:
        if self._profile is None:
            self._profile = cProfile.Profile()
            self._profile.enable()
            return
        self._profile.disable()
        pstats.Stats(self._profile, stream=sys.stderr).sort_stats("tottime").print_stats(_PROFILED)
        self._profile = None


async def main(config_file: str) -> None:
    """Runs until stdin ends."""
    log.configure("console", "error", sys.stderr)
    backend, mortal, refusing, profile = RecordingBackend(), MortalBackend(), FakeBackend(), _Profile()
    refusing.down = BackendRejected("AccessDenied", "not allowed", Reason.ACCESS_DENIED)
    backends = {"process": backend, "hanging": mortal, "refusing": refusing}
    wiring = Wiring(backends={BackendName(name): one for name, one in backends.items()})
    async with running_broker(load(config_file), wiring) as broker:
        print(broker.grpc_port, flush=True)
        asked = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(asked)
        await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
        while line := await asked.readline():
            if line == b"profile\n":
                profile.switch()
            elif line == b"die\n":
                mortal.alive.clear()
            elif line == b"revive\n":
                mortal.alive.set()
            print(json.dumps(backend.take() | {"mortal": len(mortal.ledger.instances)}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
