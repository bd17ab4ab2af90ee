"""A gateway as a unit: one process that starts the workers, replaces them by a new generation, and lets them drain.

It relays nothing, so that its end cuts nobody off. A new generation starts beside the old one, at the same addresses;
only once all of it listens, and is linked where the old one is, does the old one accept nobody any more.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Final

from broker.errors import BrokerError, GatewayError
from broker.gateway.addresses import port_of
from broker.gateway.channel import Handover, line, read_handover
from broker.gateway.crew import Crew, Worker
from broker.gateway.health import Health, HealthPages
from broker.gateway.listener import Listener, listen
from broker.gateway.settings import GatewaySettings
from broker.telemetry.events import GATEWAY_DIED, GATEWAY_GENERATION_STARTED, GATEWAY_NOT_REPLACED

SIGNALS: Final = frozenset({signal.SIGHUP, signal.SIGTERM, signal.SIGINT})
"""A new generation; drain, said twice leave now; leave now."""
_STARTS_S: Final = 15.0
"""For a generation to listen, and as long again to be linked."""
_END_S: Final = 10.0
_POLL_S: Final = 0.25
_LOOK_S: Final = 0.02
_RESTART_FIRST_S: Final = 0.5
_RESTART_LAST_S: Final = 10.0
_QUIET_S: Final = 30.0
"""Workers that lived this long are started again without a growing pause."""

Read = Callable[[], GatewaySettings]
"""Raises `BrokerError`, OSError or ValueError for what cannot be used."""
Try = Callable[[], Awaitable[str]]
"""Says why a newer one of itself would not start; empty if it would."""


class Supervisor:
    """Runs a gateway until it is told to leave, or to become a newer one of itself."""

    def __init__(
        self,
        read: Read,
        would_start: Try,
        say: Callable[[str], None],
        kept: Callable[[str], None],
        *,
        beside: bool = False,
    ) -> None:
        """`say` is told where a generation listens, `kept` why the former one goes on.

        `beside` another gateway of this user, which listens at the same addresses and is about to drain.
        """
        self._read, self._would_start = read, would_start
        self._say, self._kept = say, kept
        self._beside = beside
        self._renew = self._leave = self._end = False
        self._woken = asyncio.Event()
        self._generation = 0
        self._settings: GatewaySettings | None = None
        """Of those that accept; each port that was 0 is the real one."""
        self._pages: asyncio.Task[None] | None = None
        self._pages_at = ("", 0)
        self._pause, self._restart_at = _RESTART_FIRST_S, 0.0

    async def run(self, inherited: int | None = None) -> bytes | None:
        """Returns what to leave to a newer one of itself, in whose place it is to be executed; None once all is over.

        `inherited` is a descriptor with what a former one has left. Raises as `read`, and `GatewayError`, where there
        is nothing yet that could go on. Then and in the end its signals are blocked; workers that it leaves behind, for
        a bug of it, see its end and drain.
        """
        loop, left, failure = asyncio.get_running_loop(), None, None
        for number in SIGNALS:
            loop.add_signal_handler(number, self._signalled, number)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        async with asyncio.TaskGroup() as self._group:
            try:
                self._inherit(inherited)
                await self._replace()
                left = await self._obey()
            except (BrokerError, OSError, ValueError) as error:
                failure = error
            finally:
                signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
                await asyncio.sleep(_LOOK_S)  # what it was told until now is noted
                if self._pages is not None:
                    self._pages.cancel()
        if failure is not None:
            raise failure
        if left is not None and self._leave:  # that is for the newer one, which hears it when it listens for signals
            os.kill(os.getpid(), signal.SIGINT if self._end else signal.SIGTERM)
        return left

    def _signalled(self, number: signal.Signals) -> None:
        self._renew |= number is signal.SIGHUP
        self._end |= number is signal.SIGINT or (self._leave and number is signal.SIGTERM)
        self._leave |= number is not signal.SIGHUP
        self._woken.set()

    def _inherit(self, descriptor: int | None) -> None:
        if descriptor is None:
            self._crew = Crew()
            return
        with os.fdopen(descriptor, "rb") as file:
            file.seek(0)
            handover = read_handover(file.read())
        self._generation, self._settings = handover.generation, handover.settings
        self._crew = Crew(handover.workers, handover.past.counts())

    async def _obey(self) -> bytes | None:
        while True:
            await self._wait()
            if self._end:
                await self._end_all()
                return None
            if self._leave:
                self._answer_nobody()
                for worker in self._crew.accepting:
                    worker.drain()
                if not self._crew.workers:
                    return None
            elif self._renew:
                self._renew = False
                why = await self._would_start()
                if not why and not self._leave:
                    return self._handover()
                if why:
                    self._not_replaced(why)
            else:
                self._restart()
                with suppress(GatewayError):  # beside another one it is that one's address until it drains
                    self._answer(self._settings)

    async def _wait(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_POLL_S):
                await self._woken.wait()
        self._woken.clear()
        for worker in self._crew.bury():
            if not worker.draining:
                GATEWAY_DIED.emit(pid=worker.pid, message=worker.report.failure)
                self._restart_at = max(self._restart_at, asyncio.get_running_loop().time() + self._pause)

    def _restart(self) -> None:
        """Starts what is missing of the present generation, with a growing pause."""
        settings, now, accepting = self._settings, asyncio.get_running_loop().time(), self._crew.accepting
        if settings is None or len(accepting) >= settings.processes:
            if all(now - worker.since > _QUIET_S for worker in accepting):
                self._pause = _RESTART_FIRST_S
        elif now >= self._restart_at:
            self._pause = min(2 * self._pause, _RESTART_LAST_S)
            self._restart_at = now + _POLL_S
            with suppress(GatewayError, OSError):  # it is tried again
                self._crew.start(replace(settings, http_port=None), self._generation)

    async def _replace(self) -> None:
        """Starts a new generation, after which the old one drains; where that fails the old one goes on."""
        old = self._crew.accepting
        try:
            settings = await self._placed(self._read())
            new = await self._started(settings, old)
        except (BrokerError, OSError, ValueError) as error:
            if not old:
                raise
            with suppress(BrokerError):
                self._answer(self._settings)
            self._not_replaced(str(error))
            return
        self._settings = settings
        for worker in old:
            worker.drain()
        if not self._leave:
            told = {"generation": self._generation, "pids": [worker.pid for worker in new], "replaced": len(old)}
            GATEWAY_GENERATION_STARTED.emit(**told)
            self._say(new[0].report.listen)

    def _not_replaced(self, why: str) -> None:
        GATEWAY_NOT_REPLACED.emit(message=why)
        self._kept(why)

    async def _placed(self, settings: GatewaySettings) -> GatewaySettings:
        """Settings with addresses that are free, or ours already. Raises `GatewayError`."""
        had = self._settings
        if had is None and self._beside:
            return replace(settings, shares_ports=True)
        self._answer(settings)
        listens = None if had is None else (had.listen_host, had.listen_port)
        port = await port_of((settings.listen_host, settings.listen_port), listens)
        placed = replace(settings, listen_port=port, shares_ports=True)
        if settings.tcp_port is not None:
            tcp = None if had is None or had.tcp_port is None else (had.tcp_host, had.tcp_port)
            placed = replace(placed, tcp_port=await port_of((settings.tcp_host, settings.tcp_port), tcp))
        return placed

    async def _started(self, settings: GatewaySettings, old: tuple[Worker, ...]) -> list[Worker]:
        """A generation as good as the old one; less if it was told to leave meanwhile. Raises `GatewayError`."""
        self._generation += 1
        workers: list[Worker] = []
        try:
            for _ in range(settings.processes):
                workers.append(self._crew.start(replace(settings, http_port=None), self._generation))
            await self._until(lambda one: one.listens, workers, "does not listen")
            if any(worker.report.up for worker in old):
                await self._until(lambda one: one.report.up, workers, "has no link to the control plane")
        except (GatewayError, OSError):
            for worker in workers:
                worker.drain()
            raise
        return workers

    async def _until(self, good: Callable[[Worker], bool], workers: list[Worker], lacks: str) -> None:
        until = asyncio.get_running_loop().time() + _STARTS_S
        while not all(map(good, workers)) and not self._leave:
            for worker in workers:
                if not worker.alive():
                    worker.hear()
                    raise GatewayError(worker.report.failure or f"the gateway's process {worker.pid} has ended at once")
            if asyncio.get_running_loop().time() > until:
                raise GatewayError(f"the new gateway {lacks} within {_STARTS_S:g} s")
            await asyncio.sleep(_LOOK_S)

    def _answer(self, settings: GatewaySettings | None) -> None:
        """Answers whoever watches, where the settings say. Raises `GatewayError`."""
        port = settings.http_port if settings is not None else None
        at = (settings.http_host, port or 0) if settings is not None and port is not None else ("", 0)
        if settings is None or at == self._pages_at:
            return
        listener: Listener | None = None
        if port is not None:
            pages = HealthPages(settings.limits, self._health)
            listener = Listener(listen(*at), None, settings.limits, pages.serve)
        if self._pages is not None:
            self._pages.cancel()
        self._pages_at = at
        self._pages = self._group.create_task(listener.run(), name="gateway:pages") if listener else None

    def _answer_nobody(self) -> None:
        """Leaves the address to the gateway that takes its place, which has hours to wait for the last session here."""
        if self._pages is not None:
            self._pages.cancel()
        self._pages, self._pages_at = None, ("", 0)

    def _health(self) -> Health:
        accepting = self._crew.accepting
        return Health(
            up=all(worker.report.up for worker in accepting),
            counts=self._crew.counts(),
            accepting=len([worker for worker in accepting if worker.listens]),
            draining=sum(worker.report.sessions for worker in self._crew.workers if worker.draining),
        )

    def _handover(self) -> bytes:
        assert self._settings is not None
        left = tuple(worker.left() for worker in self._crew.workers)
        return line(Handover(generation=self._generation, settings=self._settings, workers=left, past=self._crew.past))

    async def _end_all(self) -> None:
        """Ends all workers, with what their sessions have pending delivered; by force after some seconds."""
        for number in (signal.SIGINT, signal.SIGKILL):
            for worker in self._crew.workers:
                worker.tell(number)
            until = asyncio.get_running_loop().time() + _END_S
            while self._crew.workers and asyncio.get_running_loop().time() < until:
                self._crew.bury()
                await asyncio.sleep(_LOOK_S)
