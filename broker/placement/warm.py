"""Warm agents: which agents count as kept ready, how many are missing, and for how many there is room now."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from broker.domain.agent import Agent
from broker.domain.definitions import Definitions
from broker.domain.ids import AgentId, ControllerName, PolicyName
from broker.domain.lifecycle import Goal, Phase
from broker.domain.limits import Usage
from broker.domain.offer import Offer
from broker.domain.placement import Placed
from broker.domain.schedule import min_idle_at
from broker.placement.engine import decide
from broker.placement.imagined import imagined

FIRST_PAUSE: Final = timedelta(seconds=10)
LONGEST_PAUSE: Final = timedelta(minutes=10)
MOST_AT_ONCE: Final = 100
"""Agents of one policy that are asked for in one reply; the next one asks for more."""

_ENDING: Final = frozenset({Phase.DRAINING, Phase.TERMINATING, Phase.GONE})


def is_spare(agent: Agent, definitions: Definitions) -> bool:
    """Whether it waits for a build, or will: on its way or there, and allowed another one.

    One that has lost its session is expected back: another in its place would be one too many.
    """
    may_come = agent.goal is Goal.ONLINE and agent.phase not in _ENDING
    return may_come and not agent.busy and not definitions.used_up(agent)


def spares(
    agents: Iterable[Agent], policy: PolicyName, definitions: Definitions, *, queued: int, closed: frozenset[AgentId]
) -> list[Agent]:
    """The agents that count against `min_idle`, in the order in which they came online, those that start last.

    Not those that start for one of the `queued` builds, nor the `closed` ones, which Jenkins gives no build.
    """
    mine = [a for a in agents if a.policy == policy and a.id not in closed and is_spare(a, definitions)]
    mine.sort(key=lambda a: (a.online_at is None, a.online_at or a.requested_at, a.name))
    taken = {a.id for a in [a for a in mine if a.cause == "queue" and not a.was_online][: max(0, queued)]}
    return [a for a in mine if a.id not in taken]


def kept(agents: Sequence[Agent], number: int) -> frozenset[AgentId]:
    """Which of the spares the idle timeout must not end: the first ones, so that the choice lasts."""
    return frozenset(agent.id for agent in agents[: max(0, number)])


def counts(agents: Iterable[Agent], definitions: Definitions, now: datetime) -> dict[PolicyName, tuple[int, int]]:
    """Policy → how many idle agents of it are online, at most as many as are kept now, and how many are kept."""
    found = dict.fromkeys(definitions.policies, 0)
    for agent in agents:
        if agent.policy in found and agent.phase is Phase.ONLINE and is_spare(agent, definitions):
            found[agent.policy] += 1
    wanted = {name: min_idle_at(policy, now)[0] for name, policy in definitions.policies.items()}
    return {name: (min(found[name], most), most) for name, most in wanted.items()}


def share(min_idle: int, controllers: Sequence[ControllerName], controller: ControllerName) -> int:
    """How many of a policy's idle agents are a controller's: an even part, and the first ones what is left over."""
    if controller not in controllers:
        return 0
    even, over = divmod(min_idle, len(controllers))
    return even + (controllers.index(controller) < over)


def room(
    missing: Mapping[PolicyName, int],
    controller: ControllerName,
    usage: Usage,
    waiting: Sequence[Agent],
    definitions: Definitions,
) -> dict[PolicyName, int]:
    """For how many of the missing agents there is a place at once, after those that wait for one.

    As far as limits and breakers tell: no backend is asked.
    """
    asked = [
        imagined(f"imagined-{policy}-{number}", policy, controller, usage.now)
        for policy, most in missing.items()
        for number in range(min(most, MOST_AT_ONCE))
    ]
    offers = {name: [Offer(pool=name)] for name in definitions.pools}
    decide(list(waiting), offers, usage, definitions)  # takes their places from `usage`
    return Counter(d.agent.policy for d in decide(asked, offers, usage, definitions) if isinstance(d, Placed))


def pause(failures: int, min_idle: int) -> timedelta:
    """How long none is asked for after the last failure: doubling with each round of failures."""
    rounds = -(-failures // max(1, min_idle))
    return min(FIRST_PAUSE * 2 ** min(rounds - 1, 16), LONGEST_PAUSE) if rounds else timedelta()
