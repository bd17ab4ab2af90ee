"""Task definitions that the config names: looked up, never registered, never deregistered."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakValueDictionary

from broker.backends.aws_ecs.chosen import Chosen, agent_of, chosen_of
from broker.backends.aws_ecs.options import TaskOptions
from broker.domain.reason import Reason
from broker.domain.template import Template
from broker.errors import BackendError, BackendRejected, OutcomeUnknown, Throttled
from broker.ports import Clock

Ask = Callable[[str, Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
"""An action of ECS with its parameters, both in the API's spelling. Raises `BackendError`s with the cloud's code."""

_FRESH_S: Final = 300.0
"""So long a name stands for the revision that it stood for: then a new one is picked up."""
ABSENT: Final = "ClientException"
"""DescribeTaskDefinition answers so for what is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    until: float
    described: Mapping[str, Any]


class ExistingDefinitions:
    """By the name in the config: family, family:revision or ARN."""

    def __init__(self, ask: Ask, clock: Clock) -> None:
        """Nothing is looked up yet."""
        self._ask = ask
        self._clock = clock
        self._seen: dict[str, _Seen] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def chosen(self, template: Template) -> Chosen:
        """What `templates.X.task_definition` stands for now, by its revision; BackendRejected if it cannot be run."""
        options, key = TaskOptions.of(template), f"templates.{template.name}"
        name = options.task_definition
        lock = self._locks.setdefault(name, asyncio.Lock())
        async with lock:  # bounded: one call, which is
            seen = self._seen.get(name)
            if seen is None or self._clock.monotonic() >= seen.until:
                described = await self._describe(name, f"{key}.task_definition")
                seen = _Seen(until=self._clock.monotonic() + _FRESH_S, described=described)
                self._seen[name] = seen
        agent = agent_of(seen.described, options.agent_container, f"{key}.agent_container")
        return chosen_of(seen.described, str(seen.described["taskDefinitionArn"]), agent, ours=False)

    def forget(self, arn: str) -> None:
        """It can no longer be run: the name is looked up anew."""
        self._seen = {n: seen for n, seen in self._seen.items() if seen.described["taskDefinitionArn"] != arn}

    async def _describe(self, name: str, key: str) -> Mapping[str, Any]:
        try:
            answer = await self._ask("DescribeTaskDefinition", {"taskDefinition": name})
        except OutcomeUnknown as error:
            raise Throttled(error.code, error.message, error.reason) from error
        except BackendError as error:
            if error.code != ABSENT:
                raise
            message = (
                f"{error.message} {key} names {name!r}: register it in this account and region, or correct the key"
            )
            raise BackendRejected(error.code, message, Reason.INVALID_TEMPLATE) from error
        described: Mapping[str, Any] = answer["taskDefinition"]
        if described.get("status") != "ACTIVE":
            message = f"{described['taskDefinitionArn']} is {described.get('status')}: name an active one in {key}"
            raise BackendRejected("NotActive", message, Reason.INVALID_TEMPLATE)
        return described
