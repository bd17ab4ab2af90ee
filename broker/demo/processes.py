"""The servers of a demo, as child processes that are known by their pid and end with it."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from broker.errors import BrokerError


class DemoFailed(BrokerError):
    """The demo cannot go on; its message says what happened, with the last words of the process concerned."""


class Child:
    """One server with its workers: a process group, so that Ctrl-C at a terminal reaches only who cleans up."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str],
        ends_by: signal.Signals = signal.SIGTERM,
    ) -> None:
        """Starts it; everything it prints is appended to `log`."""
        self.name, self.log = name, log
        self._ends_by = ends_by
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process id, and that of its group."""
        return self._process.pid

    def check(self) -> None:
        """Raises DemoFailed if it has ended by itself."""
        code = self._process.poll()
        if code is not None:
            last = "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])
            raise DemoFailed(f"{self.name} ended with {code}; it said:\n{last}")

    def wait_until(self, ready: Callable[[], bool], *, seconds: float) -> None:
        """Returns once `ready()` is true; raises DemoFailed when it ends before, or after that time."""
        deadline = time.monotonic() + seconds
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                raise DemoFailed(f"{self.name} was not ready within {seconds:g} s; see {self.log}")
            time.sleep(0.05)

    def stop(self, *, grace_s: float = 10.0) -> None:
        """Asks it to end, and kills it after the grace; one that has ended is a success."""
        self._process.send_signal(self._ends_by)
        try:
            self._process.wait(grace_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """kill -9 of all its processes, and waits for its end."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
