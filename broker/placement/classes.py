"""Requests that are equal to the engine fall into one class: what can serve them is worked out once for all."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from broker.domain.agent import Agent
from broker.domain.definitions import Definitions
from broker.domain.ids import ControllerName, PolicyName
from broker.domain.overrides import Override, applied, refusal
from broker.domain.placement import Placement, Rejection, Waits
from broker.domain.policy import Policy, PoolChoice, Strategy
from broker.domain.reason import Reason
from broker.placement.chain import Step, due
from broker.placement.feasible import Choice
from broker.placement.ground import Ground
from broker.placement.shelf import Shelf
from broker.placement.usage import shared_claims

Key = tuple[ControllerName, PolicyName, str, Override, int]
"""Controller, policy, job where that counts, what the build asks for itself, and which fallbacks' time has come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stuck:
    """Why a class gets no place."""

    reason: Reason
    message: str
    rejections: tuple[Rejection, ...] = ()
    stalled: bool = False
    look_at: datetime | None = None


class Ask:
    """A class of equal requests, the oldest first, with what its policy's pools can do for it."""

    def __init__(self, ground: Ground, policy: Policy, first: Agent, ripe: int, number: int) -> None:
        self.number = number
        """Its place among the classes of a batch, by the age of its oldest request."""
        definitions, template = ground.definitions, ground.definitions.templates[policy.template]
        asked = first.overrides
        refused = refusal(asked, policy.overrides, template, policy.name) if asked.keys else None
        self.forbidden = None if refused is None else Stuck(reason=refused[0], message=refused[1])
        self.policy = policy
        self.template = applied(template, asked)
        self.usage = ground.usage
        self.agents: list[Agent] = []
        self.done = 0
        """How many of them have a place."""
        self.held_key = (first.controller, policy.name)
        self.shared = ground.meters.load(shared_claims(first, policy, definitions))
        self.own = [Choice(ground, policy, self.template, choice, self.shared) for choice in policy.pools]
        self.steps = [
            Step(
                Choice(ground, policy, self.template, PoolChoice(pool=fallback.pool), self.shared),
                fallback,
                first,
                ripe >> at & 1,
            )
            for at, fallback in enumerate(policy.fallback)
        ]
        self.packs = policy.strategy is Strategy.BINPACK
        self.stuck: Stuck | None = None
        self.last: Placement | None = None
        self.last_taken: tuple[Choice, Shelf]
        self.last_parts: list[tuple[Rejection, ...]] = []
        self.last_told: tuple[Rejection, ...] = ()

    @property
    def head(self) -> Agent:
        """The oldest that has no place yet."""
        return self.agents[self.done]

    @property
    def is_done(self) -> bool:
        """Whether all have one."""
        return self.done == len(self.agents)

    def waits(self) -> list[Waits]:
        """What is said of all that have no place."""
        stuck = self.stuck
        if stuck is None or self.is_done:
            return []
        rest = self.agents[self.done :]
        return [
            Waits(
                agent=agent,
                policy=self.policy,
                reason=stuck.reason,
                message=stuck.message,
                rejections=stuck.rejections,
                stalled=stuck.stalled,
                look_at=stuck.look_at,
            )
            for agent in rest
        ]


def sort(agents: Sequence[Agent], ground: Ground) -> tuple[list[Ask], list[Waits]]:
    """Sorts requests into classes, the oldest of each first; and what is said of those without a policy."""
    definitions: Definitions = ground.definitions
    asks: dict[Key, Ask] = {}
    homeless = []
    for agent in sorted(agents, key=lambda a: (a.requested_at, a.name, a.id)):
        policy = definitions.policies.get(agent.policy)
        if policy is None:
            message = f"policy {agent.policy} is no longer configured"
            homeless.append(Waits(agent=agent, policy=None, reason=Reason.NO_MATCHING_POLICY, message=message))
            continue
        ripe = due(policy, agent.requested_at, ground.usage.now) if policy.fallback else 0
        job = agent.job if policy.per_job is not None else ""
        key = (agent.controller, policy.name, job, agent.overrides, ripe)
        ask = asks.get(key)
        if ask is None:
            ask = asks[key] = Ask(ground, policy, agent, ripe, len(asks))
        ask.agents.append(agent)
    return list(asks.values()), homeless
