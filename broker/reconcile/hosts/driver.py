"""The loop of hosts: workers that take keys, look, and put them back for later."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from broker.domain.ids import BackendName, HostId, PoolName
from broker.errors import BrokerError, Conflict, StoreLost
from broker.ports import makes_hosts
from broker.reconcile.context import Again, Context
from broker.reconcile.hosts.create import make, order
from broker.reconcile.hosts.delete import delete_some
from broker.reconcile.hosts.fewest import keep_fewest
from broker.reconcile.hosts.known import Key, Task
from broker.reconcile.hosts.orphans import EVERY_S, HostOrphans
from broker.reconcile.hosts.poll import poll_hosts
from broker.reconcile.hosts.step import step
from broker.telemetry import events

_WORKERS: Final = 24
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0

Work = Callable[[str], Awaitable[Again | None]]


class HostDriver:
    """Whatever is in the store when it starts is taken up: a crash needs nothing else."""

    def __init__(self, ctx: Context) -> None:
        """Knows nothing before `prepare`."""
        self._ctx = ctx
        self._failures: dict[Key, int] = {}
        self._followed: set[BackendName] = set()
        self._orphans = HostOrphans(ctx)
        self._works: Mapping[Task, Work] = {
            Task.ALL: lambda _: self._look_at_all(),
            Task.HOST: lambda name: step(ctx, HostId(name)),
            Task.ORDER: lambda name: order(ctx, PoolName(name)),
            Task.MAKE: lambda name: make(ctx, name),
            Task.DELETE: lambda name: delete_some(ctx, BackendName(name)),
            Task.POLL: lambda name: self._poll(BackendName(name)),
            Task.FEWEST: lambda name: keep_fewest(ctx, PoolName(name)),
            Task.ORPHANS: lambda name: self._search(BackendName(name)),
        }

    async def prepare(self) -> None:
        """Knows where all hosts are, before anybody asks for what runs on them."""
        self._ctx.known.keep_only(await self._ctx.hosts.living())
        self._ctx.nudge.hosts()

    async def run(self) -> None:
        """Workers and their clock, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._ctx.host_work.run(), name="hosts:queue")
            for number in range(_WORKERS):
                group.create_task(self._work(), name=f"hosts:worker-{number}")

    async def look_once(self) -> None:
        """Takes one key, waiting for it, looks, and puts it back for later as the look says."""
        work = self._ctx.host_work
        key = await work.get()
        try:
            again = await self._look(key)
        finally:
            work.done(key)
        if again is not None:
            work.add(key, max(again.after_s, 0.0))

    async def _work(self) -> None:
        while True:
            await self.look_once()

    async def _look(self, key: Key) -> Again | None:
        try:
            again = await self._works[key.task](key.name)
        except Conflict:
            return Again(0.0)
        except StoreLost:
            raise  # this process can do no more: a new one can
        except Exception as error:
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            expected = isinstance(error, BrokerError)
            told = {"task": key.task, "name": key.name, "failures": failures, "error": repr(error)}
            events.HOST_STEP_FAILED.emit(**told, exc_info=None if expected else error)
            return Again(min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(failures, 10)))
        self._failures.pop(key, None)
        return again

    async def _look_at_all(self) -> None:
        """Takes up what others have written: new hosts, and what operators want of those that are there."""
        ctx = self._ctx
        living = await ctx.hosts.living()
        ctx.known.keep_only(living)
        for host in living:
            ctx.nudge.host(host.id)
        for pool in ctx.definitions.pools.values():
            if pool.hosts is not None and pool.hosts.fewest:
                ctx.host_work.add(Key(Task.FEWEST, pool.name))
        for name, backend in ctx.backends.items():
            if name not in self._followed and makes_hosts(backend) is not None:
                self._followed.add(name)
                ctx.host_work.add(Key(Task.POLL, name))
                ctx.host_work.add(Key(Task.ORPHANS, name), EVERY_S / 2)

    async def _poll(self, name: BackendName) -> Again | None:
        if name not in self._ctx.backends:  # a reload has let it go
            self._followed.discard(name)
            return None
        return await poll_hosts(self._ctx, name)

    async def _search(self, name: BackendName) -> Again | None:
        if name not in self._ctx.backends:  # where it comes back, it is followed anew
            self._followed.discard(name)
            return None
        return await self._orphans.search(name)
