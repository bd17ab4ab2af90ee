"""Which agents to give back for builds that were cancelled: never one that a waiting build needs.

The same rule as `groovy/src/Spare.groovy`, held equal to it by the cases of `spare-cases.json`, which both run, and by
all that is given back in the traces.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from broker.demo.shortage import Labels

LAUNCHED_MS = 2_000
"""For so long an agent that was launched is kept for the next build (`Aborted.groovy`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """An agent that could take builds; `stalled`: nothing has been started for it yet."""

    serial: int
    line: int
    """In what order those that wait for room are launched."""
    kind: Labels
    stalled: bool
    places: int = 1
    job: str = ""


class Spare:
    """What is left over beside the agents of a moment, and beside fewer and fewer of them."""

    def __init__(self, agents: Iterable[Kept], left_over: Callable[[Mapping[Labels, int]], int]) -> None:
        """`left_over` says for how many waiting builds there is no place, by the kinds of places."""
        self._left_over = left_over
        agents = list(agents)
        self._all = _places(agents)
        self._moving = _places([agent for agent in agents if not agent.stalled])
        self._missing, self._missing_now = left_over(self._all), left_over(self._moving)
        self._needed: set[tuple[Labels, int, bool]] = set()

    def take(
        self, named: Kept | None, unused: Iterable[Kept], kind: Labels, job: str = "", *, launched_too: bool
    ) -> Kept | None:
        """The agent to give back for one build, which counts no more; None for none. `named`: that build's own."""
        alike = [agent for agent in unused if agent.kind == kind and agent.job == job]
        return next(filter(self._is_spare, _in_order(named, alike, launched_too=launched_too)), None)

    def _is_spare(self, agent: Kept) -> bool:
        """Whether no build needs it; then it counts no more."""
        like = agent.kind, agent.places, agent.stalled
        if like in self._needed:
            return False
        left = _without(self._all, agent)
        moving = self._moving if agent.stalled else _without(self._moving, agent)
        if self._left_over(left) > self._missing or self._left_over(moving) > self._missing_now:
            self._needed.add(like)
            return False
        self._all, self._moving = left, moving
        return True


def _in_order(named: Kept | None, alike: list[Kept], *, launched_too: bool) -> Iterator[Kept]:
    """The last in line first, whichever build it was asked for; then the build's own, then the youngest."""
    yield from sorted((agent for agent in alike if agent.stalled), key=lambda agent: -agent.line)
    if launched_too:
        launched = [agent for agent in alike if not agent.stalled]
        yield from sorted(launched, key=lambda agent: (agent != named, -agent.serial))


def _places(agents: Iterable[Kept]) -> dict[Labels, int]:
    places: Counter[Labels] = Counter()
    for agent in agents:
        places[agent.kind] += agent.places
    return dict(places)


def _without(places: Mapping[Labels, int], agent: Kept) -> dict[Labels, int]:
    return {**places, agent.kind: max(0, places[agent.kind] - agent.places)}
