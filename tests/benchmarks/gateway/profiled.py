"""A gateway without a supervisor, with a profile of what it does between two SIGUSR1: `python -m … FILE SETTINGS`."""

import asyncio
import cProfile
import signal
import sys
from pathlib import Path

from broker.gateway.process import Gateway
from broker.gateway.settings import GatewaySettings
from broker.telemetry.log import configure


async def run(file: str, settings: str) -> None:
    """Until it is killed; the profile is in the file after the second signal."""
    read = GatewaySettings.read(Path(settings))
    configure(read.log_format, read.log_level)
    profile = cProfile.Profile()
    runs = False

    def switch() -> None:
        nonlocal runs
        runs = not runs
        if runs:
            profile.enable()
        else:
            profile.disable()
            profile.dump_stats(file)

    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, switch)
    await Gateway(read).run()


if __name__ == "__main__":
    asyncio.run(run(*sys.argv[1:]))
