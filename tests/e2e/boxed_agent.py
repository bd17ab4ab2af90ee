"""The simulated agent, whose builds have one shell step: it prints what it runs in, into a file beside the launch log.

The step is `STEP`, or what the variable BUILD_STEP says.

Started inside of a container with the options of agent.jar.
"""

import os
import subprocess
import sys
from pathlib import Path

from broker.demo import agent

STEP = """
hostname
cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max
"""


def run_step(text: str) -> None:
    """Says it, and at the start of a build runs the step."""
    print(f"INFO: {text}", flush=True)
    if text.startswith("Build ") and " runs for " in text:
        printed = Path(os.environ[agent.LAUNCH_LOG]).with_name(f"build-{text.split()[1]}.txt")
        with printed.open("w") as output:
            subprocess.run(["/bin/sh", "-c", os.environ.get("BUILD_STEP", STEP)], stdout=output, check=True)


if __name__ == "__main__":
    agent._say = run_step
    sys.exit(agent.main())
