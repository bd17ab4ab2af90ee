"""What keeps agents out of a place, of all that is known to be out of stock."""

import pytest

from broker.domain.ids import PoolName
from broker.domain.limits import Cooled, Usage
from broker.domain.offer import Offering
from broker.domain.reason import Reason
from broker.testing.clock import EPOCH

CLOUD, OTHER = PoolName("cloud"), PoolName("other")
LACK = Cooled(until=EPOCH, why=Reason.INSUFFICIENT_CAPACITY, message="none left")


@pytest.mark.parametrize(
    ("lacks", "out"),
    [
        (Offering(CLOUD, "a", "small", "SPOT"), {"a small SPOT"}),
        (Offering(CLOUD, capacity="SPOT"), {"a small SPOT", "b large SPOT"}),
        (Offering(CLOUD), {"a small SPOT", "b large SPOT", "a small "}),
        (Offering(CLOUD, "a"), set()),
        (Offering(OTHER), set()),
    ],
)
def test_a_lack_keeps_agents_out_of_all_that_it_stands_for(lacks: Offering, out: set[str]) -> None:
    usage = Usage(now=EPOCH, cooled={lacks: LACK})
    offers = [
        Offering(CLOUD, "a", "small", "SPOT"),
        Offering(CLOUD, "b", "large", "SPOT"),
        Offering(CLOUD, "a", "small"),
    ]
    assert {f"{o.zone} {o.type} {o.capacity}" for o in offers if usage.cooled_at(o) is LACK} == out
