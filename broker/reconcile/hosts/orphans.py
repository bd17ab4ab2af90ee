"""Machines of exactly our ownership that belong to no host: in two complete listings, then deleted (design D8)."""

from datetime import timedelta
from typing import Final

from broker.domain.host import Host, HostPhase, SeenHost
from broker.domain.ids import BackendName, HostRef
from broker.errors import BackendError
from broker.ports import makes_hosts
from broker.reconcile.context import Again, Context
from broker.reconcile.hosts.calls import NotNow
from broker.reconcile.hosts.change import words
from broker.telemetry import events

GRACE_S: Final = 120.0
EVERY_S: Final = 120.0
_ALWAYS_ALLOWED: Final = 3
_MOST_OF_A_LISTING: Final = 0.2
"""More orphans than this at once are a broken or restored database rather than orphans: a person must look."""


class HostOrphans:
    """Remembers what the last complete listing of each backend showed."""

    def __init__(self, ctx: Context) -> None:
        """Nothing was seen yet."""
        self._ctx = ctx
        self._suspects: dict[tuple[BackendName, HostRef], float] = {}
        self._warned: set[HostRef] = set()

    async def search(self, name: BackendName) -> Again | None:
        """One round over a backend. A partial listing deletes nothing."""
        ctx, backend = self._ctx, makes_hosts(self._ctx.backends.get(name))
        if backend is None:
            return None
        listing = await ctx.host_calls.make(name, "list", backend.list_hosts)
        if isinstance(listing, NotNow):
            return Again(listing.after_s)
        if isinstance(listing, BackendError):
            events.POLL_FAILED.emit(backend=name, message=words(listing))
            return Again(EVERY_S)
        if not listing.complete or not ctx.sessions.known():
            return Again(EVERY_S)
        ripe = await self._ripe(name, [one for one in listing.hosts if one.host is not None])
        if len(ripe) > max(_ALWAYS_ALLOWED, len(listing.hosts) * _MOST_OF_A_LISTING):
            events.ORPHANS_TOO_MANY.emit(backend=name, orphans=len(ripe), instances=len(listing.hosts))
        elif ripe:
            for one in ripe:
                events.ORPHAN_FOUND.emit(backend=name, instance=one.ref, host=one.host)
            refs = [one.ref for one in ripe]
            answer = await ctx.host_calls.make(name, "delete", lambda: backend.delete_hosts(refs))
            if isinstance(answer, BackendError):
                events.POLL_FAILED.emit(backend=name, message=words(answer))
            elif not isinstance(answer, NotNow):
                for one in ripe:
                    events.ORPHAN_ENDED.emit(backend=name, instance=one.ref, host=one.host)
        return Again(EVERY_S)

    async def _ripe(self, name: BackendName, listed: list[SeenHost]) -> list[SeenHost]:
        """Those that belonged to nobody in the listing before, too, and are old enough."""
        now = self._ctx.clock.monotonic()
        rows = await self._ctx.hosts.some(one.host for one in listed if one.host is not None)
        orphans = [
            one for one in listed if one.host is not None and await self._belongs_to_nobody(one, rows.get(one.host))
        ]
        ripe = []
        for orphan in orphans:
            first_seen = self._suspects.setdefault((name, orphan.ref), now)
            if now - first_seen >= GRACE_S and self._is_old(orphan):
                ripe.append(orphan)
        refs = {orphan.ref for orphan in orphans}
        self._suspects = {k: v for k, v in self._suspects.items() if k[0] != name or k[1] in refs}
        return ripe

    def _is_old(self, orphan: SeenHost) -> bool:
        return orphan.created is None or self._ctx.clock.now() - orphan.created >= timedelta(seconds=GRACE_S)

    async def _belongs_to_nobody(self, one: SeenHost, row: Host | None) -> bool:
        """No host has this machine. While agents may live of which nobody knows, no machine of theirs is touched.

        Of hosts that are gone it must be known: somebody may have copied the tags of a machine of ours onto theirs.
        """
        if row is None:
            return not self._ctx.presence.may_have_strangers(self._ctx.definitions.controllers)
        if row.phase is not HostPhase.GONE:
            return row.ref is not None and row.ref != one.ref
        together = await self._ctx.hosts.of_token(row.token) if row.token else []
        if row.ref is None or any(host.ref == one.ref for host in (row, *together)):
            return True
        if one.ref not in self._warned:
            self._warned.add(one.ref)
            events.INSTANCE_NOT_OURS.emit(instance=one.ref, started_by=f"a copy of the tags of host {row.id}")
        return False
