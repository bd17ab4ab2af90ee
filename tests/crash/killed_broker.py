"""Control planes that kill themselves at a point, without a word to anybody: each a process of its own.

    python -m tests.crash.killed_broker CONFIG

Each line on stdin, a list of WRITE, COLUMN and AGENT in JSON, or an empty one, starts a broker by fork, which saves the
two seconds that the imports take. All is real in it but the two seams at which the point stands. Says `pid N`, then
`port N` when it serves gRPC, and `ended CODE` when it is no more.
"""

import asyncio
import json
import os
import signal
import sys
from typing import NoReturn

from broker.app import Wiring, running_broker
from broker.config.load import load
from broker.reconcile.loop import Pace
from broker.telemetry import log
from tests.crash.points import Column, FailPoints, Point

PACE = Pace(poll_s=0.1, orphans_s=0.5)


def _kill() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("nobody lives on after this")


async def _run(config_file: str, point: Point | None) -> None:
    log.configure("console", "info", sys.stderr)
    points = FailPoints(point, kill=_kill)
    wiring = Wiring(pace=PACE, around_database=points.database, around_backend=points.backend)
    async with running_broker(load(config_file), wiring) as broker:
        print("port", broker.grpc_port, flush=True)
        await asyncio.Event().wait()


def main(config_file: str) -> None:
    """One broker a line, one after the other."""
    for line in sys.stdin:
        words = json.loads(line)
        if (pid := os.fork()) == 0:
            asyncio.run(_run(config_file, Point(words[0], Column(words[1]), words[2]) if words else None))
        print("pid", pid, flush=True)
        print("ended", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
