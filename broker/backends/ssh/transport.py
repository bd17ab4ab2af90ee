"""How a script gets onto a host and what it prints comes back: SSH, a cloud's own agent, or a double in tests."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from broker.domain.host_order import HostPlace
from broker.domain.ids import HostId
from broker.errors import BackendError


class HostUnreachable(BackendError):
    """Nobody answered, or the way there broke before the end: it says nothing of the script. Come again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A script that has ended. `code` is its exit status; None: it was killed, or nobody knows."""

    code: int | None
    output: str
    """All that it printed, undecodable bytes replaced; at most 4 MiB of it."""
    errors: str = ""
    """The end of what it printed to its standard error."""


class Transport(Protocol):
    """Runs POSIX sh on hosts.

    `script` is text for `/bin/sh`, at most 90,000 bytes, and may be read by others on the host or in the cloud: what
    is secret goes into `stdin`, which the script reads. Neither is ever part of an error's text.
    """

    async def run(
        self,
        place: HostPlace,
        script: str,
        *,
        stdin: bytes = b"",
        limit_s: float,
        heard: Callable[[str], None] | None = None,
    ) -> Ran:
        """Runs it to its end as the user of `pool.options["ssh"]`; `heard` gets each line of its output when it comes.

        `HostUnreachable`: no answer, or none within `limit_s`; it may run on, if it has begun. `BackendRejected` with
        `SshAuthFailed` or `SshHostKeyMismatch`: it has not run.
        """
        ...

    async def forget(self, host: HostId) -> None:
        """Lets go of what is kept of a host, its connection first."""
        ...

    async def close(self) -> None:
        """Lets go of all of it."""
        ...
