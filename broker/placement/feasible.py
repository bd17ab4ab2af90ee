"""What speaks against a pool, in the view of requests that are equal; each filter says why."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from broker.domain.definitions import Definitions
from broker.domain.ids import PoolName
from broker.domain.limits import LeverKind, Scope, Usage
from broker.domain.money import Rate, period
from broker.domain.placement import Rejection
from broker.domain.policy import PackBy, Policy, PoolChoice
from broker.domain.reason import Reason
from broker.domain.template import Template
from broker.errors import BackendError
from broker.placement import words
from broker.placement.ground import Ground, Offers
from broker.placement.hosts import Size
from broker.placement.meters import Load
from broker.placement.prices import budget_claims, rate_of
from broker.placement.shelf import Pick, Shelf
from broker.placement.usage import pool_claims

CAPS_ON_AGENTS: Final = frozenset({Scope.POOL_AGENTS, Scope.POOL_CPU_MILLI, Scope.POOL_MEMORY_MIB})
"""The pool's limits that only the end of an agent makes room under."""

_MEASURES: Final = {
    PackBy.AGENTS: Scope.POOL_AGENTS,
    PackBy.CPU: Scope.POOL_CPU_MILLI,
    PackBy.MEMORY: Scope.POOL_MEMORY_MIB,
}

Rejections = tuple[Rejection, ...]


@dataclass(frozen=True, slots=True)
class Terms:
    """What an agent takes of limits, and what it costs, at one place of a pool."""

    load: Load
    rate: Rate | None


class Choice:
    """One pool for one class of requests. Everything is worked out again only after something was taken of the pool."""

    def __init__(self, ground: Ground, policy: Policy, template: Template, of: PoolChoice, shared: Load) -> None:
        name = of.pool
        self.weight = of.weight
        self.base = of.base
        self.pool = ground.definitions.pools[name]
        self.room = ground.room(name)
        self.now = ground.usage.now
        resources = template.resources
        self.size: Size = (resources.cpu_milli, resources.memory_mib)
        self.load = ground.meters.load(pool_claims(resources, self.pool))
        self.count_key = (policy.name, name)
        self.stalls = False
        """Whether what speaks against it is a cap that only the end of an agent makes room under."""
        self._ground = ground
        self._usage = ground.usage
        self._policy = policy
        self._template = template
        self._shared = shared
        self._pulled = self._lever()
        self._failed = self._error()
        self._fixed = self._pulled or (() if self.room.shelves else self._failed)
        self._version = -1
        self._against: Rejections = ()
        self.barred: Rejections = ()
        """What the policy's strategy itself has against places that have room."""
        self._never: list[Rejection] | None = None
        self._usable = 0
        self._full_words = ""
        self._told: dict[tuple[int, bool, bool], Rejections] = {}
        self._told_version = -1
        self._told_elsewhere: Rejections = ()
        self._terms: dict[object, Terms] = {}

    @property
    def name(self) -> PoolName:
        """The pool's name."""
        return self.pool.name

    def against(self) -> Rejections:
        """Why it cannot take one more agent now; empty if it can."""
        if self._version != self.room.version or self._policy.budget is not None:
            self._version = self.room.version
            self.stalls = False
            self._against = self._fixed or self._resting() or self._full() or self._no_room() or self._too_dear()
        return self._against

    def is_ruled_out(self) -> bool:
        """Whether it could take no such agent even when empty: by an operator's doing, or by size."""
        shelves = self.room.shelves
        small = bool(shelves) and all(shelf.too_small(self.size) == shelf.total for shelf in shelves)
        return small or bool(self._pulled)

    def left(self, by: PackBy) -> tuple[bool, int]:
        """How much its limits leave of what `by` names, for sorting: without a limit comes last, fuller ones first."""
        claims = {claim.scope: claim for claim in self.load.claims}
        claim = claims.get(_MEASURES[by]) or claims[Scope.POOL_AGENTS]
        used = self._ground.meters.of(claim).used
        return (True, -used) if claim.cap is None else (False, claim.cap - used)

    def terms(self, pick: Pick) -> Terms:
        """What an agent takes and costs at a place."""
        shelf, offer = pick.shelf, pick.offer
        priced = shelf.price is not None or self.pool.cost is not None
        key = (shelf.price, bool(offer.host), offer.shape, offer.slots, offer.of_slots) if priced else None
        known = self._terms.get(key)
        if known is None:
            rate = rate_of(self._policy, self._template, self.pool, offer, self._usage)
            money = budget_claims(self._policy, rate, self.now)
            load = self._ground.meters.load((*self._shared.claims, *self.load.claims, *money))
            known = self._terms[key] = Terms(load, rate)
        return known

    def passed_over(self, pick: Pick | None) -> Rejections:
        """What is said of its offers when `pick` is taken, here or (None) elsewhere."""
        if pick is None:
            return self._elsewhere()
        if self.barred:
            return self._offers_told(pick)
        key = (self.room.fitting(self.size), pick.is_counted(self.size), self.room.cap.left > 0)
        known = self._told.get(key)
        if known is None:
            known = self._told[key] = self._offers_told(pick)
        return known

    def _elsewhere(self) -> Rejections:
        if self.against():
            return self._against
        if self.barred:
            return self._offers_told(None)
        if self._told_version != self.room.version:
            self._told_version = self.room.version
            self._told_elsewhere = self._offers_told(None)
        return self._told_elsewhere

    def _offers_told(self, pick: Pick | None) -> Rejections:
        fitting = self.room.fitting(self.size) - sum(r.offers for r in self.barred)
        message = words.NOT_CHOSEN[self._policy.strategy]
        if pick is not None:
            message = words.OTHER_PLACE
            fitting -= pick.is_counted(self.size)
        told = [self._said(Reason.SUPERSEDED, message, fitting)] if fitting > 0 else []
        return (*told, *self.barred, *self._unfit(0 if pick is None or pick.is_counted(self.size) else 1))

    def _unfit(self, chosen: int) -> list[Rejection]:
        """Of the offers that cannot take the agent, less so many that were chosen as the rest of a host."""
        if self._never is None:
            self._never = self._never_told()
        full = self._usable - self.room.fitting(self.size) - chosen
        told = list[Rejection]()
        if (capped := min(self.room.capped(self.size), full)) > 0 and self.pool.hosts is not None:
            message = words.hosts_full(self.name, self.pool.hosts.most, self.size)
            told.append(self._said(Reason.POOL_AT_LIMIT, message, capped))
            full -= capped
        if full:
            told.append(self._said(Reason.INSUFFICIENT_CAPACITY, self._full_words, full))
        return [*told, *self._never]

    def _never_told(self) -> list[Rejection]:
        """Of the offers that cannot take such an agent in this batch, whatever else is placed."""
        shelves = self.room.shelves
        told = [self._cooled(shelf) for shelf in shelves if shelf.cooled is not None]
        open_ = [shelf for shelf in shelves if shelf.cooled is None]
        small = sum(shelf.too_small(self.size) for shelf in open_)
        if small:
            told.append(self._said(Reason.INVALID_TEMPLATE, words.too_small(self.name, self.size), small))
        self._usable = sum(shelf.total for shelf in open_) - small
        has_hosts = any(shelf.has_hosts for shelf in shelves)
        self._full_words = words.no_room(self.name, self.size, has_hosts=has_hosts)
        return told

    def _no_room(self) -> Rejections:
        if self.room.fitting(self.size):
            return ()
        if self.room.pick(self.size) is not None:  # the rest of a host that was made in this batch
            return ()
        if self._failed:
            return self._failed
        told = self._unfit(0)
        if not told:
            message = words.no_room(self.name, self.size, has_hosts=False)
            told.append(self._said(Reason.INSUFFICIENT_CAPACITY, message))
        return tuple(told)

    def _too_dear(self) -> Rejections:
        if self._policy.budget is None:
            return ()
        pick = self.room.pick(self.size)
        full = None if pick is None else self.terms(pick).load.full()
        if full is None or full.scope is not Scope.POLICY_BUDGET:
            return ()
        _, until = period(self.now, self._policy.budget.per)
        reason, message = full.reason, full.refusal(self._ground.meters.of(full).used)
        return (Rejection(pool=self.name, reason=reason, message=message, until=until),)

    def _cooled(self, shelf: Shelf) -> Rejection:
        cooled, offering = shelf.cooled, shelf.offering
        assert cooled is not None
        return Rejection(
            pool=self.name,
            reason=Reason.POOL_COOLING_DOWN,
            message=words.cooled(offering, cooled),
            zone=offering.zone,
            type=offering.type,
            offers=shelf.total,
            cause=cooled.why,
            until=cooled.until,
        )

    def _lever(self) -> Rejections:
        lever = self._usage.levers.get(self.name)
        if lever is None or (lever.until is not None and lever.until <= self._usage.now):
            return ()
        reason = Reason.POOL_PAUSED if lever.kind is LeverKind.PAUSE else Reason.POOL_DRAINING
        return (Rejection(pool=self.name, reason=reason, message=words.lever(lever), until=lever.until),)

    def _error(self) -> Rejections:
        answer = self._ground.offers.get(self.name, ())
        return (self._said(answer.reason, str(answer)),) if isinstance(answer, BackendError) else ()

    def _resting(self) -> Rejections:
        rest = self._usage.rests.get(self.name)
        if rest is not None and rest.opened and rest.until is not None:
            if self._usage.now < rest.until:
                return (self._cooling(words.rests(self.name, rest), rest.why, rest.until),)
            if rest.probe is not None:
                return (self._cooling(words.is_tried(self.name, rest), rest.why),)
        if self._usage.window.get(self.name) == 0:
            return (self._cooling(words.unproven(self.name, rest), rest.why if rest else None),)
        return ()

    def _full(self) -> Rejections:
        full = self.load.full()
        self.stalls = full is not None and full.scope in CAPS_ON_AGENTS
        return (self._said(full.reason, full.refusal(self._ground.meters.of(full).used)),) if full else ()

    def _cooling(self, message: str, why: Reason | None, until: datetime | None = None) -> Rejection:
        reason = Reason.POOL_COOLING_DOWN
        return Rejection(pool=self.name, reason=reason, message=message, cause=why, until=until)

    def _said(self, reason: Reason, message: str, offers: int = 1) -> Rejection:
        return Rejection(pool=self.name, reason=reason, message=message, offers=offers)


def sieve(policy: Policy, offers: Offers, usage: Usage, definitions: Definitions) -> list[Rejection]:
    """Why pools of a policy's chain cannot take an agent now, in its order."""
    ground = Ground(offers, usage, definitions)
    template, shared = definitions.templates[policy.template], ground.meters.load(())
    return [
        r for pool in policy.chain for r in Choice(ground, policy, template, PoolChoice(pool=pool), shared).against()
    ]
