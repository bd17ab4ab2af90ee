"""What is said beside a decision: of every pool that was not chosen, and of a class that gets no place."""

from collections.abc import Iterable, Sequence
from itertools import chain

from broker.domain.limits import PENDING_SCOPES, Claim, Scope
from broker.domain.placement import Rejection
from broker.domain.reason import LACKS, Reason
from broker.placement.chain import causes
from broker.placement.chosen import Chosen
from broker.placement.classes import Ask, Stuck
from broker.placement.feasible import Rejections
from broker.placement.ground import Ground


def others(ask: Ask, chosen: Chosen) -> Rejections:
    """What spoke against every offer of the policy but the chosen one; the same tuple as before while it is equal."""
    picked, choice = chosen.pick, chosen.choice
    parts = [own.passed_over(picked if own is choice else None) for own in ask.own]
    if ask.steps:
        parts += _of_steps(ask, chosen, parts)
    if parts != ask.last_parts or ask.last is None:
        ask.last_parts = parts
        ask.last_told = tuple(chain.from_iterable(parts))
    return ask.last_told


def _of_steps(ask: Ask, chosen: Chosen, own_parts: Sequence[Rejections]) -> list[Rejections]:
    if all(step.choice is not chosen.choice for step in ask.steps):
        return [step.standby for step in ask.steps]
    parts: list[Rejections] = []
    before, is_after = list(chain.from_iterable(own_parts)), False
    for step in ask.steps:
        if step.choice is chosen.choice:
            is_after = True
            parts.append(step.choice.passed_over(chosen.pick))
        else:
            parts.append(step.standby if is_after else step.against(causes(before)))
            before += parts[-1]
    return parts


def own(ask: Ask) -> list[Rejection]:
    """What speaks against the policy's own pools, none of which takes the agent."""
    return [rejection for choice in ask.own for rejection in choice.passed_over(None)]


def nowhere(ask: Ask, before: list[Rejection]) -> Stuck:
    """No pool and no fallback takes the agent."""
    told, stalls = list(before), [choice.stalls for choice in ask.own]
    for step in ask.steps:
        against = step.against(causes(told))
        if against is step.choice.against():
            stalls.append(step.choice.stalls)
        told += against
    return stuck(told, stalled=all(stalls))


def full(claim: Claim, ground: Ground) -> Stuck:
    """A limit is full that counts wherever the agent would run."""
    stalled = claim.scope not in PENDING_SCOPES and claim.scope is not Scope.POLICY_BUDGET
    return Stuck(reason=claim.reason, message=claim.refusal(ground.meters.of(claim).used), stalled=stalled)


def stuck(rejections: Iterable[Rejection], *, stalled: bool = False) -> Stuck:
    """Sums up rejections: the reason of the first that is one; a lack where there is nothing but lacks."""
    told = tuple(rejections)
    speak = [r for r in told if r.reason is not Reason.SUPERSEDED] or list(told[:1])
    reason, causes = speak[0].reason, {r.cause or r.reason for r in speak}
    if causes <= LACKS:
        reason = min(causes) if len(causes) == 1 else Reason.INSUFFICIENT_CAPACITY
    message = "; ".join(f"{r.pool}: {r.message}" if r.reason is Reason.SUPERSEDED else r.message for r in told)
    return Stuck(
        reason=reason,
        message=message,
        rejections=told,
        stalled=stalled,
        look_at=min((r.until for r in told if r.until is not None), default=None),
    )
