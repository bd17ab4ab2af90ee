"""What an agent would cost on an offer, and what it takes of its policy's budget."""

from datetime import datetime, timedelta
from fractions import Fraction
from typing import Final

from broker.domain.limits import Claim, Scope, Usage, budget_key
from broker.domain.money import Budget, Micros, Per, Rate, by_period, per_hour, period, shown
from broker.domain.offer import Offer
from broker.domain.policy import Policy
from broker.domain.pool import Pool
from broker.domain.resources import Resources
from broker.domain.template import Template

UNKNOWN_LIFE: Final = timedelta(minutes=10)
"""How long an agent is expected to live while none of its policy has ended yet."""

DEAREST: Final = Micros(10**12)
"""A million an hour: what a month of ten thousand such agents costs can still be stored."""


def rate_of(policy: Policy, template: Template, pool: Pool, offer: Offer, usage: Usage) -> Rate | None:
    """What an agent of a template costs on an offer; None where nobody has said what the pool costs.

    The price that the cloud says with its offer goes before the pool's. `template` is the one after what the build
    asked for itself. `expected` is the policy's median life, at most `max_lifetime`.
    """
    hourly = hourly_of(template.resources, pool, offer)
    if hourly is None:
        return None
    expected = usage.lives.get(policy.name, UNKNOWN_LIFE)
    longest = template.retention.max_lifetime
    return Rate(hourly=hourly, expected=min(expected, longest) if longest else expected)


def hourly_of(size: Resources, pool: Pool, offer: Offer) -> Micros | None:
    """What an agent of a size costs an hour on an offer, at most `DEAREST`; None without a price."""
    share = _share_of_host(size, offer)
    if offer.price is None:
        hourly = per_hour(pool.cost, size, share)
    else:
        hourly = offer.price if share is None else Micros(-(-offer.price * share.numerator // share.denominator))
    return None if hourly is None else min(hourly, DEAREST)


def _share_of_host(size: Resources, offer: Offer) -> Fraction | None:
    """The part of a host that the agent uses up: of what it takes most of, or one of its places, or all of it."""
    if not offer.host and offer.shape is None:
        return None
    parts = [Fraction(0)]
    if offer.shape is not None:
        of_both = ((size.cpu_milli, offer.shape.cpu_milli), (size.memory_mib, offer.shape.memory_mib))
        parts += [Fraction(wanted, has) for wanted, has in of_both if has]
        slots = offer.of_slots or offer.slots
        parts += [Fraction(1, slots)] if slots else []
    return min(max(parts), Fraction(1)) or Fraction(1)


def budget_claims(policy: Policy, rate: Rate | None, now: datetime) -> tuple[Claim, ...]:
    """What an agent takes of its policy's budget: the cost of its expected life, in each period that it falls into.

    Nothing without a budget or a price. A budget that only warns has no cap.
    """
    budget = policy.budget
    if budget is None or rate is None:
        return ()
    return tuple(
        Claim(
            scope=Scope.POLICY_BUDGET,
            key=budget_key(policy.name, key),
            amount=micros,
            cap=budget.amount if budget.pause else None,
            words=_refusal(budget, micros, now) if budget.pause else "",
        )
        for key, micros in by_period(rate.hourly, now, now + rate.expected, budget.per)
        if micros
    )


def _refusal(budget: Budget, wanted: Micros, now: datetime) -> str:
    """Says that the money is spent, and when there is more."""
    of_period = f"the {budget.per}'s {budget.as_written or shown(budget.amount, '')}"
    if wanted > budget.amount:
        return f"an agent is expected to cost more than {of_period}"
    _, until = period(now, budget.per)
    when = "at 00:00 UTC" if budget.per is Per.DAY else f"on {until:%Y-%m-%d} at 00:00 UTC"
    return f"{of_period} are spent or set aside; resumes {when}"
