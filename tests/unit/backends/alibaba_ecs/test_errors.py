"""What the cloud's codes mean, and what to do next."""

import pytest

from broker.backends.alibaba_ecs.errors import classify, translate
from broker.backends.throttle import Closed
from broker.domain.reason import Reason
from broker.errors import BackendError, BackendRejected, InsufficientCapacity, OutcomeUnknown, Throttled


class Refused(Exception):
    """As the SDK's exceptions: `alibabacloud_tea_openapi/exceptions`."""

    def __init__(self, code: str, status: int, retry_after: int | None = None) -> None:
        super().__init__(code)
        self.code, self.status_code, self.retry_after = code, status, retry_after
        self.message, self.data = f"code: {status}, words request id: 1", {"Message": "words"}


@pytest.mark.parametrize(
    ("code", "status", "kind", "reason"),
    [
        ("OperationDenied.NoStock", 403, InsufficientCapacity, Reason.INSUFFICIENT_CAPACITY),
        ("Zone.NotOnSale", 403, InsufficientCapacity, Reason.INSUFFICIENT_CAPACITY),
        ("InvalidSpotPriceLimit.LowerThanPublicPrice", 400, InsufficientCapacity, Reason.SPOT_UNAVAILABLE),
        ("QuotaExceed.ElasticQuota", 403, InsufficientCapacity, Reason.QUOTA_EXCEEDED),
        ("InvalidVSwitchId.IpNotEnough", 403, InsufficientCapacity, Reason.INSUFFICIENT_CAPACITY),
        ("QuotaExceeded.PrivateIpAddress", 400, InsufficientCapacity, Reason.INSUFFICIENT_CAPACITY),
        ("Throttling.User", 400, Throttled, Reason.THROTTLED),
        ("Throttling", 400, Throttled, Reason.THROTTLED),
        ("Forbidden.RAM", 403, BackendRejected, Reason.ACCESS_DENIED),
        ("InvalidAccessKeyId.NotFound", 404, BackendRejected, Reason.CREDENTIALS_INVALID),
        ("SignatureDoesNotMatch", 400, BackendRejected, Reason.CREDENTIALS_INVALID),
        ("InvalidSecurityToken.Expired", 400, BackendRejected, Reason.CREDENTIALS_INVALID),
        ("InvalidImageId.NotFound", 404, BackendRejected, Reason.INVALID_TEMPLATE),
        ("InvalidInstanceType.ValueNotSupported", 403, BackendRejected, Reason.INVALID_TEMPLATE),
        ("InvalidSystemDiskCategory.ValueNotSupported", 400, BackendRejected, Reason.INVALID_TEMPLATE),
        ("InvalidSecurityGroupId.NotFound", 404, BackendRejected, Reason.NETWORK_UNAVAILABLE),
        ("InternalError", 500, OutcomeUnknown, Reason.BACKEND_ERROR),
        ("ServiceUnavailable", 503, OutcomeUnknown, Reason.BACKEND_ERROR),
        ("NobodyKnowsThis", 500, OutcomeUnknown, Reason.BACKEND_ERROR),
        ("NobodyKnowsThis", 400, BackendRejected, Reason.BACKEND_ERROR),
    ],
)
def test_a_code_says_what_to_do_next(code: str, status: int, kind: type[BackendError], reason: Reason) -> None:
    found = translate("ecs:RunInstances", Refused(code, status), "ali")
    assert isinstance(found, kind)
    assert (found.reason, found.code) == (reason, code)
    assert found.message.startswith("words")


@pytest.mark.parametrize(
    ("code", "key"),
    [
        ("InvalidImageId.NotFound", "pools.POOL.image_id"),
        ("InvalidKeyPairName.NotFound", "pools.POOL.key_pair"),
        ("InvalidPassword.Malformed", "pools.POOL.password"),
        ("InvalidAccessKeyId.NotFound", "backends.ali"),
        ("InvalidRegionId.NotFound", "backends.ali.region"),
    ],
)
def test_what_a_person_can_put_right_names_the_key(code: str, key: str) -> None:
    assert key in classify("ecs:RunInstances", code, "words", 400, "ali").message


def test_how_long_the_cloud_says_that_it_is_closed_is_kept() -> None:
    found = translate("ecs:RunInstances", Refused("Throttling.User", 400, retry_after=1500), "ali")
    assert isinstance(found, Closed)
    assert found.pause_s == 1.5


def test_a_bug_is_no_error_of_the_clouds() -> None:
    assert translate("ecs:RunInstances", KeyError("x"), "ali") is None
