"""A control plane in a process of its own: all real, but for a backend that notes when it is asked to launch.

    python -m tests.benchmarks.recording_broker CONFIG

Says its gRPC port in the first line on stdout. Each line on stdin is answered with one object: `launches` since the
last line, by agent's name in monotonic nanoseconds (one clock for all processes of a machine), and how many `instances`
exist. It stops where stdin ends.
"""

import asyncio
import json
import sys
import time

from broker.app import Wiring, running_broker
from broker.config.load import load
from broker.domain.ids import BackendName, InstanceRef
from broker.ports import LaunchSpec
from broker.telemetry import log
from broker.testing.backend import FakeBackend


class RecordingBackend(FakeBackend):
    """Notes the moment of each call of `launch`, before anything else."""

    def __init__(self) -> None:
        """Without bound or misbehaviour."""
        super().__init__()
        self.launches: dict[str, int] = {}

    async def launch(self, spec: LaunchSpec) -> InstanceRef:
        """Notes, then launches as the fake does."""
        self.launches.setdefault(spec.name, time.monotonic_ns())
        return await super().launch(spec)

    def take(self) -> dict[str, object]:
        """What is told for a line."""
        taken, self.launches = self.launches, {}
        return {"launches": taken, "instances": len(self.ledger.instances)}


async def main(config_file: str) -> None:
    """Runs until stdin ends."""
    log.configure("console", "warning", sys.stderr)
    backend = RecordingBackend()
    async with running_broker(load(config_file), Wiring(backends={BackendName("process"): backend})) as broker:
        print(broker.grpc_port, flush=True)
        asked = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(asked)
        await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
        while await asked.readline():
            print(json.dumps(backend.take()), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
