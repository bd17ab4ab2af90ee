"""Bases of capacity provider strategies, over all tasks of a backend.

RunTask reckons a base for each call alone, and a call here is of one task: with a base every task would be of it, and
weights would mean nothing (API reference, CapacityProviderStrategyItem; a service is one such call).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from broker.backends.aws_ecs.known import Tasks
from broker.backends.aws_ecs.observe import is_ending
from broker.ports import Clock

_KEPT_S: Final = 120.0
"""So long a launch that was not answered is one of the base, and asks for the same when it is tried again."""


@dataclass(frozen=True, slots=True)
class _Asked:
    provider: str
    """Empty: its base was reached."""
    at: float


class Bases:
    """Says of each launch whether it counts for the base of its strategy."""

    def __init__(self, tasks: Tasks, clock: Clock) -> None:
        """`tasks` are those that are watched."""
        self._tasks = tasks
        self._clock = clock
        self._asked: dict[str, _Asked] = {}

    def begins(self, launch: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """What to ask for: without a base that is reached. The same for the same launch."""
        strategy: Sequence[Mapping[str, Any]] = request.get("capacityProviderStrategy") or ()
        based = next((one for one in strategy if one.get("base")), None)
        if based is None or len(strategy) < 2:
            return request
        now = self._clock.monotonic()
        self._asked = {other: one for other, one in self._asked.items() if now - one.at < _KEPT_S}
        if launch not in self._asked:
            provider = str(based["capacityProvider"])
            self._asked[launch] = _Asked(provider if self._of(provider) < based["base"] else "", now)
        if self._asked[launch].provider:
            return request
        return {**request, "capacityProviderStrategy": [{**one, "base": 0} for one in strategy]}

    def ends(self, launch: str) -> None:
        """It is answered: with a task, which is watched, or for good without one."""
        self._asked.pop(launch, None)

    def _of(self, provider: str) -> int:
        """Tasks of ours on a provider, and those that are asked for."""
        known = (one.task for one in self._tasks.by_ref.values() if one.owned is not None)
        living = [task for task in known if task is not None and not is_ending(task)]
        there = [task for task in living if task.get("capacityProviderName") == provider]
        return len(there) + sum(one.provider == provider for one in self._asked.values())
