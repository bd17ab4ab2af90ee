"""The state of one region, and what the passing of time does to it."""

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

from broker.demo.clouds.alibaba.assistant import Command, Invocation
from broker.demo.clouds.alibaba.catalog import Catalog, zones_of
from broker.demo.clouds.alibaba.instances import Disk, Instance
from broker.demo.clouds.alibaba.knobs import Knobs, Span, drawn
from broker.demo.clouds.alibaba.networks import Networks
from broker.demo.clouds.alibaba.runner import Runner
from broker.demo.clouds.alibaba.stock import Stock
from broker.demo.clouds.alibaba.tokens import Tokens
from broker.demo.clouds.alibaba.world import World


@dataclass(slots=True, kw_only=True)
class KeyPair:
    """A key pair of the region."""

    name: str
    body: str
    fingerprint: str
    created_at: float
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Region:
    """All there is. `settle` brings it to the present; everything else takes it as it then is."""

    name: str
    world: World
    catalog: Catalog
    stock: Stock
    knobs: Knobs
    networks: Networks = field(default_factory=Networks)
    instances: dict[str, Instance] = field(default_factory=dict)
    """By id, in the order of their creation; those that are gone are not there."""
    disks: dict[str, Disk] = field(default_factory=dict)
    key_pairs: dict[str, KeyPair] = field(default_factory=dict)
    commands: dict[str, Command] = field(default_factory=dict)
    invocations: dict[str, Invocation] = field(default_factory=dict)
    tokens: Tokens = field(default_factory=Tokens)
    runner: Runner | None = None
    made: int = 0
    """How many instances there have ever been."""
    _due: list[tuple[float, int, Callable[[float], None]]] = field(default_factory=list)
    _order: "itertools.count[int]" = field(default_factory=itertools.count)

    @property
    def zones(self) -> list[str]:
        """The ids of its zones."""
        return zones_of(self.name)

    def later(self, at: float, what: Callable[[float], None]) -> None:
        """Has something happen at a time; `what` is given that time."""
        heapq.heappush(self._due, (at, next(self._order), what))

    def settle(self) -> float:
        """Does what was to happen until now, and gives the time that is now."""
        now = self.world.now()
        while self._due and self._due[0][0] <= now:
            at, _, what = heapq.heappop(self._due)
            what(at)
        return now

    def drawn(self, span: Span) -> float:
        """Seconds in a span."""
        return drawn(span, self.world.chance)
