"""Plans: where agents would go now. Nothing is launched, reserved or written."""

from typing import cast

from broker.domain.agent import Agent
from broker.domain.lifecycle import Goal, Phase
from broker.placement.ground import all_offers
from broker.reconcile.context import Context
from broker.reconcile.place import usage_now
from broker.views.plan import PlanAsk, known_offers, moment_of, plan, policy_for
from broker.views.snapshot import Snapshot, take
from broker.web.api.asks import PlanQuery
from broker.web.api.call import Call
from broker.web.api.models_plan import Plan, Standing, to_plan, to_standing


class PlanHandlers:
    """The operations on plans."""

    _ctx: Context

    async def get_plan(self, call: Call) -> Plan:
        """Where agents would go now, and why not elsewhere."""
        asked, snapshot = cast(PlanQuery, call.query), await take(self._ctx)
        definitions = snapshot.definitions
        policy, controller, overrides = policy_for(definitions, asked.label, asked.policy, asked.controller)
        ask = PlanAsk(policy=policy, controller=controller, count=asked.n, job=asked.job, overrides=overrides)
        at = moment_of(asked.at, snapshot.now)
        offers, usage = await known_offers(self._ctx), await usage_now(self._ctx)
        planned = plan(ask, waiting_in(snapshot), offers, usage, definitions, at)
        return to_plan(planned, at, call.caller.words)

    async def get_placement(self, _call: Call) -> Standing:
        """What placement would decide against now: limits, rests, levers, offers and those that wait."""
        snapshot = await take(self._ctx)
        offers, usage = await known_offers(self._ctx), await usage_now(self._ctx)
        definitions = snapshot.definitions
        return to_standing(usage, all_offers(offers, usage, definitions), waiting_in(snapshot), definitions.revision)


def waiting_in(snapshot: Snapshot) -> list[Agent]:
    """Those that wait for a place."""
    return [a for a in snapshot.agents if a.phase is Phase.REQUESTED and a.goal is Goal.ONLINE]
