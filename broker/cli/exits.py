"""The exit codes of the command line, and the error that carries one."""

from collections.abc import Mapping
from typing import Final

from broker.errors import BrokerError

DONE: Final = 0
FAILED: Final = 1
WRONG_USAGE: Final = 2
CONFIG_INVALID: Final = 3
NOT_REACHABLE: Final = 4
NO_SUCH_THING: Final = 5
CANNOT_BE_PLACED: Final = 6
CHECK_FAILED: Final = 7
TIMED_OUT: Final = 8
REFUSED: Final = 9
INTERRUPTED: Final = 130

EXIT_CODES: Final[Mapping[int, str]] = {
    DONE: "done",
    FAILED: "failed",
    WRONG_USAGE: "wrong usage",
    CONFIG_INVALID: "config invalid",
    NOT_REACHABLE: "broker not reachable",
    NO_SUCH_THING: "no such thing",
    CANNOT_BE_PLACED: "cannot be placed",
    CHECK_FAILED: "a check of doctor failed",
    TIMED_OUT: "timed out waiting",
    REFUSED: "refused (needs --yes, or no right)",
    INTERRUPTED: "interrupted",
}


class CliError(BrokerError):
    """The command ends with `code`; `next_step` is what to type or do next. `kind` is the API's word for it, if any."""

    def __init__(self, code: int, message: str, next_step: str, kind: str = "") -> None:
        """Says what is wrong, and what to do."""
        super().__init__(f"{message}\n  next: {next_step}")
        self.code = code
        self.kind = kind
