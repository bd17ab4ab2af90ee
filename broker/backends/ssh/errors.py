"""What SSH says no with, as our errors: by the class of the exception, never by its text (asyncssh, "Exceptions")."""

import errno
import socket
from typing import Final

import asyncssh

from broker.backends.ssh.options import HostKeyMode, Reach
from broker.backends.ssh.transport import HostUnreachable
from broker.domain.reason import Reason
from broker.errors import BackendError, BackendRejected

_LOST: Final[tuple[tuple[type[BaseException], str, str], ...]] = (
    (ConnectionRefusedError, "Refused", "refused"),
    (TimeoutError, "Timeout", "no answer"),
    (socket.gaierror, "NameUnknown", "the name cannot be resolved"),
    (ConnectionError, "Lost", "the connection broke"),
    (asyncssh.ConnectionLost, "Lost", "the connection broke"),
    (asyncssh.ChannelOpenError, "NoChannel", "it opens no more channels"),
    (asyncssh.Error, "Disconnected", "it hung up"),
)
_BY_ERRNO: Final = {
    errno.EHOSTUNREACH: ("NoRoute", "no route to the host"),
    errno.ENETUNREACH: ("NoRoute", "no route to its network"),
    errno.ETIMEDOUT: ("Timeout", "no answer"),
}
_WHERE_KEYS_ARE: Final = {
    HostKeyMode.FROM_CONSOLE: "those on its console",
    HostKeyMode.PINNED: "those of the config (ssh.host_keys)",
    HostKeyMode.ACCEPT_NEW: "the one that it showed first",
}
_MISMATCH: Final = (asyncssh.HostKeyNotVerifiable, asyncssh.KeyExchangeFailed)

FAILURES: Final = (OSError, asyncssh.Error, asyncssh.ChannelListenError, ValueError)
"""All that a connection fails with; a TimeoutError is an OSError."""


def classify(error: BaseException, reach: Reach) -> BackendError:
    """What to do next, with address, port, user and the fix. `reach` is that of the host that said no."""
    where = f"{reach.address} port {reach.port}"
    if isinstance(error, asyncssh.PermissionDenied):
        message = (
            f"{where}: user {reach.user!r} is not let in with the key of ssh.{_key_name(reach)}: put its public key "
            f"into that user's authorized_keys (or name the right key pair), or set ssh.user"
        )
        return BackendRejected("PermissionDenied", message, Reason.SSH_AUTH_FAILED)
    if isinstance(error, _MISMATCH):
        message = (
            f"{where}: shows another host key than {_WHERE_KEYS_ARE[reach.host_key]}: somebody stands in between, or "
            f"the machine was made anew; nothing was sent to it (user {reach.user!r})"
        )
        return BackendRejected("HostKeyMismatch", message, Reason.SSH_HOST_KEY_MISMATCH)
    code, words = _lost(error)
    return HostUnreachable(code, f"{where}: {words}", Reason.SSH_UNREACHABLE)


def bad_key(reach: Reach) -> BackendRejected:
    """The private key itself is none; no word of it is repeated."""
    message = f"ssh.{_key_name(reach)} is no private key that can be read: it is cut off, or has a passphrase"
    return BackendRejected("SshKeyInvalid", message, Reason.SSH_AUTH_FAILED)


def _key_name(reach: Reach) -> str:
    return "private_key" if reach.private_key else "private_key_file"


def _lost(error: BaseException) -> tuple[str, str]:
    if isinstance(error, OSError) and error.errno in _BY_ERRNO:
        return _BY_ERRNO[error.errno]
    found = ((code, words) for kind, code, words in _LOST if isinstance(error, kind))
    return next(found, ("Unreachable", "cannot be reached"))
