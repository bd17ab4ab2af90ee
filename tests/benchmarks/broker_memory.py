"""A broker in a process of its own, which tells how much memory it has.

    python -m tests.benchmarks.broker_memory CONFIG

Says `serving`, waits for a line on its input, and tells as JSON its resident memory and how many modules of Alibaba
Cloud's SDK it has imported.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Final

from broker.app import Wiring, running_broker
from broker.config.load import load
from broker.telemetry import log

_SDK: Final = ("alibabacloud", "darabonba")


async def main(config: str) -> None:
    """Runs until it has told."""
    log.configure("console", "warning", sys.stderr)
    async with running_broker(load(config), Wiring()):
        print("serving", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        lines = Path("/proc/self/status").read_text().splitlines()
        kib = next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
        modules = sum(name.startswith(_SDK) for name in sys.modules)
        print(json.dumps({"rss_mib": round(kib / 1024, 1), "modules": modules}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
