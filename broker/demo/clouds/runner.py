"""Tasks of the fake as processes: begun when they are RUNNING, told to end when they are, and gone when they end.

It looks at the tasks every few hundredths of a second, by the machine's clock, for processes know no other.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from broker.demo.clouds.aws import FakeAws
from broker.demo.clouds.ecs.tasks import Container, Status, Task
from broker.demo.clouds.processes import Processes, Work

_LOOK_S: Final = 0.05
_SIGTERM: Final = 143
"""The exit code of a process that a SIGTERM has ended."""


@asynccontextmanager
async def running_tasks(fake: FakeAws, processes: Processes) -> AsyncIterator["TaskRunner"]:
    """Runs a fake's tasks while it is entered; those that are left then are killed with `processes`."""
    runner = TaskRunner(fake, processes)
    async with asyncio.TaskGroup() as group:
        looking = group.create_task(runner.look_on(), name="tasks of the fake")
        try:
            yield runner
        finally:
            looking.cancel()


class TaskRunner:
    """What joins a fake's tasks with processes. A task that has a runner ends when its essential container has."""

    def __init__(self, fake: FakeAws, processes: Processes) -> None:
        """From now on the fake's tasks are run here, those of its own region."""
        self._fake, self._processes = fake, processes
        self._begun: set[str] = set()
        fake.ecs.runner = self

    async def look_on(self) -> None:
        """Looks until it is cancelled."""
        while True:
            self.look()
            await asyncio.sleep(_LOOK_S)

    def look(self) -> None:
        """Begins and ends what it is time for."""
        now = self._fake.ecs.now
        for task in self._fake.ecs.living:
            fresh = task.arn not in self._begun
            if task.reached(Status.RUNNING, now):
                self._begun.add(task.arn)
            if task.is_wanted(now):
                if fresh and task.arn in self._begun:
                    self._begin(task)
            elif fresh and task.arn in self._begun:  # ended before anybody had seen it run
                self._fake.ecs.stop(task.arn, exit_code=_SIGTERM)
            else:
                self._end(task)

    def _begin(self, task: Task) -> None:
        try:
            works = [self._work(task, container) for container in task.containers]
        except KeyError as missing:
            words = f"ResourceInitializationError: unable to pull secrets: {missing.args[0]} is not there"
            self._fake.ecs.stop(task.arn, exit_code=1, stop_code="TaskFailedToStart", stopped_reason=words)
            return
        for work in works:
            self._processes.start(work)

    def _end(self, task: Task) -> None:
        for container in task.containers:
            self._processes.stop(_name(task, container), container.stop_timeout)

    def _work(self, task: Task, container: Container) -> Work:
        defined = task.definition.container(container.name) or {}
        return Work(
            name=_name(task, container),
            environment={**container.environment, **self._secrets(defined), **_metadata(task)},
            entry_point=container.entry_point or (),
            command=container.command or (),
            log=self._log(task, container, defined),
            ended=self._ended(task, container),
        )

    def _secrets(self, defined: Mapping[str, Any]) -> dict[str, str]:
        found: dict[str, str] = {}
        for secret in defined.get("secrets", ()):
            reference = secret["valueFrom"]
            manager = ":secretsmanager:" in reference
            value = self._fake.secretsmanager.value_of(reference) if manager else self._fake.ssm.value_of(reference)
            if value is None:
                raise KeyError(reference)
            found[secret["name"]] = value
        return found

    def _log(self, task: Task, container: Container, defined: Mapping[str, Any]) -> Callable[[str], None]:
        configured = defined.get("logConfiguration", {})
        options = configured.get("options", {})
        if configured.get("logDriver") != "awslogs":
            return lambda line: None
        group, region = options["awslogs-group"], options.get("awslogs-region", "")
        prefix = options.get("awslogs-stream-prefix")
        stream = f"{prefix}/{container.name}/{task.id}" if prefix else container.runtime_id
        return lambda line: self._fake.logs.put(group, stream, [line], region)

    def _ended(self, task: Task, container: Container) -> Callable[[int], Awaitable[None]]:
        async def ended(code: int) -> None:
            if container.essential:
                self._end(task)
                self._fake.ecs.stop(task.arn, exit_code=code)

        return ended


def _name(task: Task, container: Container) -> str:
    return f"{task.id}-{container.name}"


def _metadata(task: Task) -> dict[str, str]:
    """What a container may know of itself."""
    region = task.arn.split(":")[3]
    return {"AWS_REGION": region, "AWS_DEFAULT_REGION": region, "ECS_TASK_ARN": task.arn}
