"""Which task definition a launch runs: one registration for all launches of the same content, whoever asks at once.

A definition is known by the hash of its content: in the process, in the store, and by its tags in the cloud. It is
always run by the full revision ARN that AWS gave.
"""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

from broker.backends.aws_ecs.chosen import Chosen, chosen_of
from broker.backends.aws_ecs.definition import content_hash, definition_body, family_of
from broker.backends.aws_ecs.existing import Ask, ExistingDefinitions
from broker.backends.aws_ecs.kept import KeptDefinitions
from broker.backends.aws_ecs.marks import Marks
from broker.backends.aws_ecs.options import AGENT_CONTAINER, FAMILY_PREFIX, TaskOptions
from broker.backends.aws_ecs.prune import Pruning
from broker.backends.aws_ecs.registering import Registering
from broker.domain.pool import Pool
from broker.domain.resources import Resources
from broker.domain.template import Template
from broker.errors import BackendError
from broker.ports import Clock, Memory
from broker.telemetry import events


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """What a backend's definitions are called, and how many unused ones stay."""

    marks: Marks
    place: str = ""
    """Account and region, as a text that tells them from others."""
    family_prefix: str = FAMILY_PREFIX
    keep: int = 2


@dataclass(frozen=True, slots=True)
class _Failed:
    times: int
    error: BackendError


class Definitions:
    """The task definitions of one backend."""

    def __init__(self, ask: Ask, memory: Memory, clock: Clock, naming: Naming) -> None:
        """`ask` calls ECS within its rate and in bounded time; nothing is called or read yet."""
        self._ask = ask
        self._naming = naming
        self._kept = KeptDefinitions(memory, clock, naming.marks.backend, naming.place)
        self._existing = ExistingDefinitions(ask, clock)
        self._registering = Registering(ask, clock, naming.marks)
        self._pruning = Pruning(ask, clock, self._kept, naming.marks, naming.keep)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._failed: dict[str, _Failed] = {}

    async def arn_for(
        self,
        template: Template,
        pool: Pool,
        configured: Resources | None = None,
        secrets: Mapping[str, str] | None = None,
    ) -> Chosen:
        """The definition to run for an agent of `template` in `pool`, registered if there is none of its content.

        `configured` is `LaunchSpec.configured`: the definition has that size, whatever a build asks for. `secrets` are
        further variables of the agent's container by reference: each set of them is another definition. Raises
        Throttled (nothing is registered, or nobody knows: ask again) and BackendRejected (with the key to change).
        """
        if TaskOptions.of(template).task_definition:
            return await self._existing.chosen(template)
        family = family_of(self._naming.family_prefix, template.name)
        body = definition_body(template, pool, family, configured, secrets)
        content = content_hash(body)
        kept = (await self._kept.known()).get(content)
        if kept is not None:
            await self._kept.use(content)
        arn = kept.arn if kept is not None else await self._one_at_a_time(family, content, body)
        return chosen_of(body, arn, AGENT_CONTAINER, ours=True)

    async def forget(self, arn: str) -> None:
        """RunTask says that it cannot be run: the next `arn_for` registers or looks it up anew."""
        events.DEFINITION_LOST.emit(backend=self._naming.marks.backend, definition=arn)
        self._existing.forget(arn)
        await self._kept.forget([arn])

    async def discard(self, arn: str) -> None:
        """Deregisters one that a single launch has needed; its task runs on. What fails here is pruned later."""
        await self._kept.forget([arn])
        with suppress(BackendError):
            await self._ask("DeregisterTaskDefinition", {"taskDefinition": arn})

    async def prune(self, living: Iterable[str]) -> None:
        """Deregisters old revisions of ours that nothing uses; `living` are the definitions of all tasks of ours.

        Cheap to call often: it looks once in an hour, and ends within seconds. Raises nothing of the cloud's.
        """
        await self._pruning.prune(frozenset(living))

    async def _one_at_a_time(self, family: str, content: str, body: Mapping[str, Any]) -> str:
        """Registers within the family's lock; those who waited for a failure share it."""
        before, lock = self._failed.get(content), self._locks.setdefault(family, asyncio.Lock())
        async with lock:  # bounded: a few calls, which are
            kept = (await self._kept.known()).get(content)
            if kept is not None:
                return kept.arn
            failed = self._failed.get(content)
            if failed is not None and (before is None or failed.times != before.times):
                raise failed.error
            try:
                made = await self._registering.revision_of(family, content, body)
            except BackendError as error:
                self._failed = {content: _Failed(failed.times + 1 if failed else 1, error)}
                raise
            await self._kept.keep(content, made.arn, ours=made.ours)
            return made.arn
