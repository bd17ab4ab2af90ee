"""The errors of the broker, named after what the caller does next: try elsewhere, later, never, or look."""

from broker.domain.reason import Reason


class BrokerError(Exception):
    """The root of all errors that the broker raises on purpose."""


class BackendError(BrokerError):
    """A backend said no. `code` and `message` are the cloud's own; `reason` is ours, of the closed list."""

    default_reason = Reason.BACKEND_ERROR

    def __init__(self, code: str, message: str, reason: Reason | None = None) -> None:
        """Keeps the cloud's words; without a reason the class's own stands."""
        super().__init__(f"{code}: {message}" if code else message)
        self.code = code
        self.message = message
        self.reason = reason or self.default_reason


class InsufficientCapacity(BackendError):
    """Nothing was made: there is no room here now. Try elsewhere."""

    default_reason = Reason.INSUFFICIENT_CAPACITY


class Throttled(BackendError):
    """Nothing was made: too many calls. Try later; it says nothing about the pool."""

    default_reason = Reason.THROTTLED


class BackendRejected(BackendError):
    """Nothing was made and the same call will not succeed."""


class OutcomeUnknown(BackendError):
    """The call may have been carried out. Look, or repeat it with the same token."""


class StoreError(BrokerError):
    """The store could not do what was asked."""


class Conflict(StoreError):
    """The row has changed since it was read: read again, do nothing."""


class NotFound(StoreError):
    """There is no such row."""


class StoreUnavailable(StoreError):
    """The store cannot be opened or written: its message names the place and the fix."""


class StoreLost(StoreUnavailable):
    """What this process has opened is the store no more, and never will be again: it must end, and start anew."""


class LimitReached(StoreError):
    """A cap is full; `reason` tells which kind of cap."""

    def __init__(self, reason: Reason, message: str) -> None:
        """Says which cap, with its numbers."""
        super().__init__(message)
        self.reason = reason


class Busy(BrokerError):
    """Nothing has happened: too much is asked at once. Try again after `retry_after_s`."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        """Says what is too much, and which key allows more."""
        super().__init__(message)
        self.retry_after_s = retry_after_s


class GatewayError(BrokerError):
    """The gateway or its control link cannot do its work."""


class ConfigError(BrokerError):
    """The config cannot be used; the text is the full list of diagnostics."""
