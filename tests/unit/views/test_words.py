"""Who may read which words."""

import pytest

from broker.domain.reason import REASONS, Reason
from broker.views.words import OURS, Words

CLOUDS = {
    Reason.BACKEND_ERROR, Reason.ACCESS_DENIED, Reason.CREDENTIALS_INVALID, Reason.QUOTA_EXCEEDED, Reason.THROTTLED,
    Reason.IMAGE_PULL_FAILED, Reason.SECRETS_UNAVAILABLE, Reason.NETWORK_UNAVAILABLE, Reason.INVALID_TEMPLATE,
    Reason.INSUFFICIENT_CAPACITY, Reason.CONTAINER_EXITED, Reason.POOL_COOLING_DOWN, Reason.QUEUE_TIMEOUT,
}  # fmt: skip


def test_no_reason_that_quotes_a_cloud_is_among_ours() -> None:
    assert not CLOUDS & OURS


@pytest.mark.parametrize("reason", Reason)
def test_everybody_is_told_what_to_do_next(reason: Reason) -> None:
    for raw in (True, False):
        assert REASONS[reason].hint in Words(raw=raw).hint(reason, "account 111122223333")
    told = Words(raw=False)
    shown = [told.message(reason, "account 1"), told.hint(reason, "account 1"), told.line(reason, "account 1")]
    assert any("account 1" in text for text in shown) is (reason in OURS)


def test_who_may_see_all_sees_all() -> None:
    assert Words(raw=True).message(Reason.BACKEND_ERROR, "account 1") == "account 1"
    assert Words(raw=False).message(None, "account 1") == ""
