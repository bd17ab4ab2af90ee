"""The end of old revisions: registered by this backend, run by no task, and chosen by no launch lately.

Tasks that run are not touched by it: AWS lets them run on. Families are only looked into where a definition of ours is
known to be; what has not our marks there stays.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from broker.backends.aws_ecs.existing import Ask
from broker.backends.aws_ecs.kept import Kept, KeptDefinitions
from broker.backends.aws_ecs.marks import Marks
from broker.errors import BackendError, Throttled
from broker.ports import Clock
from broker.telemetry import events

_EVERY_S: Final = 3600.0
_AGAIN_S: Final = 300.0
"""Until the next round where one could not do all."""
_LATELY: Final = timedelta(hours=24)
_MOST: Final = 10
"""Revisions that one round deregisters: AWS gives one registration or deregistration in a second, in the long run."""
_MOST_LOOKS: Final = 20
_MOST_PAGES: Final = 10
_ROUND_S: Final = 8.0


class Pruning:
    """Looks once in an hour, beginning with the first call."""

    def __init__(self, ask: Ask, clock: Clock, kept: KeptDefinitions, marks: Marks, keep: int) -> None:
        """`keep` is how many unused revisions of a family stay, the newest."""
        self._ask = ask
        self._clock = clock
        self._kept = kept
        self._marks = marks
        self._keep = keep
        self._due = float("-inf")
        self._not_ours: set[str] = set()
        self._ours: set[str] = set()

    async def prune(self, living: frozenset[str]) -> None:
        """One round, if it is time for one."""
        if self._clock.monotonic() < self._due:
            return
        self._due = self._clock.monotonic() + _EVERY_S
        gone: list[str] = []
        try:
            async with asyncio.timeout(_ROUND_S):
                more = await self._round(living, gone)
        except TimeoutError:
            more = True
        except BackendError as error:
            more = isinstance(error, Throttled)
            events.DEFINITIONS_NOT_PRUNED.emit(backend=self._marks.backend, error=str(error))
        if more:
            self._due = self._clock.monotonic() + _AGAIN_S
        if gone:
            events.DEFINITIONS_DEREGISTERED.emit(backend=self._marks.backend, definitions=gone)
            await self._kept.forget(gone)

    async def _round(self, living: frozenset[str], gone: list[str]) -> bool:
        """Notes in `gone` what it deregisters; True if there is more to do."""
        kept = {one.arn: one for one in (await self._kept.known()).values()}
        looks = _MOST_LOOKS
        for family in sorted({_family(arn) for arn in kept}):
            for arn in self._unused(await self._revisions(family), kept, living):
                if arn not in kept and arn not in self._ours:
                    if not looks:
                        return True
                    looks -= 1
                if not await self._is_ours(arn, family, kept):
                    continue
                if len(gone) == _MOST:
                    return True
                await self._ask("DeregisterTaskDefinition", {"taskDefinition": arn})
                gone.append(arn)
        return False

    def _unused(self, newest_first: Sequence[str], kept: Mapping[str, Kept], living: frozenset[str]) -> list[str]:
        """What may go if it is ours, the oldest first."""
        since = self._clock.now() - _LATELY
        used = {arn for arn, one in kept.items() if one.used > since} | living
        idle = [arn for arn in newest_first if arn not in used and arn not in self._not_ours]
        return idle[self._keep :][::-1]

    async def _revisions(self, family: str) -> list[str]:
        """The active ones of a family, the newest first."""
        found: list[str] = []
        asked: dict[str, Any] = {"familyPrefix": family, "status": "ACTIVE", "sort": "DESC"}
        for _ in range(_MOST_PAGES):
            page = await self._ask("ListTaskDefinitions", asked)
            found += [str(arn) for arn in page.get("taskDefinitionArns", ()) if _family(arn) == family]
            if not page.get("nextToken"):
                break
            asked["nextToken"] = page["nextToken"]
        return sorted(found, key=_revision, reverse=True)

    async def _is_ours(self, arn: str, family: str, kept: Mapping[str, Kept]) -> bool:
        """Of one that is not remembered, its tags say it; asked once."""
        if arn in kept:
            return kept[arn].ours
        if arn not in self._ours:
            answer = await self._ask("DescribeTaskDefinition", {"taskDefinition": arn, "include": ["TAGS"]})
            if not self._marks.are_ours(family, answer.get("tags") or ()):
                self._not_ours.add(arn)
                return False
            self._ours.add(arn)
        return True


def _revision(arn: str) -> int:
    return int(arn.rpartition(":")[2])


def _family(arn: str) -> str:
    return arn.rpartition("/")[2].rpartition(":")[0]
