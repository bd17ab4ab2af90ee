"""One registration: a definition of the same content is taken as it is, a new one is told with its changes.

What is there is looked at first, so a registration whose answer was lost is found by its tags and not made twice.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from broker.backends.aws_ecs.diff import differences
from broker.backends.aws_ecs.existing import ABSENT, Ask
from broker.backends.aws_ecs.marks import Marks, others
from broker.errors import BackendError, OutcomeUnknown, Throttled
from broker.ports import Clock
from broker.telemetry import events

_TRIES: Final = 5
_PAUSE_S: Final = 0.5
"""Doubled from try to try where AWS refuses because the family is being registered elsewhere."""
_CONCURRENT: Final = "concurrent attempts to create a new revision"
"""AWS's words of a ClientException: nothing was registered, and it may be asked again."""
_MOST_CHANGES: Final = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A revision by its full ARN; `ours` says that this very backend has made it, now or before."""

    arn: str
    ours: bool


class Registering:
    """Registers what is not there. Whoever calls does so for one content of a family at a time."""

    def __init__(self, ask: Ask, clock: Clock, marks: Marks) -> None:
        """Nothing is called yet."""
        self._ask = ask
        self._clock = clock
        self._marks = marks

    async def revision_of(self, family: str, content: str, body: Mapping[str, Any]) -> Registered:
        """A revision with this content. BackendError: none is known to be registered; ask again."""
        pause = _PAUSE_S
        for left in reversed(range(_TRIES)):
            try:
                return await self._found_or_registered(family, content, body)
            except OutcomeUnknown as error:
                raise Throttled(error.code, error.message, error.reason) from error
            except BackendError as error:
                if _CONCURRENT not in error.message.lower():
                    raise
                if not left:
                    raise Throttled(error.code, error.message, error.reason) from error
            jitter = random.uniform(0.5, 1.0)  # noqa: S311 -- jitter
            await self._clock.sleep_until(self._clock.monotonic() + pause * jitter)
            pause *= 2
        raise AssertionError("the last try returns or raises")

    async def _found_or_registered(self, family: str, content: str, body: Mapping[str, Any]) -> Registered:
        newest, marks = await self._newest(family)
        changes = differences(newest, body) if newest else ()
        if newest and not changes and self._marks.content_of(family, marks) == content:
            arn = str(newest["taskDefinitionArn"])
            events.DEFINITION_ADOPTED.emit(backend=self._marks.backend, definition=arn, hash=content)
            return Registered(arn=arn, ours=self._marks.are_ours(family, marks))
        tags = [*body.get("tags", ()), *self._marks.tags(family, content)]
        answer = await self._ask("RegisterTaskDefinition", {**body, "tags": tags})
        arn = str(answer["taskDefinition"]["taskDefinitionArn"])
        events.DEFINITION_REGISTERED.emit(
            backend=self._marks.backend,
            definition=arn,
            hash=content,
            before=newest["taskDefinitionArn"] if newest else None,
            changes=[str(one) for one in changes[:_MOST_CHANGES]],
        )
        return Registered(arn=arn, ours=True)

    async def _newest(self, family: str) -> tuple[Mapping[str, Any] | None, Sequence[Mapping[str, Any]]]:
        """The family's newest active revision and its tags; None if there is none."""
        try:
            answer = await self._ask("DescribeTaskDefinition", {"taskDefinition": family, "include": ["TAGS"]})
        except BackendError as error:
            if error.code != ABSENT:
                raise
            return None, ()
        tags: Sequence[Mapping[str, Any]] = answer.get("tags") or ()
        return {**answer["taskDefinition"], "tags": others(tags)}, tags
