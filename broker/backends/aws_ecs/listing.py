"""All tasks of this installation in the backend's cluster: by `startedBy`, every page, with their tags."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from broker.backends.aws_ecs.calls import Calls
from broker.backends.aws_ecs.known import NEVER, Tasks
from broker.backends.aws_ecs.observe import Task, is_ending
from broker.backends.aws_ecs.ownership import INSTALLATION, NOBODY, Owned, Ownership
from broker.backends.aws_ecs.rates import Family
from broker.domain.ids import InstanceRef
from broker.errors import BackendError
from broker.ports import Clock
from broker.telemetry import events

_PAGE: Final = 100
_PAGES: Final = 1000
_SHARED_S: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One listing; what is not ours is not in it."""

    tasks: tuple[tuple[Task, Owned], ...]
    failed: BackendError | None = None
    """What has kept it from being complete."""


class Lister:
    """Lists; one listing at a time, shared by who asks meanwhile."""

    def __init__(self, calls: Calls, ownership: Ownership, cluster: str, clock: Clock, tasks: Tasks) -> None:
        """Nothing is listed yet. Whose a task of `tasks` is need not be asked again."""
        self._tasks = tasks
        self._calls = calls
        self._ownership = ownership
        self._cluster = cluster
        self._clock = clock
        self._lock = asyncio.Lock()
        self._last = Listed(tasks=())
        self._last_at = NEVER
        self._warned: set[str] = set()

    async def recent(self) -> Listed:
        """One that began within the last two seconds. Raises what has kept it from being complete."""
        asked = self._clock.monotonic()
        async with self._lock:  # bounded: every call below is
            if asked - self._last_at >= _SHARED_S:
                self._last_at, self._last = NEVER, await self._list()
                if self._last.failed is None:
                    self._last_at = asked
        if self._last.failed is not None:
            raise self._last.failed
        return self._last

    async def now(self) -> Listed:
        """A new one; incomplete if a page is missing."""
        async with self._lock:  # bounded: every call below is
            return await self._list()

    async def _list(self) -> Listed:
        """Those that are to run, as ECS lists where nothing is said: `startedBy` may be the only filter (API reference,
        ListTasks). One that is on its way out is nobody's care.
        """
        tasks: list[tuple[Task, Owned | None]] = []
        failed: BackendError | None = None
        request: dict[str, Any] = {
            "cluster": self._cluster,
            "startedBy": self._ownership.started_by,
            "maxResults": _PAGE,
        }
        try:
            for _ in range(_PAGES):
                page = await self._calls.ecs(Family.READ, "ListTasks", request)
                tasks += await self._described(page.get("taskArns") or ())
                if not page.get("nextToken"):
                    break
                request["nextToken"] = page["nextToken"]
            else:
                failed = BackendError("TooManyPages", f"ListTasks: more than {_PAGES} pages")
        except BackendError as error:
            failed = error
        return Listed(tasks=self._ours([one for one in tasks if not is_ending(one[0])]), failed=failed)

    async def _described(self, arns: Sequence[str]) -> list[tuple[Task, Owned | None]]:
        """Each with its owner; those that are watched as they were when they were last looked at."""
        watched = [known for arn in arns if (known := self._tasks.by_ref.get(InstanceRef(arn))) is not None]
        found: list[tuple[Task, Owned | None]] = [
            (known.task, known.owned)
            for known in watched
            if known.task is not None and known.owned not in {None, NOBODY}
        ]
        there = {task["taskArn"] for task, _ in found}
        if unknown := [arn for arn in arns if arn not in there]:
            request = {"cluster": self._cluster, "tasks": unknown, "include": ["TAGS"]}
            told: Mapping[str, Any] = await self._calls.ecs(Family.READ, "DescribeTasks", request)
            found += [(task, self._ownership.of(task)) for task in told.get("tasks") or ()]
        return found

    def _ours(self, owned: Sequence[tuple[Task, Owned | None]]) -> tuple[tuple[Task, Owned], ...]:
        """Less those with copied marks: a launch is one task, so of two with one launch neither is touched."""
        launches = Counter(owner.launch for _, owner in owned if owner is not None)
        ours = tuple((task, owner) for task, owner in owned if owner is not None and launches[owner.launch] == 1)
        mine = {str(task["taskArn"]) for task, _ in ours}
        foreign = {str(t["taskArn"]) for t, _ in owned if str(t["taskArn"]) not in mine and _is_marked(t)}
        for arn in sorted(foreign - self._warned):
            events.INSTANCE_NOT_OURS.emit(instance=arn, started_by=self._ownership.started_by)
        self._warned = foreign
        return ours


def _is_marked(task: Task) -> bool:
    return any(tag.get("key") == INSTALLATION for tag in task.get("tags") or ())
