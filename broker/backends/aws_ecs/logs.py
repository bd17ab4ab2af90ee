"""The last lines of a task that has ended, from CloudWatch Logs: asked once, a few at a time, never with its secret."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from broker.backends.aws_ecs.arns import task_id
from broker.backends.aws_ecs.calls import Calls
from broker.backends.aws_ecs.observe import Task, agent_of
from broker.backends.aws_ecs.rates import Family
from broker.errors import BackendError

_LINES: Final = 20
_LINE_LENGTH: Final = 400
_ALL_S: Final = 5.0
_SECRETS: Final = frozenset({"JENKINS_SECRET", "SLAVE_NODE_SECRET"})
_PATIENCE_S: Final = 1.0


class Logs:
    """Where each definition's agent logs, and the lines of tasks. What cannot be read is no lines: it is for people."""

    def __init__(self, calls: Calls) -> None:
        """Nothing is known yet."""
        self._calls = calls
        self._options: dict[str, Mapping[str, str]] = {}

    def learn(self, arn: str, options: Mapping[str, str]) -> None:
        """The `awslogs` options of a definition's agent container; empty: it logs elsewhere."""
        self._options[arn] = options

    async def last_lines(self, tasks: Sequence[tuple[Task, str]]) -> dict[str, tuple[str, ...]]:
        """By task ARN, for tasks with their agent containers' names; those that did not come in time have none."""
        found: dict[str, tuple[str, ...]] = {}
        try:
            async with asyncio.timeout(_ALL_S):
                for task, container in tasks:
                    found[str(task["taskArn"])] = await self._lines(task, container)
        except TimeoutError:
            pass
        return found

    async def _lines(self, task: Task, container: str) -> tuple[str, ...]:
        try:
            options = await self._options_of(str(task["taskDefinitionArn"]), container)
            stream = _stream(options, task, container)
            if not stream:
                return ()
            request = {
                "logGroupName": options["awslogs-group"],
                "logStreamName": stream,
                "limit": _LINES,
                "startFromHead": False,
            }
            region = options.get("awslogs-region", "")
            told = await self._calls.call(
                "logs", Family.LOGS, "GetLogEvents", request, region=region, patience_s=_PATIENCE_S
            )
        except BackendError:
            return ()
        lines = tuple(line for event in told["events"] for line in str(event["message"]).splitlines())
        return without_secret(lines[-_LINES:], task)

    async def _options_of(self, arn: str, container: str) -> Mapping[str, str]:
        """Known from the launch, or asked once for each definition."""
        if arn not in self._options:
            told = await self._calls.ecs(
                Family.READ, "DescribeTaskDefinition", {"taskDefinition": arn}, patience_s=_PATIENCE_S
            )
            agent = agent_of({"containers": told["taskDefinition"]["containerDefinitions"]}, container)
            driver: Mapping[str, Any] = agent.get("logConfiguration") or {}
            self._options[arn] = dict(driver.get("options") or {}) if driver.get("logDriver") == "awslogs" else {}
        return self._options[arn]


def without_secret(lines: Sequence[str], task: Task) -> tuple[str, ...]:
    """The lines, less what the task was given as its secret; then cut, so that no half of it is left."""
    secrets: list[str] = []
    for override in task.get("overrides", {}).get("containerOverrides") or ():
        words = list(override.get("command") or ())
        given = {str(one.get("name")): str(one.get("value", "")) for one in override.get("environment") or ()}
        secrets += [given[name] for name in _SECRETS if given.get(name)]
        secrets += [words[n + 1] for n, word in enumerate(words[:-1]) if word == "-secret"]
    kept = []
    for line in lines:
        for secret in secrets:
            line = line.replace(secret, "***")  # noqa: PLW2901 -- one line, cleaned again and again
        kept.append(line[:_LINE_LENGTH])
    return tuple(kept)


def _stream(options: Mapping[str, str], task: Task, container: str) -> str:
    """`prefix/container/task`, and the container's own id without a prefix (developer guide, "awslogs log driver")."""
    if not options.get("awslogs-group"):
        return ""
    agent, prefix = agent_of(task, container), options.get("awslogs-stream-prefix")
    if not prefix:
        return str(agent.get("runtimeId") or "")
    return f"{prefix}/{agent.get('name') or container}/{task_id(str(task['taskArn']))}"
