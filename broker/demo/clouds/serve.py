"""`python -m broker.demo.clouds.serve`: a fake of AWS in a process of its own, whose tasks are processes here.

It writes `fake-aws.json` into its directory once it serves, and ends on SIGTERM with all that it runs.
"""

import argparse
import asyncio
import signal
import sys
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


async def serve(root: Path, agent: list[str], keys: tuple[str, str], port: int = 0) -> None:
    """Serves until SIGTERM or SIGINT."""
    over = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    fake = FakeAws(SystemClock(), region=REGION, access_key=keys[0], secret_key=keys[1])
    fake.ecs.timing = QUICK
    fake.ecs.add_cluster(CLUSTER)
    fake.logs.create_group(LOG_GROUP)
    async with (
        serving(fake, port) as url,
        Processes(root / "tasks", agent) as processes,
        running_tasks(fake, processes),
        controlled(fake, url, root),
    ):
        await over.wait()


def main() -> None:
    """Reads the arguments; what follows `--` is the command that stands for `java -jar agent.jar`."""
    parser = argparse.ArgumentParser(prog="python -m broker.demo.clouds.serve")
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--access-key-file", type=Path, required=True)
    parser.add_argument("--secret-key-file", type=Path, required=True)
    parser.add_argument("agent", nargs="*", default=[sys.executable, "-m", "broker.demo.agent"])
    said = parser.parse_args()
    keys = (said.access_key_file.read_text().strip(), said.secret_key_file.read_text().strip())
    asyncio.run(serve(said.root, said.agent, keys, said.port))


if __name__ == "__main__":
    main()
