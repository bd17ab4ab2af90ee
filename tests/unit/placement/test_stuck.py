"""What an agent that waits is told, of all that speaks against its pools."""

import pytest

from broker.domain.ids import PoolName
from broker.domain.placement import Rejection
from broker.domain.reason import Reason
from broker.placement.told import stuck

RESTS, FULL, SPOT = Reason.POOL_COOLING_DOWN, Reason.INSUFFICIENT_CAPACITY, Reason.SPOT_UNAVAILABLE


def rejected(reason: Reason, cause: Reason | None = None) -> Rejection:
    return Rejection(pool=PoolName("it"), reason=reason, message="x", cause=cause)


@pytest.mark.parametrize(
    ("rejections", "told"),
    [
        ([rejected(RESTS, SPOT), rejected(SPOT)], SPOT),
        ([rejected(RESTS, SPOT), rejected(RESTS, FULL)], FULL),
        ([rejected(FULL), rejected(Reason.SUPERSEDED)], FULL),
        ([rejected(RESTS, SPOT), rejected(Reason.POOL_AT_LIMIT)], RESTS),
        ([rejected(RESTS, Reason.ACCESS_DENIED)], RESTS),
        ([rejected(Reason.SUPERSEDED)], Reason.SUPERSEDED),
    ],
)
def test_where_everything_is_a_lack_the_lack_is_the_reason(rejections: list[Rejection], told: Reason) -> None:
    assert stuck(rejections).reason is told
