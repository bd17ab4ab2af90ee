"""What agents cost, added up while they live: by the monotonic clock; what came together while nobody looked, once."""

from datetime import datetime, timedelta
from typing import Final

from broker.domain.ids import PolicyName
from broker.domain.money import Budget, day_of
from broker.reconcile.context import Context
from broker.store.spending import Spending, Standing, Sums
from broker.telemetry import events

_CHARGE_EVERY_S: Final = 10.0
_ABSENT: Final = timedelta(minutes=1)
_LOOKED_AT_WITHIN_S: Final = 30.0
_KNOWN: Final = timedelta(days=62)
"""So far back it is remembered what has been counted; no sums are kept for longer."""


class Spend:
    """Charges what agents cost, and makes budgets true."""

    def __init__(self, ctx: Context) -> None:
        """Counts from now on; `prepare` comes first."""
        self._ctx = ctx
        self._spending = Spending(ctx.database)
        self._last = self._began = ctx.clock.monotonic()
        self._was_absent = False
        self._known: Sums = {}
        self._since = ""
        """What a clock that was set back finds spent on a day before was counted by another process."""
        self._told: dict[PolicyName, str] = {}

    async def prepare(self) -> None:
        """Before anybody is placed: budgets count what came together while the broker did not run.

        It is charged when the backends have said whose instance is still there.
        """
        now = self._ctx.clock.now()
        charged_to = await self._spending.charged_to()
        if charged_to is not None and charged_to > now:  # how long it did not run nobody can say
            await self._spending.shift(now - charged_to)
        self._was_absent = charged_to is not None and now - charged_to >= _ABSENT
        self._since = _yesterday(now)
        self._known = await self._spending.sums(self._since)
        await self._charge(book=False)

    async def tick(self) -> None:
        """Each second: charges when it is time, and at once when the config has changed."""
        await self._follow_clock()
        mono = self._ctx.clock.monotonic()
        if mono - self._last < _CHARGE_EVERY_S and self._ctx.definitions is self._ctx.standing.budgeted:
            return
        self._was_absent = self._was_absent and not await self._all_looked_at(mono)
        await self._charge(book=not self._was_absent)
        self._last = mono

    async def _follow_clock(self) -> None:
        """Time is what the monotonic clock says: when the wall clock was set, all that counts from a moment moves."""
        by = self._ctx.wall.set_by()
        if by:
            await self._spending.shift(by, (self._ctx.wall.since(), self._ctx.clock.now()))
            await self._ctx.hosts.shift(by)
            self._ctx.wall.followed(by)
            self._ctx.nudge.placement()
            self._ctx.nudge.hosts()

    async def _all_looked_at(self, mono: float) -> bool:
        """Whether it is known of each agent that its instance lives; after a while nobody is waited for."""
        if mono - self._began >= _LOOKED_AT_WITHIN_S:
            return True
        for agent_id, instance in await self._spending.costing():
            seen = self._ctx.seen.get(agent_id)
            if seen is None or seen.ref != instance or seen.instance is None:
                return False
        return True

    async def _charge(self, *, book: bool) -> None:
        definitions, now = self._ctx.definitions, self._ctx.clock.now()
        budgets = {name: p.budget for name, p in definitions.policies.items() if p.budget is not None}
        standings = await self._spending.charge(budgets, now, book=book)
        if self._ctx.standing.budgeted is not definitions:
            self._ctx.standing.budgeted = definitions
            self._ctx.nudge.placement()
        sums = await self._spending.sums(_yesterday(now))
        for (policy, pool, day), micros in sums.items():
            before = self._known.get((policy, pool, day), 0 if day >= self._since else micros)
            self._ctx.metrics.money_spent(policy, pool, micros - before)
        kept = day_of(now - _KNOWN)
        self._known = {key: micros for key, micros in {**self._known, **sums}.items() if key[2] >= kept}
        self._told = {name: told for name, told in self._told.items() if name in budgets}
        for policy_name, standing in standings.items():
            self._tell(policy_name, budgets[policy_name], standing)

    def _tell(self, policy: PolicyName, budget: Budget, standing: Standing) -> None:
        self._ctx.metrics.budget_stands(policy, standing.spent, budget.amount)
        exceeded = standing.spent >= budget.amount or standing.refuses
        if exceeded and self._told.get(policy) != standing.period:
            self._told[policy] = standing.period
            events.BUDGET_EXCEEDED.emit(
                policy=policy,
                budget=budget.as_written,
                per=budget.per,
                until=standing.until.isoformat(),
                pauses=budget.pause,
            )


def _yesterday(now: datetime) -> str:
    return day_of(now - timedelta(days=1))
