"""The state of one region, and what the passing of time does to it."""

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from broker.demo.clouds.alibaba.catalog import Catalog, zones_of
from broker.demo.clouds.alibaba.instances import Disk, Instance
from broker.demo.clouds.alibaba.knobs import Knobs, Span, drawn
from broker.demo.clouds.alibaba.networks import Networks
from broker.demo.clouds.alibaba.stock import Stock
from broker.demo.clouds.alibaba.tokens import Tokens
from broker.demo.clouds.alibaba.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What Cloud Assistant runs on an instance."""

    invocation: str
    kind: str
    """RunShellScript, RunPythonScript, RunBatScript or RunPowerShellScript."""
    content: str
    timeout_s: int
    username: str
    directory: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a script ended, or how far it is: `exit_code` None while it runs. `output` is all that it has written."""

    output: bytes = b""
    exit_code: int | None = None


class Runner(Protocol):
    """What makes something real of instances. It is told in the order of events, when somebody asks the fake.

    So it must ask itself, by `FakeEcs.look`, as often as it wants to know of things.
    """

    def began(self, instance: Instance) -> None:
        """The instance has come to Running, for the first time or again."""

    def ended(self, instance: Instance) -> None:
        """It runs no more: it is stopped, deleted, reclaimed."""

    def console(self, instance: Instance) -> str:
        """What its serial console has shown."""

    def is_reachable(self, instance: Instance) -> bool:
        """Whether Cloud Assistant's agent inside answers."""

    def run_command(self, instance: Instance, script: Script) -> Callable[[], Ran]:
        """Begins a script inside; what is given tells how far it is, each time that it is called."""

    def stop_command(self, instance: Instance, invocation: str) -> None:
        """Kills what runs of an invocation; nothing if nothing does."""


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
