"""How our Groovy counts what is missing, and what it gives back."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from broker.demo.shortage import Labels, shortage
from tests.benchmarks.replay import Agent, World
from tests.benchmarks.spare import LAUNCHED_MS, Kept, Spare
from tests.benchmarks.traces import Arrival


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was given back for one build, by serial number, and of what; for a comparison with the Groovy."""

    waiting: Mapping[Labels, int]
    agents: tuple[Kept, ...]
    named: int | None
    kind: Labels
    launched_too: bool
    given_back: int | None


class Ours:
    """As our Groovy counts: over the whole queue, whatever was asked for, from its name on."""

    review_ms: int = 1000

    def __init__(self) -> None:
        """Notes what it counts, for a comparison with the Groovy."""
        self.countings: dict[str, tuple[dict[Labels, int], dict[Labels, int], dict[Labels, int]]] = {}
        self.choices: list[Choice] = []
        self._late: list[tuple[int, Arrival]] = []

    def review(self, world: World, wanted: Labels) -> None:
        """The shortage of the whole queue, of which this label's is asked for."""
        world.ask(wanted, self._shortage(world, world.agents).get(wanted, 0))

    def tick(self, world: World) -> None:
        """Knows no averages."""

    def cancelled(self, world: World, build: Arrival) -> None:
        """Gives back an agent that waits for room, else a little later one that was launched (`Aborted`, `Spare`)."""
        if not self._give_back(world, build, launched_too=False):
            self._late.append((world.now_ms + LAUNCHED_MS, build))

    def look(self, world: World) -> None:
        """Gives back what was kept for the next build, and has got none."""
        while self._late and self._late[0][0] <= world.now_ms:
            self._give_back(world, self._late.pop(0)[1], launched_too=True)

    def _give_back(self, world: World, build: Arrival, *, launched_too: bool) -> bool:
        of = {agent.number: agent for agent in world.agents if agent.ends_ms is None}
        kept = tuple(Kept(serial=n, line=n, kind=one.kind, stalled=one.launched_ms is None) for n, one in of.items())
        named = next((one for one in kept if of[one.serial].build is build), None)
        kind = named.kind if named else world.kind_for(build.wants)
        soon = [late for _, late in self._late] if launched_too else []
        waiting = dict(Counter(one.wants for one in [*world.queue, *soon]))
        spare = Spare(kept, lambda places: sum(shortage(waiting, places).values()))
        found = spare.take(named, kept, kind, launched_too=launched_too)
        self.choices.append(
            Choice(
                waiting=waiting,
                agents=kept,
                named=named.serial if named else None,
                kind=kind,
                launched_too=launched_too,
                given_back=found.serial if found else None,
            )
        )
        if found is not None:
            world.agents.remove(of[found.serial])
        return found is not None

    def _shortage(self, world: World, agents: list[Agent]) -> Mapping[Labels, int]:
        waiting = dict(Counter(build.wants for build in world.queue))
        places = dict(Counter(agent.kind for agent in agents if agent.ends_ms is None))
        left = shortage(waiting, places)
        self.countings[str((list(waiting.items()), list(places.items())))] = waiting, places, left
        return left
