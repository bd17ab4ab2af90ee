"""The vendor's refusals that more than one action has, with its codes, words and statuses.

From the error codes of each action in the API's reference (https://www.alibabacloud.com/help/en/ecs/developer-reference/
and …/vpc/developer-reference/); where the reference has no words for a case, they are plain, so no client may depend on
them.
"""

from broker.demo.clouds.model import ApiError, Call


class Throttled(ApiError):
    """A call too many. `retry_after_ms` goes into the header `x-acs-retry-after`; 0: there is no such header."""

    def __init__(self, code: str, message: str, retry_after_ms: int = 0) -> None:
        """400, as the vendor has it."""
        super().__init__(code, message, 400)
        self.retry_after_ms = retry_after_ms


class NotBuilt(Exception):
    """The vendor has it and the fake does not: a test that comes here is told so."""


def missing(name: str) -> ApiError:
    """A parameter that must be there."""
    message = f'The input parameter "{name}" that is mandatory for processing this request is not supplied.'
    return ApiError("MissingParameter", message)


def invalid(name: str, code: str = "InvalidParameter", status: int = 400) -> ApiError:
    """A parameter's value that is not taken."""
    return ApiError(code, f'The specified parameter "{name}" is not valid.', status)


def conflict(message: str) -> ApiError:
    """Two parameters that may not be together."""
    return ApiError("InvalidParameter.Conflict", message)


def no_region() -> ApiError:
    """A region that is not there."""
    return ApiError("InvalidRegionId.NotFound", "The specified RegionId does not exist.", 404)


def no_instance() -> ApiError:
    """An instance that is not there, or no more."""
    return ApiError("InvalidInstanceId.NotFound", "The specified InstanceId does not exist.", 404)


def wrong_status() -> ApiError:
    """An instance in a state in which that cannot be done."""
    message = "The current status of the resource does not support this operation."
    return ApiError("IncorrectInstanceStatus", message, 403)


def dry_run() -> ApiError:
    """What a call answers that was only to be checked, and is right."""
    return ApiError("DryRunOperation", "Request validation has been passed with DryRun flag set.")


def token_mismatch() -> ApiError:
    """One client token, two requests."""
    message = "The specified parameter has changed while using an already used clientToken."
    return ApiError("IdempotentParameterMismatch", message)


def denied(call: Call) -> ApiError:
    """A call that RAM denies, as its service says it."""
    if call.service == "sts":
        return ApiError(
            "NoPermission", "You are not authorized to do this action. You should be authorized by RAM.", 403
        )
    message = "User not authorized to operate on the specified resource, or this API doesn't support RAM."
    return ApiError("Forbidden.RAM", message, 403)
