"""What an engine's errors mean: one table, by call, status and words.

The Docker API has no codes: a status and a sentence is all there is, and podman answers 500 for most. So each row names
the engine's exact words, as moby (daemon/, errdefs/) and podman (libpod/define/errors.go, pkg/api/handlers/compat/)
have them. What no row knows keeps its words and is never guessed at.
"""

import errno
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import aiohttp
from aiodocker.exceptions import DockerError

from broker.domain.reason import Reason
from broker.errors import BackendError, BackendRejected, InsufficientCapacity, OutcomeUnknown, Throttled


class Call(StrEnum):
    """What was asked of the engine."""

    CREATE = "create"
    START = "start"
    LIST = "list"
    INSPECT = "inspect"
    LOGS = "logs"
    REMOVE = "remove"
    PULL = "pull"


class NameInUse(BackendRejected):
    """A container of this name exists, or is just being made: the same attempt, since names are made of it."""


class NoSuchImage(BackendRejected):
    """The engine does not have the image."""

    default_reason = Reason.IMAGE_PULL_FAILED


class NoSuchContainer(BackendRejected):
    """There is no such container."""


class BeingRemoved(BackendRejected):
    """The container is on its way out already: somebody removes it, or it has just ended and is not tidied up yet."""


class JustEnded(BackendError):
    """A container's process ended while the engine (podman) was reading about it: it knows more when asked again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One kind of error. No calls, no statuses: any. `words` is searched for, without regard to case."""

    name: str
    calls: frozenset[Call] = frozenset()
    statuses: frozenset[int] = frozenset()
    words: str = ""
    error: type[BackendError]
    reason: Reason | None = None

    def fits(self, call: Call, status: int, message: str) -> bool:
        """Whether it is about this answer."""
        known = (not self.calls or call in self.calls) and (not self.statuses or status in self.statuses)
        return known and re.search(self.words, message, re.IGNORECASE) is not None


_CREATE: Final = frozenset({Call.CREATE})
_MAKE: Final = frozenset({Call.CREATE, Call.START})
_REMOVE: Final = frozenset({Call.REMOVE})
_LOOK: Final = frozenset({Call.LIST, Call.INSPECT})
_OF_ONE: Final = frozenset({Call.START, Call.INSPECT, Call.LOGS, Call.REMOVE})

TABLE: Final = (
    Row(name="denied", statuses=frozenset({401, 403}), error=BackendRejected, reason=Reason.ACCESS_DENIED),
    Row(name="throttled", statuses=frozenset({429}), error=Throttled),
    Row(name="unavailable", statuses=frozenset({503}), error=Throttled, reason=Reason.BACKEND_ERROR),
    Row(name="pull", calls=frozenset({Call.PULL}), error=BackendRejected, reason=Reason.IMAGE_PULL_FAILED),
    Row(name="name", calls=_CREATE, statuses=frozenset({409}), error=NameInUse),
    Row(name="name-podman", calls=_CREATE, words=r"name is already in use", error=NameInUse),
    Row(name="no-image", calls=_CREATE, statuses=frozenset({404}), words=r"no such image", error=NoSuchImage),
    Row(
        name="no-network",
        calls=_MAKE,
        words=r"network \S+ not found|network not found",
        error=BackendRejected,
        reason=Reason.NETWORK_UNAVAILABLE,
    ),
    Row(
        name="network",
        calls=_MAKE,
        words=r"netavark|failed to create endpoint|failed to set up container networking|no available IPv4 addresses",
        error=BackendRejected,
        reason=Reason.NETWORK_UNAVAILABLE,
    ),
    Row(name="disk", calls=_MAKE, words=r"no space left on device", error=InsufficientCapacity),
    Row(name="memory", calls=_MAKE, words=r"cannot allocate memory", error=InsufficientCapacity),
    Row(
        name="init",
        calls=_MAKE,
        words=r"container-init binary|catatonit|docker-init",
        error=BackendRejected,
        reason=Reason.SETUP_FAILED,
    ),
    Row(name="ulimit", calls=_MAKE, words=r"setrlimit|rlimit", error=BackendRejected, reason=Reason.SETUP_FAILED),
    Row(
        name="image-name",
        calls=_CREATE,
        words=r"invalid reference format",
        error=BackendRejected,
        reason=Reason.INVALID_TEMPLATE,
    ),
    Row(
        name="mount",
        calls=_MAKE,
        words=r"bind source path does not exist|invalid mount|mount option",
        error=BackendRejected,
        reason=Reason.INVALID_TEMPLATE,
    ),
    Row(
        name="size",
        calls=_MAKE,
        words=r"unable to set memory limit|minimum memory limit|range of CPUs is from",
        error=BackendRejected,
        reason=Reason.INVALID_TEMPLATE,
    ),
    Row(name="user", calls=_MAKE, words=r"unable to find user", error=BackendRejected, reason=Reason.INVALID_TEMPLATE),
    Row(
        name="program",
        calls=_MAKE,
        words=r"executable file not found|command that was not found|no command specified",
        error=BackendRejected,
        reason=Reason.INVALID_TEMPLATE,
    ),
    Row(
        name="refused",
        calls=_CREATE,
        statuses=frozenset({400}),
        error=BackendRejected,
        reason=Reason.INVALID_TEMPLATE,
    ),
    Row(name="gone", calls=_OF_ONE, statuses=frozenset({404}), error=NoSuchContainer),
    Row(name="removing", calls=_REMOVE, statuses=frozenset({409}), error=BeingRemoved),
    Row(name="just-ended", calls=_LOOK, words=r"/proc/\d+/\S+: no such (process|file)", error=JustEnded),
    Row(name="ending", calls=_REMOVE, words=r"container state improper", error=BeingRemoved),
)
"""The first row that fits counts."""

UNREADABLE: Final = (ValueError, KeyError)
"""What aiodocker raises of an answer that is cut, no JSON, or not of an engine's form."""


def classify(call: Call, status: int, message: str) -> BackendError:
    """What an engine's answer means; the words stay as they are."""
    code = str(status) if status else "PullFailed"
    for row in TABLE:
        if row.fits(call, status, message):
            return row.error(code, message, row.reason)
    return OutcomeUnknown(code, message) if call in _MAKE else BackendError(code, message)


def translate(call: Call, error: Exception, address: str, key: str) -> BackendError:
    """Ours for what aiodocker raises; `key` is what a person changes when the engine cannot be reached.

    aiodocker gives 900 to all that is wrong with the connection; the error that it stands for is its context.
    """
    if isinstance(error, DockerError) and error.status != 900:
        return classify(call, error.status, error.message)
    cause = error.__context__ if isinstance(error, DockerError) else error
    if isinstance(cause, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return _unreachable(cause, address, key)
    told = str(cause) or type(cause).__name__
    if isinstance(cause, UNREADABLE):
        return OutcomeUnknown("Unreadable", f"{address}: its answer is not a container engine's: {told}")
    if isinstance(cause, TimeoutError):
        told = "no answer in time"
    return OutcomeUnknown("ConnectionLost", f"{address}: {told}")


def _unreachable(cause: Exception, address: str, key: str) -> BackendError:
    """Nothing was sent. An engine that is restarted is waited for."""
    number = getattr(cause, "errno", None) or 0
    told = getattr(cause, "strerror", None) or str(cause) or "no answer in time"
    if number in {errno.EACCES, errno.EPERM}:
        message = f"{address}: {told}: let the broker's user use the engine's socket, or set {key}"
        return BackendRejected("PermissionDenied", message, Reason.ACCESS_DENIED)
    message = f"{address}: {told}: start the container engine, or set {key}"
    return Throttled("EngineUnreachable", message, Reason.BACKEND_ERROR)
