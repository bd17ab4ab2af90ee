"""Cloud Assistant: commands, and how far each is on the instances that run it.

https://www.alibabacloud.com/help/en/ecs/user-guide/overview-of-cloud-assistant; states of an invocation:
https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-describeinvocationresults.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from broker.demo.clouds.alibaba.runner import Ran

MOST_OUTPUT: Final = 24 * 1024
"""Bytes of output that are kept; what came before the last ones is dropped."""


@dataclass(slots=True, kw_only=True)
class Command:
    """A command; one that is not kept is forgotten with its run."""

    id: str
    name: str
    kind: str
    content: str
    timeout_s: int
    directory: str = ""
    parametric: bool = False
    kept: bool = True
    created_at: float
    description: str = ""


@dataclass(slots=True, kw_only=True)
class Run:
    """A command on one instance."""

    instance: str
    status: str = "Running"
    """Pending, Running, Success, Failed, Timeout, Error, Aborted, Terminated, …"""
    begun_at: float
    ended_at: float | None = None
    exit_code: int | None = None
    output: bytes = b""
    error: str = ""
    error_words: str = ""
    look: Callable[[], Ran] | None = None
    """How far it is, while it runs."""

    @property
    def is_over(self) -> bool:
        """Whether nothing changes any more."""
        return self.ended_at is not None

    @property
    def dropped(self) -> int:
        """Bytes of output that were not kept."""
        return max(0, len(self.output) - MOST_OUTPUT)

    def end(self, status: str, at: float, *, error: str = "", words: str = "") -> None:
        """It is over; twice is once."""
        if not self.is_over:
            self.status, self.ended_at, self.error, self.error_words, self.look = status, at, error, words, None


@dataclass(slots=True, kw_only=True)
class Invocation:
    """A command that was run, on one instance or many."""

    id: str
    command: Command
    content: str
    username: str
    timeout_s: int
    directory: str
    created_at: float
    runs: list[Run] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def status(self) -> str:
        """Of all runs together: Running, Finished, Failed, PartialFailed or Stopped."""
        if any(not run.is_over for run in self.runs):
            return "Running"
        if any(run.status == "Terminated" for run in self.runs):
            return "Stopped"
        good = sum(run.status == "Success" for run in self.runs)
        return "Finished" if good == len(self.runs) else "PartialFailed" if good else "Failed"
