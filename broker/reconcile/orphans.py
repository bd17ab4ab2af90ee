"""Instances of exactly our ownership that belong to no agent: in two complete listings, then ended (design D8)."""

import asyncio
from typing import Final

from broker.domain.ids import AgentId, BackendName, InstanceRef
from broker.domain.instance import Instance
from broker.domain.lifecycle import Phase
from broker.errors import BackendError, NotFound
from broker.ports import Backend
from broker.reconcile.context import Context
from broker.telemetry import events

GRACE_S: Final = 30.0
_ALWAYS_ALLOWED: Final = 10
_MOST_OF_A_LISTING: Final = 0.2
"""More orphans than this at once are a broken or restored database rather than orphans: a person must look."""
_CALL_TIMEOUT_S: Final = 60.0


class OrphanSearch:
    """Remembers what the last complete listing of each backend showed."""

    def __init__(self, ctx: Context) -> None:
        """Nothing was seen yet."""
        self._ctx = ctx
        self._suspects: dict[tuple[BackendName, InstanceRef], float] = {}

    async def search(self, name: BackendName) -> int:
        """One round over a backend; returns how many orphans it has ended.

        A partial listing ends nothing, and neither does a complete one while nobody knows who is connected.
        """
        backend = self._ctx.backends.get(name)
        if backend is None:  # a reload has let it go
            return 0
        try:
            async with asyncio.timeout(_CALL_TIMEOUT_S):
                listing = await backend.list_owned()
        except (TimeoutError, BackendError) as error:
            events.POLL_FAILED.emit(backend=name, message=str(error) or "no answer")
            return 0
        if not listing.complete or not self._ctx.sessions.known():
            return 0
        now = self._ctx.clock.monotonic()
        orphans = [instance for instance in listing.instances if await self._belongs_to_nobody(instance)]
        ripe = []
        for orphan in orphans:
            first_seen = self._suspects.setdefault((name, orphan.ref), now)
            if now - first_seen >= GRACE_S:
                ripe.append(orphan)
        refs = {orphan.ref for orphan in orphans}
        self._suspects = {k: v for k, v in self._suspects.items() if k[0] != name or k[1] in refs}
        if len(ripe) > max(_ALWAYS_ALLOWED, len(listing.instances) * _MOST_OF_A_LISTING):
            events.ORPHANS_TOO_MANY.emit(backend=name, orphans=len(ripe), instances=len(listing.instances))
            return 0
        for orphan in ripe:
            await self._end(name, backend, orphan)
        return len(ripe)

    async def _belongs_to_nobody(self, instance: Instance) -> bool:
        agent_id = AgentId(instance.agent_id)
        try:
            agent = await self._ctx.agents.get(agent_id)
        except NotFound:
            may_have_node = self._ctx.presence.may_have_strangers(self._ctx.definitions.controllers)
            return not may_have_node and self._ctx.sessions.live(agent_id) is None
        over = agent.phase == Phase.GONE or instance.attempt < agent.attempt
        at_work = agent.direct and self._ctx.online_in_jenkins(agent)
        return over and not at_work and self._ctx.sessions.live(agent_id) is None

    async def _end(self, name: BackendName, backend: Backend, orphan: Instance) -> None:
        events.ORPHAN_FOUND.emit(backend=name, instance=orphan.ref, agent_id=orphan.agent_id)
        try:
            async with asyncio.timeout(_CALL_TIMEOUT_S):
                await backend.terminate(orphan.ref)
        except (TimeoutError, BackendError) as error:
            events.POLL_FAILED.emit(backend=name, instance=orphan.ref, message=str(error) or "no answer")
            return
        events.ORPHAN_ENDED.emit(backend=name, instance=orphan.ref)
