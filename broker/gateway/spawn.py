"""Starts the gateway that plain `serve` brings along: a process of its own that outlives a killed control plane."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from broker.errors import GatewayError
from broker.gateway.sockets import process_started
from broker.ports import Clock
from broker.telemetry.events import GATEWAY_ADOPTED, GATEWAY_DIED, GATEWAY_NOT_REPLACED

LISTENS: Final = "gateway listens on"
"""What `agentbroker gateway` says once agents can connect, at each new generation."""
KEPT: Final = "the former gateway goes on:"
"""What it says, with why, when there is no new one."""
_LISTENS_S: Final = 15.0
_REPLACED_S: Final = 100.0
"""Beyond what a gateway takes to see that it cannot be replaced."""
_POLL_S: Final = 0.25
_STOP_S: Final = 12.0
_RESTART_FIRST_S: Final = 0.5
_RESTART_LAST_S: Final = 10.0
_QUIET_S: Final = 30.0
"""A gateway that lived this long is started again without a growing pause."""
_MAX_LOG: Final = 16 * 1024 * 1024
_LONGEST: Final = 2000
_MOST_READ: Final = 1024 * 1024
"""Of the log, for what the gateway has said: thousands of agents that come in meanwhile are told of there too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Child:
    """A process, told from a later one of the same pid by its start time, and what it was started for."""

    pid: int
    started: int
    fingerprint: str

    def alive(self) -> bool:
        return process_started(self.pid) == self.started


class GatewayProcess:
    """One gateway: its supervisor, found again after a restart by pid and start time in `gateway.json` of `state_dir`.

    Its output goes to `gateway.log` there: a pipe would break with the control plane.
    """

    def __init__(self, state_dir: Path, arguments: Sequence[str], clock: Clock, fingerprint: str = "") -> None:
        """`arguments` follow `python -m broker`. A gateway of another fingerprint is told to replace itself."""
        self._file = state_dir / "gateway.json"
        self._log = state_dir / "gateway.log"
        self._arguments = tuple(arguments)
        self._clock = clock
        self._fingerprint = self._tried = fingerprint
        self._child: _Child | None = None
        self._popen: subprocess.Popen[bytes] | None = None
        self._log_size = 0

    @property
    def pid(self) -> int | None:
        """The gateway's process id."""
        return self._child.pid if self._child else None

    def alive(self) -> bool:
        """Whether the gateway runs."""
        if self._popen is not None:
            self._popen.poll()  # or it stays a zombie
        return self._child is not None and self._child.alive()

    async def start_or_adopt(self) -> None:
        """Leaves one gateway running, which listens unless the machine is slow. Safe to repeat.

        Raises `GatewayError` with the gateway's own words if none can be started. One of another fingerprint starts a
        new generation beside its old one, whose sessions go on; if that fails, the old one goes on as it was.
        """
        former = self._read()
        if former is not None and former.alive():
            self._child = former
            if former.fingerprint != self._fingerprint:
                await self._replace(former)
            GATEWAY_ADOPTED.emit(pid=former.pid)
            return
        self._start()
        until = self._clock.monotonic() + _LISTENS_S
        while self._said(LISTENS) is None and self._clock.monotonic() < until:
            if not self.alive():
                self._forget()
                raise GatewayError(f"the gateway has ended at once: {self._last_line()}")
            await self._clock.sleep_until(self._clock.monotonic() + 0.05)

    def renew(self, fingerprint: str) -> None:
        """Has the gateway replaced while it is supervised, if that is another fingerprint than its own."""
        self._fingerprint = fingerprint

    async def _follow(self, child: _Child) -> None:
        """Replaces a gateway that was started for something else; tries that once."""
        self._tried = self._fingerprint
        try:
            await self._replace(child)
        except GatewayError as error:
            GATEWAY_NOT_REPLACED.emit(message=str(error), log=str(self._log))

    async def _replace(self, former: _Child) -> None:
        wanted = self._fingerprint  # which may be another one when this is done
        self._log_size = self._log.stat().st_size if self._log.exists() else 0
        os.kill(former.pid, signal.SIGHUP)
        until = self._clock.monotonic() + _REPLACED_S
        while self._said(LISTENS) is None:
            if (why := self._said(KEPT)) is not None:
                raise GatewayError(f"the gateway was not replaced: {why}")
            if not self.alive() or self._clock.monotonic() > until:
                raise GatewayError(f"the gateway was not replaced: {self._last_line()}")
            await self._clock.sleep_until(self._clock.monotonic() + 0.05)
        self._keep(replace(former, fingerprint=wanted))

    async def supervise(self) -> None:
        """Starts the gateway again whenever it has died, until cancelled."""
        pause = _RESTART_FIRST_S
        since = self._clock.monotonic()
        while True:
            await self._clock.sleep_until(self._clock.monotonic() + _POLL_S)
            if self.alive():
                if self._child is not None and self._fingerprint not in {self._tried, self._child.fingerprint}:
                    await self._follow(self._child)
                continue
            GATEWAY_DIED.emit(pid=self.pid, log=str(self._log), message=self._last_line())
            pause = _RESTART_FIRST_S if self._clock.monotonic() - since > _QUIET_S else min(2 * pause, _RESTART_LAST_S)
            await self._clock.sleep_until(self._clock.monotonic() + pause)
            since = self._clock.monotonic()
            self._start()

    async def stop(self) -> None:
        """Ends the gateway, with what its sessions have pending delivered; by force after some seconds."""
        child = self._child
        if child is None:
            return
        for number in (signal.SIGINT, signal.SIGKILL):
            if not self.alive():
                break
            (os.kill if number is signal.SIGINT else os.killpg)(child.pid, number)
            until = self._clock.monotonic() + _STOP_S
            while self.alive() and self._clock.monotonic() < until:
                await self._clock.sleep_until(self._clock.monotonic() + 0.05)
        self._forget()

    def drain(self) -> None:
        """Has the gateway accept nobody any more, and leave with its last session, without us."""
        if self._child is not None and self.alive():
            os.kill(self._child.pid, signal.SIGTERM)
        self._forget()

    def _forget(self) -> None:
        self._file.unlink(missing_ok=True)
        self._child = self._popen = None

    def _start(self) -> None:
        try:
            if self._log.exists() and self._log.stat().st_size > _MAX_LOG:
                self._log.replace(self._log.with_suffix(".log.1"))
            self._log_size = self._log.stat().st_size if self._log.exists() else 0
            with open(self._log, "ab", opener=_private) as log:
                self._popen = subprocess.Popen(
                    [sys.executable, "-m", "broker", *self._arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except OSError as error:
            raise GatewayError(f"the gateway cannot be started: {error}") from error
        started = process_started(self._popen.pid) or 0
        self._keep(_Child(pid=self._popen.pid, started=started, fingerprint=self._fingerprint))

    def _keep(self, child: _Child) -> None:
        self._child = child
        temporary = self._file.with_suffix(".json.new")
        temporary.write_text(json.dumps(asdict(self._child)))
        temporary.replace(self._file)

    def _said(self, words: str) -> str | None:
        """What follows the words, where the gateway has begun a line with them since its start or renewal.

        In the midst of a line they may be the name of an agent.
        """
        _, found, rest = f"\n{self._since_start(_MOST_READ)}".rpartition(f"\n{words}")
        return rest[:_LONGEST].strip() if found else None

    def _since_start(self, most: int = 4000) -> str:
        try:
            with self._log.open("rb") as log:
                log.seek(max(self._log_size, self._log.stat().st_size - most))
                return log.read().decode("utf-8", "replace")
        except OSError:
            return ""

    def _last_line(self) -> str:
        lines = reversed(self._since_start().split("\n"))
        return next((line.strip()[:300] for line in lines if line.strip()), f"see {self._log}")

    def _read(self) -> _Child | None:
        try:
            data = json.loads(self._file.read_text())
            return _Child(pid=int(data["pid"]), started=int(data["started"]), fingerprint=str(data["fingerprint"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
