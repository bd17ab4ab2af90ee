"""What a runner is told of instances, and what it is asked: it makes something real of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from broker.demo.clouds.alibaba.instances import Instance


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What Cloud Assistant runs on an instance."""

    invocation: str
    kind: str
    """RunShellScript, RunPythonScript, RunBatScript or RunPowerShellScript."""
    content: str
    timeout_s: int
    username: str
    """"": root, or Administrator's system on Windows."""
    directory: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a script ended, or how far it is: `exit_code` None while it runs. `output` is all that it has written."""

    output: bytes = b""
    exit_code: int | None = None


class Runner(Protocol):
    """It is told in the order of events, when somebody asks the fake.

    So it must ask itself, by `FakeEcs.look`, as often as it wants to know of things. Nothing here may take long.
    """

    def began(self, instance: Instance) -> None:
        """The instance has come to Running, for the first time or again."""

    def ended(self, instance: Instance) -> None:
        """It runs no more: it is stopped, deleted, reclaimed. Of one that never began nothing is told."""

    def console(self, instance: Instance) -> str:
        """What its serial console has shown; it may run no more."""
        ...

    def is_reachable(self, instance: Instance) -> bool:
        """Whether Cloud Assistant's agent inside answers."""
        ...

    def run_command(self, instance: Instance, script: Script) -> Callable[[], Ran]:
        """Begins a script inside; what is given tells how far it is, each time that it is called."""
        ...

    def stop_command(self, instance: Instance, invocation: str) -> None:
        """Kills what runs of an invocation; nothing if nothing does."""
