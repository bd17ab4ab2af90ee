"""Which pools of a policy can take an agent now, and why the others cannot."""

from collections.abc import Mapping, Sequence
from typing import Final

from broker.domain.definitions import Definitions
from broker.domain.ids import PoolName
from broker.domain.limits import Usage
from broker.domain.offer import Offer
from broker.domain.placement import Rejection
from broker.domain.policy import Policy
from broker.domain.reason import Reason
from broker.errors import BackendError
from broker.placement.usage import pool_claims

_LONGEST_CAUSE: Final = 200

Offers = Mapping[PoolName, Sequence[Offer] | BackendError]
"""What each pool offers; an error stands for the whole pool."""


def sieve(
    policy: Policy,
    offers: Offers,
    usage: Usage,
    definitions: Definitions,
) -> tuple[list[Offer], list[Rejection]]:
    """Splits the pools of a policy into offers that can hold one more agent and rejections, in the policy's order."""
    possible: list[Offer] = []
    rejections: list[Rejection] = []
    for choice in policy.pools:
        refusal = _resting(choice.pool, usage) or _full(policy, choice.pool, usage, definitions)
        answer = offers.get(choice.pool, ())
        if refusal is None and isinstance(answer, BackendError):
            refusal = Rejection(pool=choice.pool, reason=answer.reason, message=str(answer))
        if refusal is not None:
            rejections.append(refusal)
        elif not isinstance(answer, BackendError):
            room = [offer for offer in answer if offer.room is None or offer.room > 0]
            possible += room
            if not room:
                message = f"pool {choice.pool} has no room now"
                rejections.append(Rejection(pool=choice.pool, reason=Reason.INSUFFICIENT_CAPACITY, message=message))
    return possible, rejections


def _resting(pool: PoolName, usage: Usage) -> Rejection | None:
    rest = usage.rests.get(pool)
    if rest is None or not rest.opened or rest.until is None:
        return None
    first_line = rest.message.partition("\n")[0][:_LONGEST_CAUSE]
    cause = f"its launches failed: {rest.why or Reason.BACKEND_ERROR}: {first_line}"
    if usage.now < rest.until:
        message = f"pool {pool} rests until {rest.until:%H:%M:%S} UTC, {cause}"
    elif rest.probe is not None:
        message = f"pool {pool} is being tried with one agent, {cause}"
    else:
        return None
    return Rejection(pool=pool, reason=Reason.POOL_COOLING_DOWN, message=message)


def _full(policy: Policy, name: PoolName, usage: Usage, definitions: Definitions) -> Rejection | None:
    full = usage.first_full(pool_claims(policy, definitions.pools[name], definitions))
    if full is None:
        return None
    return Rejection(pool=name, reason=full.reason, message=full.refusal(usage.taken(full)))
