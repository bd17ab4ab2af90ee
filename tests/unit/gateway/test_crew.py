"""The workers of a gateway as their supervisor sees them."""

import asyncio
import os
import resource
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from broker.gateway.crew import Worker
from broker.gateway.sockets import process_started


@contextmanager
def no_descriptor_is_free() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(one.name) for one in Path("/proc/self/fd").iterdir())
    taken = [os.dup(0) for _ in range(highest + 1)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(taken) + 1, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in taken:
            os.close(descriptor)


async def test_a_worker_that_nobody_can_look_at_now_is_not_taken_for_dead() -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "import time; time.sleep(60)")
    ours, its = socket.socketpair()
    with ours, its:
        worker = Worker(pid=process.pid, started=process_started(process.pid) or 0, generation=1, channel=ours)
        with no_descriptor_is_free():
            assert worker.alive()
        process.kill()
        await process.wait()
        assert not worker.alive()
