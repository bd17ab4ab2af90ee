"""From the file's policies to what the broker works with."""

from zoneinfo import ZoneInfo

from broker.config import model_policies as model
from broker.config.cron import read_cron
from broker.config.currencies import Currencies
from broker.config.hours import read_hours
from broker.config.units import milli
from broker.domain.ids import ControllerName, PolicyName, PoolName, TemplateName
from broker.domain.money import Budget, Per
from broker.domain.overrides import OverrideRules
from broker.domain.policy import (
    AgentLimits,
    Fallback,
    OnTimeout,
    PackBy,
    Policy,
    PoolChoice,
    Retry,
    Spread,
    SpreadBy,
    Strategy,
    Timeouts,
)
from broker.domain.reason import Reason
from broker.domain.schedule import Hours, WarmChange

DEFAULT_TEMPLATE = "default"
"""What a policy without `template` uses: the file's template of that name, else one of defaults alone."""


def to_policy(name: str, policy: model.PolicyModel, currencies: Currencies) -> Policy:
    """A policy whose values have passed all checks."""
    first, last = policy.retry.backoff
    return Policy(
        name=PolicyName(name),
        labels=tuple(policy.labels),
        template=TemplateName(policy.template or DEFAULT_TEMPLATE),
        pools=tuple(PoolChoice(pool=PoolName(use.pool), weight=use.weight, base=use.base) for use in policy.pools),
        strategy=Strategy(policy.strategy),
        accept_unlabelled=policy.accept_unlabelled,
        priority=policy.priority,
        name_prefix=policy.name_prefix or "",
        limits=AgentLimits(agents=policy.limits.agents, pending=policy.limits.pending),
        timeouts=_timeouts(policy.timeouts),
        retry=Retry(attempts=policy.retry.attempts, backoff_first=first, backoff_last=last),
        controllers=tuple(ControllerName(c) for c in policy.controllers or ()),
        min_idle=policy.warm.min_idle,
        warm_changes=tuple(_change(change) for change in policy.warm.schedule),
        fallback=tuple(_fallback(step) for step in policy.fallback),
        per_job=policy.limits.per_job,
        budget=_budget(policy.budget, currencies),
        overrides=_overrides(policy.overrides),
        spread=_spread(policy.spread),
        pack_by=PackBy(policy.binpack.by) if policy.binpack else PackBy.MEMORY,
    )


def _timeouts(timeouts: model.TimeoutsModel) -> Timeouts:
    return Timeouts(
        queue=timeouts.queue,
        launch=timeouts.launch,
        boot=timeouts.boot,
        connect=timeouts.connect,
        reconnect=timeouts.reconnect,
        drain=timeouts.drain,
        on_timeout=OnTimeout(timeouts.on_timeout),
    )


def _change(change: model.WarmSchedule) -> WarmChange:
    return WarmChange(cron=read_cron(change.cron), zone=ZoneInfo(change.timezone), min_idle=change.min_idle)


def _fallback(step: model.Fallback) -> Fallback:
    return Fallback(
        pool=PoolName(step.pool),
        after=step.after,
        when=tuple(dict.fromkeys(Reason(code) for code in step.when or ())),
        only=_hours(step.only),
    )


def _hours(only: model.Hours | None) -> Hours | None:
    if only is None:
        return None
    start, end = read_hours(only.hours)
    return Hours(start=start, end=end, zone=ZoneInfo(only.timezone))


def _budget(budget: model.Budget | None, currencies: Currencies) -> Budget | None:
    if budget is None:
        return None
    return Budget(
        amount=currencies.micros(budget.amount, budget.currency),
        per=Per(budget.per),
        pause=budget.on_exceeded == "pause",
        as_written=currencies.written(budget.amount, budget.currency),
    )


def _overrides(overrides: model.Overrides | None) -> OverrideRules:
    if overrides is None:
        return OverrideRules()
    return OverrideRules(
        allow=frozenset[str](overrides.allow),
        images=tuple(overrides.images),
        max_cpu_milli=milli(overrides.max_cpu),
        max_memory_mib=overrides.max_memory,
    )


def _spread(spread: model.Spread | None) -> Spread:
    return Spread(by=SpreadBy(spread.by), max_skew=spread.max_skew) if spread else Spread()
