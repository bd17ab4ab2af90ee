"""Which machine is whose: kept in the store, since a machine of a list has no marks of its own before an agent runs."""

import asyncio
import json
from dataclasses import dataclass
from typing import Final

from broker.domain.ids import HostId, HostRef
from broker.errors import BackendRejected, OutcomeUnknown, StoreError
from broker.ports import Memory

_LIMIT_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Taken:
    """A machine that is a host of ours. `ending`: its host is over, and what we left there is being deleted."""

    host: HostId
    ending: bool = False


class Ledger:
    """One text for all machines. What is answered has been written before."""

    def __init__(self, memory: Memory) -> None:
        """Reads `memory` when it is first needed."""
        self._memory = memory
        self._taken: dict[HostRef, Taken] | None = None
        self.lock = asyncio.Lock()
        """Held by whoever changes it, over its reading and writing, which are bounded."""

    async def all(self) -> dict[HostRef, Taken]:
        """A copy. OutcomeUnknown while the store cannot be read."""
        if self._taken is None:
            self._taken = _read(await self._bounded_recall())
        return dict(self._taken)

    async def keep(self, taken: dict[HostRef, Taken]) -> None:
        """Writes it. OutcomeUnknown if nobody knows whether it was written."""
        if taken == self._taken:
            return
        text = json.dumps({ref: [one.host, one.ending] for ref, one in taken.items()})
        self._taken = None
        try:
            async with asyncio.timeout(_LIMIT_S):
                await self._memory.remember(text)
        except (StoreError, TimeoutError) as error:
            raise OutcomeUnknown("Store", f"cannot note which machine is taken: {error}") from error
        self._taken = dict(taken)

    async def _bounded_recall(self) -> str | None:
        try:
            async with asyncio.timeout(_LIMIT_S):
                return await self._memory.recall()
        except (StoreError, TimeoutError) as error:
            raise OutcomeUnknown("Store", f"cannot read which machines are taken: {error}") from error


def _read(text: str | None) -> dict[HostRef, Taken]:
    if not text:
        return {}
    try:
        told = json.loads(text)
        return {HostRef(ref): Taken(HostId(host), bool(ending)) for ref, (host, ending) in told.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise BackendRejected("Memory", "what the store has of taken machines cannot be understood") from error
