"""What of a policy's money is spent, in words."""

from broker.domain.limits import Scope, budget_key
from broker.domain.money import Micros, period, shown
from broker.domain.policy import Policy
from broker.views.snapshot import Snapshot


def spent(policy: Policy, snapshot: Snapshot) -> tuple[str, str]:
    """What of its period's budget is spent or set aside, and of how much that is; both empty without a budget."""
    budget = policy.budget
    if budget is None:
        return "", ""
    key, until = period(snapshot.now, budget.per)
    used = snapshot.used.get((Scope.POLICY_BUDGET, budget_key(policy.name, key)), 0)
    currency = snapshot.definitions.currency
    whole = shown(budget.amount, currency)
    told = f"of {whole} of the {budget.per} spent or set aside; anew {until:%Y-%m-%d %H:%M} UTC"
    return shown(Micros(used), currency), told
