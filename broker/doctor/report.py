"""What a doctor finds: named checks, each with what was seen and what to do about it."""

from collections.abc import Awaitable
from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    """Works, and is worth a look."""
    FAILED = "failed"
    SKIPPED = "skipped"
    """Could not be asked: something before it has failed, or there is nothing to ask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check of one subject, such as `websocket` of controller `main`."""

    subject: str
    name: str
    status: Status
    message: str
    hint: str = ""
    """What to do next; empty where nothing has to be done."""


class Wrong(Exception):
    """A check has failed: what was seen, in words, and what to do."""

    status = Status.FAILED

    def __init__(self, message: str, hint: str = "") -> None:
        """Says both."""
        super().__init__(message)
        self.message = message
        self.hint = hint


class Doubtful(Wrong):
    """Only worth a look."""

    status = Status.WARNING


class Skipped(Wrong):
    """There is nothing to ask."""

    status = Status.SKIPPED


class Report:
    """The checks of one subject in their order."""

    def __init__(self, subject: str) -> None:
        """Nothing is checked yet."""
        self.subject = subject
        self.checks: list[Check] = []

    async def check(self, name: str, work: Awaitable[str]) -> bool:
        """Notes how `work` ends: with what it has seen, or with a `Wrong`. Whether it did not fail."""
        try:
            self._add(name, Status.OK, await work)
        except Wrong as wrong:
            self._add(name, wrong.status, wrong.message, wrong.hint)
            return wrong.status is not Status.FAILED
        return True

    def skip(self, names: tuple[str, ...], why: str) -> None:
        """Notes what could not be asked."""
        for name in names:
            self._add(name, Status.SKIPPED, why)

    def _add(self, name: str, status: Status, message: str, hint: str = "") -> None:
        self.checks.append(Check(subject=self.subject, name=name, status=status, message=message, hint=hint))
