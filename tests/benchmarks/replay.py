"""A trace replayed in virtual time: who counts in which way launches how many agents for it."""

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from broker.demo.shortage import Labels
from tests.benchmarks.plugins import MEANS_MS, Counts, Means, Plugin
from tests.benchmarks.traces import Arrival, Trace

TICK_MS: Final = 250
IDLE_MS: Final = 300_000
"""An agent that nobody needs ends after so long: the idle time of amazon-ecs."""
_LONGEST_MS: Final = 24 * 3_600_000


@dataclass(slots=True, kw_only=True, eq=False)
class Agent:
    """One that was asked for; `launched_ms` None while there is no room for it."""

    number: int
    kind: Labels
    review: Labels
    """The label whose review has asked for it."""
    start_ms: int
    build: Arrival | None = None
    """Which build it was asked for, where somebody notes that."""
    launched_ms: int | None = None
    ends_ms: int | None = None
    """When its build ends; None before it has one: each takes one."""


@dataclass(slots=True, kw_only=True)
class World:
    """Queue and agents at a moment; whoever counts decides, and this does what follows."""

    trace: Trace
    now_ms: int = 0
    queue: list[Arrival] = field(default_factory=list)
    agents: list[Agent] = field(default_factory=list)
    launched: int = 0
    run: int = 0
    cancelled: int = 0
    waited_ms: list[int] = field(default_factory=list)
    launches: Counter[int] = field(default_factory=Counter)
    chance: random.Random = field(default_factory=random.Random)
    _made: int = 0

    def ask(self, wanted: Labels, count: int) -> None:
        """Names so many agents, for the youngest builds that want this; those for whom there is room are launched."""
        kind = self.kind_for(wanted)
        waiting = [build for build in self.queue if build.wants == wanted]
        for build in waiting[len(waiting) - count :] if count else ():
            self._made += 1
            start_ms = random.Random(f"{self.trace.seed}-{self._made}").randint(*self.trace.starts_ms)
            self.agents.append(Agent(number=self._made, kind=kind, review=wanted, start_ms=start_ms, build=build))
        self._launch()

    def kind_for(self, wanted: Labels) -> Labels:
        """The labels of the agents that are asked for by builds that want this."""
        return next(kind for kind in self.trace.kinds if wanted <= kind)

    def room(self) -> int:
        """How many more may be launched now."""
        most = self.trace.most_at_once
        return len(self.agents) if most is None else most - sum(agent.launched_ms is not None for agent in self.agents)

    def age_ms(self, agent: Agent) -> int:
        """Since its launch; -1 before."""
        return -1 if agent.launched_ms is None else self.now_ms - agent.launched_ms

    def is_ready(self, agent: Agent) -> bool:
        """Whether it takes a build now."""
        return agent.ends_ms is None and self.age_ms(agent) >= agent.start_ms

    def _launch(self) -> None:
        room = self.room()
        for agent in [agent for agent in self.agents if agent.launched_ms is None][: max(0, room)]:
            agent.launched_ms = self.now_ms
            self.launched += 1
            self.launches[self.now_ms // 10_000 * 10] += 1

    def tick(self) -> None:
        """Ends what is over, and gives waiting builds to agents that are ready, the oldest first."""
        self.agents = [agent for agent in self.agents if not self._is_over(agent)]
        self._launch()
        ready = [agent for agent in self.agents if self.is_ready(agent)]
        for build in list(self.queue) if ready else ():
            agent = next((agent for agent in ready if build.wants <= agent.kind), None)
            if agent is not None:
                ready.remove(agent)
                self.queue.remove(build)
                agent.ends_ms = self.now_ms + build.runs_ms
                self.run += 1
                self.waited_ms.append(self.now_ms - build.at_ms)

    def _is_over(self, agent: Agent) -> bool:
        if agent.ends_ms is not None:
            return agent.ends_ms <= self.now_ms
        return self.age_ms(agent) >= agent.start_ms + IDLE_MS

    def cancel(self) -> Arrival | None:
        """Takes one waiting build out of the queue; None where none waits."""
        if not self.queue:
            return None
        self.cancelled += 1
        return self.queue.pop(self.chance.randrange(len(self.queue)))


class Side(Protocol):
    """Who counts."""

    review_ms: int

    def review(self, world: World, wanted: Labels) -> None:
        """Looks at one label, and asks for what is missing."""

    def tick(self, world: World) -> None:
        """Every `MEANS_MS`."""

    def cancelled(self, world: World, build: Arrival) -> None:
        """A build was cancelled."""

    def look(self, world: World) -> None:
        """Every `TICK_MS`."""


class Theirs:
    """As a plugin counts: each label for itself, what core's snapshot of it shows."""

    def __init__(self, plugin: Plugin) -> None:
        """Without averages yet."""
        self._plugin = plugin
        self.review_ms: int = plugin.review_ms
        self._means: dict[Labels, Means] = {}

    def review(self, world: World, wanted: Labels) -> None:
        """By the rule, and never over the limit."""
        counts = self._counts(world, wanted)
        means = self._means.setdefault(wanted, Means())
        means.review(counts)
        if counts.queue > counts.available:  # else core asks no strategy
            asked = self._plugin.rule(self._counts(world, wanted))
            room = world.room()
            world.ask(wanted, asked if world.trace.most_at_once is None else min(asked, max(0, room)))

    def tick(self, world: World) -> None:
        """Core's clock for its averages."""
        for wanted, means in self._means.items():
            means.tick(self._counts(world, wanted))

    def cancelled(self, world: World, build: Arrival) -> None:
        """None of them takes note of it."""

    def look(self, world: World) -> None:
        """Nor of what is left over."""

    def _counts(self, world: World, wanted: Labels) -> Counts:
        of = [agent for agent in world.agents if wanted <= agent.kind]
        means = self._means.get(wanted, Means())
        phases = Counter(self._phase(world, agent) for agent in of)
        planned = sum(self._phase(world, agent) == "planned" for agent in world.agents if agent.review == wanted)
        return Counts(
            queue=sum(build.wants == wanted for build in world.queue),
            available=phases["available"],
            connecting=phases["connecting"],
            planned=planned,
            offline=phases["gap"],
            online=phases["available"] + phases["refusing"] + phases["busy"],
            queue_mean=means.queue,
            available_mean=means.available,
            connecting_mean=means.connecting,
            planned_mean=means.planned,
        )

    def _phase(self, world: World, agent: Agent) -> str:
        plugin, age = self._plugin, world.age_ms(agent)
        if agent.ends_ms is not None:
            return "busy"
        if age >= agent.start_ms:
            return "available"
        if plugin.planned_ms is None or age < plugin.planned_ms:
            return "planned"
        if age < plugin.planned_ms + plugin.gap_ms:
            return "gap"
        return "refusing" if age >= agent.start_ms - plugin.refusing_ms else "connecting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a trace has come to."""

    launched: int
    run: int
    cancelled: int
    waited_ms: tuple[int, ...]
    launches: Mapping[int, int]
    """By the ten seconds in which they came, in seconds since the start."""

    @property
    def ratio(self) -> float:
        """Agents launched for each build that ran."""
        return self.launched / self.run


def replay(trace: Trace, side: Side) -> Outcome:
    """All of the trace, until nobody waits; AssertionError if somebody waits for a day."""
    world = World(trace=trace, chance=random.Random(trace.seed))
    arrivals, cancels = list(reversed(trace.arrivals)), list(reversed(trace.cancels_ms))
    while arrivals or cancels or world.queue:
        assert world.now_ms < _LONGEST_MS, f"still {len(world.queue)} builds in the queue"
        while arrivals and arrivals[-1].at_ms <= world.now_ms:
            world.queue.append(arrivals.pop())
        while cancels and cancels[-1] <= world.now_ms:
            cancels.pop()
            if (build := world.cancel()) is not None:
                side.cancelled(world, build)
        side.look(world)
        world.tick()
        if world.now_ms % MEANS_MS == 0:
            side.tick(world)
        if world.now_ms % side.review_ms == 0:
            for wanted in list(dict.fromkeys(build.wants for build in world.queue)):
                side.review(world, wanted)
        world.now_ms += TICK_MS
    return Outcome(
        launched=world.launched,
        run=world.run,
        cancelled=world.cancelled,
        waited_ms=tuple(world.waited_ms),
        launches=dict(world.launches),
    )
