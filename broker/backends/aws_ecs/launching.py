"""One RunTask for one attempt, and what is known of those whose answer nobody heard."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from broker.backends.aws_ecs.calls import Answer, Calls
from broker.backends.aws_ecs.errors import TokenInUse, of_failure
from broker.backends.aws_ecs.observe import Task
from broker.backends.aws_ecs.ownership import Ownership
from broker.backends.aws_ecs.rates import Family
from broker.domain.ids import InstanceRef
from broker.errors import BackendError, BackendRejected, InsufficientCapacity, OutcomeUnknown, Throttled
from broker.ports import Clock

_TURN_S: Final = 20.0
"""So long a launch waits in line: its caller waits for half a minute."""
UNSURE_S: Final = 60.0
"""So long after a call whose answer nobody heard, "there is none" may still become untrue."""
_MOST_ANSWERED: Final = 10_000


class Runner:
    """Calls RunTask. The same launch again is the same task, as ECS keeps client tokens for a day."""

    def __init__(self, calls: Calls, ownership: Ownership, cluster: str, clock: Clock) -> None:
        """Nothing is under way."""
        self._calls = calls
        self._ownership = ownership
        self._cluster = cluster
        self._clock = clock
        self._unsure: dict[str, float] = {}
        self._answered: dict[str, InstanceRef] = {}

    async def run(self, launch: str, request: Answer) -> Task:
        """The task of this launch. Errors as `ports.Backend.launch`, and DefinitionGone."""
        now = self._clock.monotonic()
        self._unsure = {other: noted for other, noted in self._unsure.items() if now - noted < UNSURE_S}
        known_before = launch in self._unsure
        try:
            task = await self._call(launch, request)
        except (BackendRejected, InsufficientCapacity, Throttled) as error:
            if known_before and not isinstance(error, InsufficientCapacity):
                raise  # an earlier call may still have made one: its refusal, or its keys', says nothing of that
            self._unsure.pop(launch, None)
            raise
        self._unsure.pop(launch, None)
        self._answered[launch] = InstanceRef(str(task["taskArn"]))
        if len(self._answered) > _MOST_ANSWERED:
            del self._answered[next(iter(self._answered))]
        return task

    def answered(self, launch: str) -> InstanceRef | None:
        """The task that this process has had as the answer to a launch."""
        return self._answered.get(launch)

    def is_unsure(self, launch: str) -> bool:
        """Whether a call of this launch may still be carried out."""
        noted = self._unsure.get(launch)
        return noted is not None and self._clock.monotonic() - noted < UNSURE_S

    async def _call(self, launch: str, request: Answer) -> Task:
        def sent() -> None:
            self._unsure[launch] = self._clock.monotonic()

        try:
            told = await self._calls.ecs(Family.RUN, "RunTask", request, patience_s=_TURN_S, before=sent)
        except TokenInUse as error:
            return await self._found(launch, error)
        tasks: Sequence[Task] = told.get("tasks") or ()
        if tasks:
            return tasks[0]
        failures: Sequence[Mapping[str, Any]] = told.get("failures") or ()
        if not failures:
            raise OutcomeUnknown("NoAnswer", "RunTask names neither a task nor a failure")
        raise of_failure(str(failures[0].get("reason") or ""), str(failures[0].get("detail") or ""), _capacity(request))

    async def _found(self, launch: str, error: TokenInUse) -> Task:
        """The task that an earlier call with this token has made, with other parameters: a config has changed since."""
        if error.arns:
            wanted = {"cluster": self._cluster, "tasks": list(error.arns[:100]), "include": ["TAGS"]}
            try:
                told = await self._calls.ecs(Family.READ, "DescribeTasks", wanted)
            except BackendError as failed:
                raise OutcomeUnknown(error.code, f"{error.message}; {failed.message}") from failed
            for task in told.get("tasks") or ():
                owner = self._ownership.of(task)
                if owner is not None and owner.launch == launch:
                    found: Task = task
                    return found
            if len(told.get("tasks") or ()) < len(error.arns):
                raise OutcomeUnknown(error.code, f"{error.message}; {', '.join(error.arns)} cannot be seen yet")
        raise BackendRejected(error.code, error.message)


def _capacity(request: Answer) -> str:
    strategy: Sequence[Mapping[str, Any]] = request.get("capacityProviderStrategy") or ()
    return str(strategy[0].get("capacityProvider")) if len(strategy) == 1 else ""
