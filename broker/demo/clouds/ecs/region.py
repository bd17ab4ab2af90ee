"""The state of Amazon ECS in one account and region, and what the passing of time does to it."""

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from broker.demo.clouds.ecs import knobs, life
from broker.demo.clouds.ecs.clusters import Clusters
from broker.demo.clouds.ecs.definitions import Definitions
from broker.demo.clouds.ecs.instances import Need
from broker.demo.clouds.ecs.knobs import Fate, Quotas, Span, Timing
from broker.demo.clouds.ecs.names import CloudTime, Ids, Names
from broker.demo.clouds.ecs.network import Network
from broker.demo.clouds.ecs.scaling import Group
from broker.demo.clouds.ecs.tasks import Status, Task
from broker.demo.clouds.ecs.tokens import Tokens
from broker.demo.clouds.throttles import Throttles

REMEMBERED_S: Final = 3600.0
"""A task that is STOPPED can be described for so long."""
_LOOK_S: Final = 1.0
"""How often it is looked whether a test made room for tasks that wait; of all else it is known at once."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A task without a place: what it needs, and what looks for a place at a time."""

    task: Task
    need: Need
    place: Callable[[float], bool]


@dataclass(slots=True)
class Region:
    """All there is. `settle` brings it to the present; everything else takes it as it then is."""

    names: Names
    time: CloudTime
    network: Network
    chance: random.Random
    throttles: Throttles
    clusters: Clusters = field(init=False)
    definitions: Definitions = field(init=False)
    ids: Ids = field(init=False)
    tokens: Tokens = field(default_factory=Tokens)
    timing: Timing = field(default_factory=Timing)
    quotas: Quotas = field(default_factory=Quotas)
    tasks: dict[str, Task] = field(default_factory=dict)
    """By ARN, in the order of their launch."""
    visible_after_s: Span = 0.0
    """A fresh task is MISSING and in no list for so long."""
    listed_after_end_s: float = 0.0
    """A task whose desired status is STOPPED stays in the lists of those that are to run for so long."""
    missing_images: dict[str, str] = field(default_factory=dict)
    """Images that cannot be pulled, and the agent's words; "": the usual ones."""
    unreadable_secrets: set[str] = field(default_factory=set)
    unassumable_roles: set[str] = field(default_factory=set)
    stop_deletes_tags: bool = True
    """As the API's reference says of StopTask."""
    runs: Callable[[Task], bool] = lambda task: False
    """Whether something outside decides when the containers of a task that runs have ended."""
    failures: list[str] = field(default_factory=list)
    fates: list[Fate] = field(default_factory=list)
    closed: set[tuple[str, str]] = field(default_factory=set)
    waiting: dict[str, Waiting] = field(default_factory=dict)
    """By ARN: tasks without a place, in the order in which they came."""
    groups: dict[str, Group] = field(default_factory=dict)
    """By capacity provider: what brings machines for those that wait."""
    arrive: Callable[[Group, float], None] = lambda group, at: None
    """Makes a machine of a group."""
    secret: Callable[[str], object] | None = None
    """The value of a secret for a task, None if it cannot be read; without this all can."""
    _due: list[tuple[float, int, str, str]] = field(default_factory=list)
    _number: int = 0
    _looked_at: float = float("-inf")

    def __post_init__(self) -> None:
        """No cluster yet."""
        self.clusters = Clusters(self.names)
        self.definitions = Definitions(self.names, self.time, self._is_used)
        self.ids = Ids(self.chance)

    def _is_used(self, definition_arn: str) -> bool:
        now = self.time.now()
        return any(task.definition.arn == definition_arn and not task.is_over(now) for task in self.tasks.values())

    def next_number(self) -> int:
        """Numbers tasks in the order of their launch."""
        self._number += 1
        return self._number

    def next_failure(self) -> str | None:
        """The reason with which the next RunTask is to fail, None if it is not."""
        return self.failures.pop(0) if self.failures else None

    def next_fate(self, task: Task) -> Fate | None:
        """What becomes of a task that starts now, None for nothing special."""
        if self.fates:
            return self.fates.pop(0)
        for container in task.containers:
            if container.image in self.missing_images:
                return knobs.cannot_pull(container.image, self.missing_images[container.image])
        for one in task.definition.content["containerDefinitions"]:
            for secret in one.get("secrets", ()):
                if not self._readable(secret["valueFrom"]):
                    return knobs.unreadable_secret(secret["valueFrom"])
        return None

    def _readable(self, secret: str) -> bool:
        return secret not in self.unreadable_secrets and (self.secret is None or self.secret(secret) is not None)

    def is_closed(self, provider: str, zone: str) -> bool:
        """Whether a provider has no capacity in a zone."""
        return (provider, zone) in self.closed or (provider, "") in self.closed

    def follow(self, task: Task) -> None:
        """Takes note of a task whose plan is new: when it runs, when it holds nothing more."""
        task.edits += 1
        at = task.since(Status.STOPPED)
        if at is not None:
            self._later(at, "over", task.arn)
        if task.instance is not None and (running := task.since(Status.RUNNING)) is not None:
            self._later(running, "running", task.arn)

    def wait(self, task: Task, need: Need, place: Callable[[float], bool]) -> None:
        """A task waits for managed scaling; `place` looks again for room at a time."""
        self.waiting[task.arn] = Waiting(task, need, place)
        now = self.time.now()
        self._later(now + self.quotas.provisioning_timeout_s, "gave up", task.arn)
        self._grow(now)

    def settle(self) -> float:
        """Does what was to happen until now, and gives the time that is now."""
        now = self.time.now()
        while self._due and self._due[0][0] <= now:
            at, _, what, subject = heapq.heappop(self._due)
            if what == "machine":
                self._arrive(subject, at)
            elif (task := self.tasks.get(subject)) is not None:
                self._happen(task, what, at)
        if self.waiting and now >= self._looked_at + _LOOK_S:
            self.place_waiting(now)
        return now

    def place_waiting(self, now: float) -> None:
        """Gives places to tasks that wait, as far as there are any now, in the order in which they came."""
        self._looked_at = now
        for arn, waiting in list(self.waiting.items()):
            if waiting.place(now):
                del self.waiting[arn]

    def _grow(self, now: float) -> None:
        for group in self.groups.values():
            needs = [one.need for one in self.waiting.values() if one.task.capacity_provider == group.provider]
            for _ in range(group.missing(needs)):
                group.size += 1
                group.coming += 1
                self._later(now + group.comes_after_s, "machine", group.provider)

    def _arrive(self, provider: str, at: float) -> None:
        self.groups[provider].coming -= 1
        self.arrive(self.groups[provider], at)
        self.place_waiting(at)

    def _happen(self, task: Task, what: str, at: float) -> None:
        if what == "over" and task.since(Status.STOPPED) == at and not task.released:
            self._release(task)
            self._later(at + REMEMBERED_S, "forgotten", task.arn)
            self.place_waiting(at)
        elif what == "forgotten":
            del self.tasks[task.arn]
        elif what == "running" and task.instance and task.arn in task.instance.held and task.is_wanted(at):
            task.instance.running.add(task.arn)
        elif what == "gave up" and task.arn in self.waiting:
            del self.waiting[task.arn]
            life.fail(task, at, "TaskFailedToStart", "Timed out waiting for capacity")
            self.follow(task)

    def _release(self, task: Task) -> None:
        task.released = True
        if task.instance is not None:
            task.instance.release(task.arn)
        if task.subnet is not None and task.address:
            self.network.give_back(task.subnet, task.address)

    def _later(self, at: float, what: str, arn: str) -> None:
        self._number += 1
        heapq.heappush(self._due, (at, self._number, what, arn))
