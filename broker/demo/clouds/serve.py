"""`python -m broker.demo.clouds.serve`: a fake of AWS in a process of its own, whose tasks are processes here.

With a block of addresses it is also one of Alibaba Cloud, whose instances are virtual machines.

It writes `fake-alibaba.json` and `fake-aws.json` into its directory once it serves, and ends on SIGTERM with all that
it runs.
"""

import argparse
import asyncio
import signal
import sys
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Final

from broker.clock import SystemClock
from broker.demo.clouds.aws import FakeAws
from broker.demo.clouds.control import controlled
from broker.demo.clouds.ecs.knobs import Timing
from broker.demo.clouds.processes import Processes
from broker.demo.clouds.remote import CLUSTER, LOG_GROUP, REGION
from broker.demo.clouds.runner import running_tasks
from broker.demo.clouds.serving import serving

QUICK: Final = Timing(
    provisioning_s=(0.2, 0.5), pending_s=(0.3, 0.8), activating_s=0.1, stopping_s=0.1, deprovisioning_s=(0.1, 0.3)
)
"""Times for people who watch: seconds where the cloud takes half a minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machines:
    """What Alibaba Cloud is to be."""

    block: IPv4Network
    port: int
    java: str


async def serve(
    root: Path, agent: list[str], keys: tuple[str, str], port: int = 0, machines: Machines | None = None
) -> None:
    """Serves until SIGTERM or SIGINT; one key pair opens both clouds."""
    over = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    fake = FakeAws(SystemClock(), region=REGION, access_key=keys[0], secret_key=keys[1])
    fake.ecs.timing = QUICK
    fake.ecs.add_cluster(CLUSTER)
    fake.logs.create_group(LOG_GROUP)
    async with (
        _alibaba(root, keys, machines),
        serving(fake, port) as url,
        Processes(root / "tasks", agent) as processes,
        running_tasks(fake, processes),
        controlled(fake, url, root),
    ):
        await over.wait()


def _alibaba(root: Path, keys: tuple[str, str], machines: Machines | None) -> AbstractAsyncContextManager[None]:
    if machines is None:
        return nullcontext()
    from broker.demo.clouds.machines import running_alibaba  # noqa: PLC0415  # its SDK may not be there

    log = root / "launches.log"
    log.touch()
    return running_alibaba(
        root, block=machines.block, keys=keys, port=machines.port, written=(log,), java=machines.java
    )


def main() -> None:
    """Reads the arguments; what follows `--` is the command that stands for `java -jar agent.jar`."""
    parser = argparse.ArgumentParser(prog="python -m broker.demo.clouds.serve")
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--access-key-file", type=Path, required=True)
    parser.add_argument("--secret-key-file", type=Path, required=True)
    parser.add_argument("--block", type=IPv4Network, help="addresses of Alibaba Cloud's machines; without it none")
    parser.add_argument("--alibaba-port", type=int, default=0)
    parser.add_argument("--machine-java", default="", help="runs agent.jar there; without it the simulated agent")
    parser.add_argument("agent", nargs="*", default=[sys.executable, "-m", "broker.demo.agent"])
    said = parser.parse_args()
    keys = (said.access_key_file.read_text().strip(), said.secret_key_file.read_text().strip())
    machines = Machines(block=said.block, port=said.alibaba_port, java=said.machine_java) if said.block else None
    asyncio.run(serve(said.root, said.agent, keys, said.port, machines))


if __name__ == "__main__":
    main()
