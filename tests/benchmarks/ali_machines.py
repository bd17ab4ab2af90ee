"""The hosts of the benchmark of Alibaba Cloud in virtual time: what a script of ours would do there, and a console."""

import asyncio
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from broker.backends.ssh.look_script import END, FIND, LOOK
from broker.backends.ssh.prepare_script import PREPARE
from broker.backends.ssh.process_script import LAUNCH_PROCESS
from broker.backends.ssh.transport import HostUnreachable, Ran
from broker.backends.ssh.trust import Trust
from broker.demo.clouds.alibaba.instances import Instance
from broker.demo.clouds.alibaba.runner import Ran as RanInside
from broker.demo.clouds.alibaba.runner import Script
from broker.domain.host_order import HostPlace
from broker.domain.ids import AgentId, HostId
from broker.domain.reason import Reason
from broker.testing.clock import ManualClock

SSHD_S: Final = 3.0
"""From Running until sshd answers."""
SHOWS_S: Final = 5.0
"""From Running until cloud-init, at its end, has shown the host's keys on the console."""
PREPARE_S: Final = 5.0
"""What the init script takes."""
SCRIPT_S: Final = 0.2
"""What any other takes, with the way there and back."""
_KEY: Final = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + "A" * 43
_CONSOLE: Final = f"-----BEGIN SSH HOST KEY KEYS-----\n{_KEY}\n-----END SSH HOST KEY KEYS-----\n"
_BODIES: Final[Mapping[str, str]] = {
    "prepare": PREPARE,
    "launch": LAUNCH_PROCESS,
    "look": LOOK,
    "find": FIND,
    "end": END,
}


@dataclass(slots=True)
class Agent:
    """A process on a host."""

    marks: str
    launch: str
    state: str = "running"


@dataclass(slots=True)
class _Machine:
    since: float
    """When it came to Running."""
    agents: dict[str, Agent] = field(default_factory=dict)
    is_known: bool = False
    """Whether a connection to it has been made."""


class Machines:
    """All hosts, by their instances' ids: a `Transport` for the broker and a `Runner` for the fake."""

    def __init__(self, clock: ManualClock) -> None:
        """None yet. `trust` is set before the first script."""
        self.trust: Trust
        self._clock = clock
        self._machines: dict[str, _Machine] = {}
        self._news: list[tuple[AgentId, str]] = []

    def take_news(self) -> list[tuple[AgentId, str]]:
        """The agents that have started since the last call, each with `INSTANCE/NAME`."""
        news, self._news = self._news, []
        return news

    def left(self, place: str) -> None:
        """The agent at `INSTANCE/NAME` has ended by itself."""
        instance, _, name = place.partition("/")
        if instance in self._machines and name in self._machines[instance].agents:
            self._machines[instance].agents[name].state = "ended 0"

    # of a Transport

    async def run(
        self,
        place: HostPlace,
        script: str,
        *,
        stdin: bytes = b"",
        limit_s: float,
        heard: Callable[[str], None] | None = None,
    ) -> Ran:
        """As a host with Java would."""
        machine = await self._reached(place)
        what, given = _understood(script)
        await self._clock.sleep_until(self._clock.monotonic() + (PREPARE_S if what == "prepare" else SCRIPT_S))
        lines = [*self._answer(place, machine, what, given)]
        return Ran(code=0, output="".join(f"{line}\n" for line in lines))

    async def forget(self, host: HostId) -> None:
        """Keeps nothing, but what it is trusted by."""
        self.trust.forget(host)

    async def close(self) -> None:
        """Has nothing open."""

    async def _reached(self, place: HostPlace) -> _Machine:
        """As `ssh/connections.py`: first its keys, then the connection."""
        machine = self._machines.get(place.ref)
        if machine is not None and machine.is_known:
            return machine
        keys = await self.trust.keys(place)
        if keys is None:
            raise HostUnreachable("NoHostKeyYet", "its host keys are not on its console yet", Reason.SSH_UNREACHABLE)
        await asyncio.sleep(0)
        machine = self._machines.get(place.ref)
        if machine is None or self._clock.monotonic() - machine.since < SSHD_S:
            raise HostUnreachable("Refused", f"{place.address} port 22: connection refused", Reason.SSH_UNREACHABLE)
        if not keys:
            self.trust.saw(place, _KEY)
        machine.is_known = True
        return machine

    def _answer(self, place: HostPlace, machine: _Machine, what: str, given: Mapping[str, str]) -> list[str]:
        if what == "prepare":
            return ["=java 21.0.2 /usr/bin/java", "=base /root/agentbroker/it", "=user root", "=arch x86_64", "=ready"]
        if what == "launch":
            return self._launch(place, machine, given)
        if what == "look":
            return [*_seen(machine), "=looked"]
        if what == "find":
            found = [f"@{name}" for name, agent in machine.agents.items() if given["launch"] == agent.launch]
            return [*found, "=looked"]
        for name in given["names"].split():
            machine.agents.pop(name, None)
        return ["=ended"]

    def _launch(self, place: HostPlace, machine: _Machine, given: Mapping[str, str]) -> list[str]:
        name, marks = given["name"], given["marks"]
        if name not in machine.agents:
            machine.agents[name] = Agent(marks=marks, launch=given["launch"])
            told = dict(line.partition("=")[::2] for line in marks.splitlines())
            self._news.append((AgentId(told["agentbroker.agent-id"]), f"{place.ref}/{name}"))
        return ["=started"]

    # of a Runner

    def began(self, instance: Instance) -> None:
        """A new machine."""
        self._machines[instance.id] = _Machine(self._clock.monotonic())

    def ended(self, instance: Instance) -> None:
        """It is no more, nor what ran there."""
        self._machines.pop(instance.id, None)

    def console(self, instance: Instance) -> str:
        """With its keys at last."""
        machine = self._machines.get(instance.id)
        shown = machine is not None and self._clock.monotonic() - machine.since >= SHOWS_S
        return _CONSOLE if shown else "[    0.000000] Linux version 5.10.134\n"

    def is_reachable(self, instance: Instance) -> bool:
        """There is no Cloud Assistant."""
        return False

    def run_command(self, instance: Instance, script: Script) -> Callable[[], RanInside]:
        """Nobody asks for it."""
        raise NotImplementedError

    def stop_command(self, instance: Instance, invocation: str) -> None:
        """There is none."""


def _seen(machine: _Machine) -> list[str]:
    lines: list[str] = []
    for name, agent in machine.agents.items():
        state = agent.state if " " in agent.state else f"{agent.state} -"
        lines += [f"@{name}", *(f"={line}" for line in agent.marks.splitlines()), f"#{state}"]
    return lines


def _understood(script: str) -> tuple[str, Mapping[str, str]]:
    """Which of the broker's scripts it is, and the values at its head."""
    for what, body in _BODIES.items():
        if script.endswith(body):
            if what in {"prepare", "look"}:
                return what, {}
            words = shlex.split(script.removesuffix(body))
            return what, dict(word.partition("=")[::2] for word in words)
    raise AssertionError(f"a script that nobody knows here: {script[-200:]}")
