"""Errors of ours for what the SDK or the network raises; what each code means is in `codes.py`."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from broker.backends.alibaba_ecs.codes import TABLE
from broker.backends.throttle import Closed
from broker.domain.reason import Reason
from broker.errors import BackendError, BackendRejected, OutcomeUnknown, Throttled

_SDK: Final = frozenset(
    {
        "aiohttp",
        "alibabacloud_credentials",
        "alibabacloud_ecs20140526",
        "alibabacloud_tea_openapi",
        "alibabacloud_vpc20160428",
        "darabonba",
        "Tea",
        "requests",
        "urllib3",
    }
)
"""Modules whose exceptions are no bugs of ours."""

_DEEPEST: Final = 5


def classify(action: str, code: str, message: str, status: int = 400, backend: str = "") -> BackendError:
    """What a refused call means; the cloud's words stay as they are, and the key to look at follows them."""
    for row in TABLE:
        if row.fits(action, code):
            hint = row.key.format(name=backend)
            told = f"{message}; look at {hint}" if hint and (backend or "{name}" not in row.key) else message
            return row.error(code, told, row.reason)
    if status == 429:
        return Throttled(code, message)
    if status >= 500:
        return OutcomeUnknown(code, message)
    return BackendRejected(code, message)


@contextmanager
def of_pool(name: str) -> Iterator[None]:
    """While it is entered, the keys that a refusal tells are those of this pool."""
    try:
        yield
    except BackendError as error:
        error.message = error.message.replace("pools.POOL", f"pools.{name}")
        error.args = tuple(str(part).replace("pools.POOL", f"pools.{name}") for part in error.args)
        raise


def translate(action: str, error: Exception, backend: str) -> BackendError | None:
    """Ours for what the SDK or the network raises; None for what is neither's: a bug.

    The SDK's classes are known by what they carry (`alibabacloud_tea_openapi/exceptions`): nothing is imported here.
    """
    if isinstance(error, BackendError):
        return error
    code, status = getattr(error, "code", None), getattr(error, "status_code", None)
    if isinstance(code, str) and code and code != "None" and isinstance(status, int):
        return _refused(action, error, code, status, backend)
    cause = _innermost(error)
    name, words = type(cause).__name__, " ".join(str(cause).split())
    message = f"{action}: {words or 'no answer in time'}"
    if _is_not_sent(cause):
        hint = f"{message}; look at backends.{backend}: region, endpoints, vpc_endpoints, proxy"
        return Throttled(name, hint, Reason.BACKEND_ERROR)
    if isinstance(cause, OSError) or _is_the_sdks(error) or _is_the_sdks(cause):
        return OutcomeUnknown(name, message)
    return None


def _refused(action: str, error: Exception, code: str, status: int, backend: str) -> BackendError:
    data: Any = getattr(error, "data", None)
    told = data.get("Message") if isinstance(data, Mapping) else None
    found = classify(action, code, str(told or getattr(error, "message", "") or f"{action}: {status}"), status, backend)
    after_ms: Any = getattr(error, "retry_after", None)
    if isinstance(after_ms, int) and after_ms > 0 and (isinstance(found, Throttled) or status == 429):
        return Closed(found.code, found.message, pause_s=after_ms / 1000)
    return found


def _innermost(error: Exception) -> Exception:
    """What the SDK has wrapped: `UnretryableException.inner_exception`, and what that was raised in place of."""
    found = error
    for _ in range(_DEEPEST):
        inner: Any = getattr(found, "inner_exception", None) or found.__cause__ or found.__context__
        if not isinstance(inner, Exception) or not _is_of_the_sdk(found):
            break
        found = inner
    return found


def _is_of_the_sdk(error: Exception) -> bool:
    return type(error).__module__.partition(".")[0] in {"darabonba", "Tea", "alibabacloud_tea_openapi"}


def _is_not_sent(error: Exception) -> bool:
    """Whether no connection came about: aiohttp's errors of connectors, by their names, and those of the machine."""
    names = {one.__name__ for one in type(error).__mro__}
    return bool(names & {"ClientConnectorError", "ConnectionTimeoutError", "ConnectionRefusedError"})


def _is_the_sdks(error: Exception) -> bool:
    """Whether it is one of the SDK's, or was raised in the middle of it: on an answer of somebody else's."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    raised = str(last.tb_frame.f_globals.get("__name__", "")) if last is not None else ""
    return bool({type(error).__module__.partition(".")[0], raised.partition(".")[0]} & _SDK)
