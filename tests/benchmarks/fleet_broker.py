"""A control plane in a process of its own over a cloud that lives in a file, as a cloud does when the broker dies.

    python -m tests.benchmarks.fleet_broker CONFIG LEDGER

Says `serving PORT` when it serves gRPC, and `reconciled N` when every instance of the file has been looked at and no
agent waits for a look.
"""

import asyncio
import json
import sys
from pathlib import Path

from broker.app import Broker, Wiring, running_broker
from broker.config.load import load
from broker.domain.ids import AgentId, BackendName, InstanceRef
from broker.domain.instance import Instance, InstanceState
from broker.ports import LaunchSpec
from broker.reconcile.loop import AgentQueue
from broker.telemetry import log
from broker.testing.backend import FakeBackend


class FileBackend(FakeBackend):
    """Adds a line for each instance that it makes; what was made before exists from the start."""

    def __init__(self, file: Path) -> None:
        """Reads the file."""
        super().__init__()
        self._file = file
        for line in file.read_text().splitlines() if file.exists() else ():
            ref, agent_id, attempt, _ = json.loads(line)
            self.ledger.instances[ref] = Instance(
                ref=ref, state=InstanceState.RUNNING, agent_id=AgentId(agent_id), attempt=attempt
            )

    async def launch(self, spec: LaunchSpec) -> InstanceRef:
        """Makes it as the fake does, and notes it."""
        ref = await super().launch(spec)
        with self._file.open("a") as file:
            file.write(json.dumps([ref, spec.key.agent_id, spec.key.attempt, spec.name]) + "\n")
        return ref


async def _tell_when_reconciled(broker: Broker, backend: FileBackend) -> None:
    expected = len(backend.ledger.instances)
    queue = broker.ctx.nudge
    assert isinstance(queue, AgentQueue)
    while len(broker.ctx.seen) < expected or queue.keys.pending() or not broker.ctx.sessions.known():  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    print("reconciled", expected, flush=True)


async def main(config_file: str, ledger: str) -> None:
    """Runs until it is killed."""
    log.configure("console", "warning", sys.stderr)
    backend = FileBackend(Path(ledger))
    async with running_broker(load(config_file), Wiring(backends={BackendName("process"): backend})) as broker:
        print("serving", broker.grpc_port, flush=True)
        await _tell_when_reconciled(broker, backend)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
