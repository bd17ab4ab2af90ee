"""A refusal tells by its words whether other clouds may serve the build meanwhile."""

import pytest

from broker.domain.limits import Claim, Scope, is_cap_on_agents
from broker.domain.reason import Reason


@pytest.mark.parametrize("scope", Scope)
def test_a_full_cap_on_agents_is_told_from_one_on_starting_agents(scope: Scope) -> None:
    claim = Claim(scope=scope, key="k", amount=1, cap=4)
    assert is_cap_on_agents(claim.reason, claim.refusal(4)) is ("pending" not in scope)


def test_another_reason_is_no_cap() -> None:
    assert not is_cap_on_agents(Reason.POOL_COOLING_DOWN, "rests until 12:00")
    assert not is_cap_on_agents(None, "")
