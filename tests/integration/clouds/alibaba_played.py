"""Machines that are played: what the broker's scripts do on a host, told in virtual time, and what goes wrong there."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from broker.backends.ssh.look_script import END, FIND, LOOK
from broker.backends.ssh.ownership import AGENT_ID, ATTEMPT, LAUNCH
from broker.backends.ssh.prepare_script import PREPARE
from broker.backends.ssh.process_script import LAUNCH_PROCESS
from broker.backends.ssh.transport import HostUnreachable, Ran
from broker.demo.clouds.alibaba.cloud import FakeAlibaba
from broker.demo.clouds.alibaba.instances import Status
from broker.domain.host_order import HostPlace
from broker.domain.ids import AgentId, HostId
from broker.domain.reason import Reason
from broker.errors import BackendError, BackendRejected
from broker.testing.clock import ManualClock

BANNER_S: Final = 10.0
"""So long a client waits for a port that says nothing (`ssh.connect_timeout`)."""


@dataclass(slots=True)
class Process:
    """An agent on a machine."""

    agent_id: AgentId
    attempt: int
    launch: str
    marks: str
    began: float
    ended: float | None = None
    knocked: bool = False


@dataclass(slots=True)
class Machine:
    """What one instance has on it; it ends with the instance."""

    init_since: float | None = None
    prepared: bool = False
    agents: dict[str, Process] = field(default_factory=dict)


@dataclass(slots=True)
class PlayedHosts:
    """A `Transport`. `trouble` says what is wrong with the way to a host; it outlives brokers, as machines do."""

    fake: FakeAlibaba
    clock: ManualClock
    init_s: float = 5.0
    init_code: int = 0
    trouble: Callable[[HostPlace], BackendError | None] = lambda place: None
    cuts: int = 0
    """So many preparations are cut off in the middle of their init script."""
    machines: dict[str, Machine] = field(default_factory=dict)
    scripts_run: int = 0
    """Init scripts that were begun."""
    tries: dict[str, int] = field(default_factory=dict)
    """How often each host was gone to."""

    async def run(
        self,
        place: HostPlace,
        script: str,
        *,
        stdin: bytes = b"",
        limit_s: float,
        heard: Callable[[str], None] | None = None,
    ) -> Ran:
        """See `Transport.run`."""
        self.tries[place.ref] = self.tries.get(place.ref, 0) + 1
        if not self.is_up(place.ref):
            raise HostUnreachable("NoRoute", f"{place.address} port 22: no route to the host", Reason.SSH_UNREACHABLE)
        if (error := self.trouble(place)) is not None:
            if error.code == "Timeout":
                await self.clock.sleep_until(self.clock.monotonic() + BANNER_S)
            raise error
        machine = self.machines.setdefault(place.ref, Machine())
        for body, play in (
            (PREPARE, self._prepare),
            (LAUNCH_PROCESS, self._launch),
            (LOOK, self._look),
            (FIND, self._find),
            (END, self._end),
        ):
            if script.endswith(body):
                return await play(place, machine, _values(script.removesuffix(body)))
        raise AssertionError(f"no such script: {script[-200:]}")

    async def forget(self, host: HostId) -> None:
        """There is no connection."""

    async def close(self) -> None:
        """There is none."""

    def is_up(self, ref: str) -> bool:
        """Whether the instance runs; what was on one that does not has ended."""
        found = self.fake.ecs.region().instances.get(ref)
        up = found is not None and not found.ending and found.status is Status.RUNNING
        if found is None:
            self.machines.pop(ref, None)
        return up

    def running(self) -> dict[tuple[str, str], Process]:
        """All agents that live, by their instance and name."""
        self.fake.ecs.look()
        up = {ref: machine for ref, machine in list(self.machines.items()) if self.is_up(ref)}
        return {
            (ref, name): process
            for ref, machine in up.items()
            for name, process in machine.agents.items()
            if process.ended is None
        }

    async def _prepare(self, place: HostPlace, machine: Machine, values: dict[str, str]) -> Ran:
        if not machine.prepared:
            if machine.init_since is None:
                machine.init_since = self.clock.monotonic()
                self.scripts_run += 1
            if self.cuts:
                self.cuts -= 1
                await self.clock.sleep_until(machine.init_since + self.init_s / 2)
                raise HostUnreachable("Lost", f"{place.address} port 22: the connection broke", Reason.SSH_UNREACHABLE)
            await self.clock.sleep_until(machine.init_since + self.init_s)
            if not self.is_up(place.ref):
                raise HostUnreachable("Lost", f"{place.address} port 22: the connection broke", Reason.SSH_UNREACHABLE)
            if self.init_code:
                machine.init_since = None
                return _said(">cannot install what is needed", f"!exit {self.init_code}")
            machine.prepared = True
        base = f"/root/{values['work']}/{values['folder']}"
        return _said(
            "=java 21.0.4 /usr/bin/java", "=limits none", f"=base {base}", "=user root", "=arch x86_64", "=ready"
        )

    async def _launch(self, place: HostPlace, machine: Machine, values: dict[str, str]) -> Ran:
        there = machine.agents.get(values["name"])
        if there is not None and there.launch != values["launch"]:
            return _said("!other")
        if there is None:
            marks = dict(line.partition("=")[::2] for line in values["marks"].splitlines())
            machine.agents[values["name"]] = Process(
                AgentId(marks[AGENT_ID]), int(marks[ATTEMPT]), marks[LAUNCH], values["marks"], self.clock.monotonic()
            )
        return _said("=started")

    async def _look(self, place: HostPlace, machine: Machine, values: dict[str, str]) -> Ran:
        lines = list[str]()
        for name, process in machine.agents.items():
            lines += [f"@{name}", *(f"={line}" for line in process.marks.splitlines())]
            lines.append("#running -" if process.ended is None else "#ended 0")
        return _said(*lines, "=looked")

    async def _find(self, place: HostPlace, machine: Machine, values: dict[str, str]) -> Ran:
        found = [f"@{name}" for name, process in machine.agents.items() if process.launch == values["launch"]]
        return _said(*found, "=looked")

    async def _end(self, place: HostPlace, machine: Machine, values: dict[str, str]) -> Ran:
        for name in values["names"].split():
            machine.agents.pop(name, None)
        return _said("=ended")


def closed(place: HostPlace) -> BackendError:
    """A port at which nobody answers yet."""
    return HostUnreachable("Refused", f"{place.address} port 22: refused", Reason.SSH_UNREACHABLE)


def hangs(place: HostPlace) -> BackendError:
    """A port that takes connections and says nothing."""
    return HostUnreachable("Timeout", f"{place.address} port 22: no answer", Reason.SSH_UNREACHABLE)


def denied(place: HostPlace) -> BackendError:
    """A machine that lets this key not in."""
    message = f"{place.address} port 22: user 'root' is not let in with the key of ssh.private_key"
    return BackendRejected("PermissionDenied", message, Reason.SSH_AUTH_FAILED)


def other_key(place: HostPlace) -> BackendError:
    """A machine that shows another host key."""
    message = f"{place.address} port 22: shows another host key than the one that it showed first"
    return BackendRejected("HostKeyMismatch", message, Reason.SSH_HOST_KEY_MISMATCH)


def _said(*lines: str) -> Ran:
    return Ran(code=0, output="".join(f"{line}\n" for line in lines))


def _values(head: str) -> dict[str, str]:
    """The assignments at a script's head."""
    return dict(word.partition("=")[::2] for word in shlex.split(head))
