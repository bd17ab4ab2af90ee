"""What it means when no credentials can be had, or when those that there are stand no more.

The codes are those of STS (API reference, AssumeRole and "Common errors") and of the services' signature checks; the
exceptions are botocore's (`botocore/exceptions.py`), told by their class name, so that nothing is imported for them.
"""

from collections.abc import Mapping
from typing import Any, Final

from broker.domain.reason import Reason
from broker.errors import BackendError, BackendRejected, Throttled

STALE: Final = frozenset(
    {
        "AuthFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "InvalidToken",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
"""Any service says so of credentials that are expired, revoked, wrong, or not for this region: newer ones may stand."""

_DENIED: Final = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
_BAD_ROLE: Final = frozenset(
    {"MalformedPolicyDocument", "PackedPolicyTooLarge", "RegionDisabledException", "OptInRequired", "ValidationError"}
)
_LATER: Final = frozenset(
    {
        "InternalError",
        "InternalFailure",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
SDK: Final = frozenset({"botocore", "aiobotocore", "aiohttp"})
"""Modules whose exceptions, and failures, are no bugs of ours."""
_UNREACHABLE: Final = frozenset(
    {
        "ConnectTimeoutError",
        "ConnectionClosedError",
        "EndpointConnectionError",
        "HTTPClientError",
        "ProxyConnectionError",
        "ReadTimeoutError",
        "SSLError",
    }
)
_HINTS: Final[Mapping[str, str]] = {
    "NoCredentialsError": "set backends.{name}.profile or .access_key_id_file, or give the machine a role",
    "ProfileNotFound": "set backends.{name}.profile to a profile of the files in ~/.aws, or of AWS_CONFIG_FILE",
    "ProxyConnectionError": "look at backends.{name}.proxy, or at HTTPS_PROXY",
    "RegionDisabledException": "set backends.{name}.sts_region to a region that is turned on",
    "UnauthorizedSSOTokenError": "log in anew: aws sso login",
    "SSOTokenLoadError": "log in anew: aws sso login",
    "TokenRetrievalError": "log in anew: aws sso login",
    "LoginRefreshRequired": "log in anew: aws login",
}


def kinds() -> tuple[type[Exception], ...]:
    """What a call of the SDK raises; imports it."""
    from aiohttp import ClientError as HttpError  # noqa: PLC0415 -- with the SDK only
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    return (BotoCoreError, ClientError, HttpError, OSError, ValueError)


def is_garbled(error: Exception) -> bool:
    """Whether the SDK itself has failed on an answer: one of somebody else's, such as a proxy's page."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    module = str(last.tb_frame.f_globals.get("__name__", "")) if last is not None else ""
    return module.partition(".")[0] in SDK


def code_of(error: Exception) -> str:
    """The cloud's code for a refused call; empty for whatever else went wrong."""
    answer: Any = getattr(error, "response", None)
    told = answer.get("Error", {}).get("Code", "") if isinstance(answer, Mapping) else ""
    return told if isinstance(told, str) else ""


def words_of(error: Exception) -> str:
    """The cloud's own words; for an error of the SDK its text in one line."""
    answer: Any = getattr(error, "response", None)
    told = answer.get("Error", {}).get("Message", "") if isinstance(answer, Mapping) else ""
    return str(told) if told else " ".join(str(error).split())


def no_credentials(error: Exception, doing: str, name: str) -> BackendError:
    """Ours for what keeps a backend from having credentials, on what step. Without its name no config key is told."""
    code = code_of(error) or type(error).__name__
    message = _hinted(f"{doing}: {words_of(error) or 'no answer in time'}", code, name)
    if code in _LATER:
        return Throttled(code, message)
    if code in _UNREACHABLE or isinstance(error, TimeoutError) or not isinstance(error, kinds()):
        return Throttled(code, message, Reason.BACKEND_ERROR)
    if code in _DENIED:
        return BackendRejected(code, message, Reason.ACCESS_DENIED)
    return BackendRejected(code, message, Reason.CREDENTIALS_INVALID)


def nothing_found(doing: str, name: str) -> BackendError:
    """Ours where the whole chain has no keys: botocore's NoCredentialsError."""
    code = "NoCredentialsError"
    return BackendRejected(code, _hinted(doing, code, name), Reason.CREDENTIALS_INVALID)


def _hinted(message: str, code: str, name: str) -> str:
    hint = _HINTS.get(code, "").format(name=name) if name else ""
    return f"{message}; {hint}" if hint else message
