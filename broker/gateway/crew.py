"""The workers of a gateway as their supervisor has them: started by exec, heard over sockets, told by signals."""

import asyncio
import os
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from broker.errors import GatewayError
from broker.gateway.channel import Inherited, Order, Report, line, read_report
from broker.gateway.link import Counts
from broker.gateway.memory import ENVIRONMENT
from broker.gateway.settings import GatewaySettings
from broker.gateway.sockets import process_started
from broker.telemetry.readings import GatewayCounts, total

_MODULE: Final = "broker.gateway.worker"


@dataclass(slots=True, kw_only=True, eq=False)
class Worker:
    """One process, told from a later one of the same pid by its start time."""

    pid: int
    started: int
    generation: int
    channel: socket.socket = field(repr=False)
    draining: bool = False
    """Told to accept nobody any more."""
    report: Report = field(default_factory=Report)
    """The last one; without `listen` it has not said yet that it listens."""
    since: float = 0.0
    """In the loop's time."""
    _unread: bytearray = field(default_factory=bytearray, repr=False)

    @property
    def listens(self) -> bool:
        """Whether it has said so."""
        return bool(self.report.listen)

    def alive(self) -> bool:
        """Whether the process runs; one that has ended is reaped."""
        with suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)
        try:
            return process_started(self.pid) == self.started
        except OSError:  # no descriptor is free: nobody can say, and it is told again soon
            return True

    def drain(self) -> None:
        """Has it accept nobody any more, and leave with its last session. Safe to repeat."""
        self.draining = True
        self.tell(signal.SIGTERM)

    def tell(self, number: signal.Signals) -> None:
        """Sends a signal; nothing to a process that has ended."""
        if self.alive():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def hear(self) -> None:
        """Reads what there is."""
        try:
            while data := self.channel.recv(65536):
                self._unread += data
                *lines, rest = self._unread.split(b"\n")
                self._unread = rest
                for one in lines:
                    self.report = read_report(bytes(one)) or self.report
            asyncio.get_running_loop().remove_reader(self.channel)  # it has ended, or is about to
        except BlockingIOError:
            pass
        except OSError:
            asyncio.get_running_loop().remove_reader(self.channel)

    def left(self) -> Inherited:
        """What the next supervisor needs to go on with it, whose the descriptor is now: it outlives an exec."""
        asyncio.get_running_loop().remove_reader(self.channel)
        self.channel.set_inheritable(True)
        descriptor = self.channel.detach()
        return Inherited(
            pid=self.pid,
            started=self.started,
            generation=self.generation,
            descriptor=descriptor,
            draining=self.draining,
            report=self.report,
        )


class Crew:
    """All workers that live, and what those have counted that are no more."""

    def __init__(self, inherited: tuple[Inherited, ...] = (), past: GatewayCounts | None = None) -> None:
        """Goes on with those of a former supervisor of this process. Within a running loop."""
        self._past = past or GatewayCounts()
        self._workers: list[Worker] = []
        for one in inherited:
            channel = socket.socket(fileno=one.descriptor)
            channel.set_inheritable(False)
            worker = self._take(channel, one.pid, one.started, one.generation)
            worker.draining, worker.report = one.draining, one.report

    def start(self, settings: GatewaySettings, generation: int) -> Worker:
        """Starts one more; it says by its reports whether it listens. Raises `GatewayError`."""
        ours, its = socket.socketpair()
        try:
            its.set_inheritable(True)
            command = [sys.executable, "-m", _MODULE, str(its.fileno())]
            pid = os.posix_spawn(sys.executable, command, {**ENVIRONMENT, **os.environ}, setsigmask=())
        except OSError as error:
            ours.close()
            raise GatewayError(f"a gateway process cannot be started: {error}") from error
        finally:
            its.close()
        worker = self._take(ours, pid, process_started(pid) or 0, generation)
        order = line(Order(generation=generation, settings=settings))
        worker.channel.setblocking(True)
        worker.channel.settimeout(5.0)
        with suppress(OSError):  # it has ended: that is seen
            worker.channel.sendall(order)
        worker.channel.setblocking(False)
        return worker

    def _take(self, channel: socket.socket, pid: int, started: int, generation: int) -> Worker:
        channel.setblocking(False)
        loop = asyncio.get_running_loop()
        worker = Worker(pid=pid, started=started, generation=generation, channel=channel, since=loop.time())
        loop.add_reader(channel, worker.hear)
        self._workers.append(worker)
        return worker

    @property
    def workers(self) -> tuple[Worker, ...]:
        """Those that were alive at the last `bury`, in the order of their start."""
        return tuple(self._workers)

    @property
    def accepting(self) -> tuple[Worker, ...]:
        """Those that were not told to drain."""
        return tuple(worker for worker in self._workers if not worker.draining)

    def bury(self) -> tuple[Worker, ...]:
        """Those that have ended since the last time; their last counts are kept."""
        dead = tuple(worker for worker in self._workers if not worker.alive())
        for worker in dead:
            worker.hear()
            asyncio.get_running_loop().remove_reader(worker.channel)
            worker.channel.close()
            self._workers.remove(worker)
            self._past = total([self._past, worker.report.counts.counts().ended()])
        return dead

    @property
    def past(self) -> Counts:
        """What those have counted that are no more."""
        return Counts.of(self._past)

    def counts(self) -> GatewayCounts:
        """The sum over all, past ones included."""
        return total([self._past, *(worker.report.counts.counts() for worker in self._workers)])
