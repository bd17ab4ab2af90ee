"""The reconcile loop: workers that take keys, look, and put them back for later."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import structlog

from broker.domain.ids import AgentId, BackendName, HostId
from broker.domain.lifecycle import Phase
from broker.domain.pool import Pool
from broker.errors import BrokerError, Conflict, NotFound, StoreLost
from broker.ports import Backend, Clock
from broker.reconcile.attempt import let_others_try
from broker.reconcile.context import Again, Context
from broker.reconcile.hosts.driver import HostDriver
from broker.reconcile.hosts.known import Key, Task
from broker.reconcile.levers import LOOK_S, end_levers, recall_levers
from broker.reconcile.orphans import OrphanSearch
from broker.reconcile.place import place
from broker.reconcile.prune import prune
from broker.reconcile.queue import WorkQueue
from broker.reconcile.spending import Spend
from broker.reconcile.standstill import TICK_S, Standstill
from broker.reconcile.step import step
from broker.reconcile.watch import poll
from broker.store.lately import read_lives, read_starts
from broker.telemetry import events

_PLACEMENT: Final = AgentId("")
"""The one key that is not an agent's: all agents that wait for a place."""
_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 30.0


class AgentQueue:
    """The queue as everybody else sees it: `ports.Nudge`."""

    def __init__(self, clock: Clock) -> None:
        """Empty."""
        self.keys: WorkQueue[AgentId] = WorkQueue(clock)
        self.host_work: WorkQueue[Key] = WorkQueue(clock)

    def agent(self, agent_id: AgentId) -> None:
        """Asks for a look at an agent."""
        self.keys.add(agent_id)

    def placement(self) -> None:
        """Asks for a look at all agents that wait for a place."""
        self.keys.add(_PLACEMENT)

    def host(self, host_id: HostId) -> None:
        """Asks for a look at a host."""
        self.host_work.add(Key(Task.HOST, host_id))

    def hosts(self) -> None:
        """Asks for a look at all hosts."""
        self.host_work.add(Key(Task.ALL))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How many look at once, and how often everything is looked at without a cause; in seconds."""

    workers: int = 256
    poll_s: float = 0.5
    resync_s: float = 60.0
    orphans_s: float = 30.0
    prune_s: float = 60.0


@dataclass(slots=True)
class Loop:
    """Runs until it is cancelled. Whatever is in the store when it starts is taken up: a crash needs nothing else."""

    ctx: Context
    queue: AgentQueue
    pace: Pace = field(default_factory=Pace)
    _failures: dict[AgentId, int] = field(default_factory=dict)
    _all_looked_at: bool = False
    spend: Spend = field(init=False)
    hosts: HostDriver = field(init=False)

    def __post_init__(self) -> None:
        """Nothing is charged before `prepare`."""
        self.spend = Spend(self.ctx)
        self.hosts = HostDriver(self.ctx)

    async def prepare(self) -> None:
        """What has to be done once, before anybody may change an agent."""
        await recall_levers(self.ctx)
        await self._recall_medians()
        await Standstill(self.ctx).make_up_for_absence()
        await self.spend.prepare()
        await self.hosts.prepare()

    async def _recall_medians(self) -> None:
        ctx, now = self.ctx, self.ctx.clock.now()
        ctx.starts.recall(await read_starts(ctx.database, now - ctx.starts.lately))
        ctx.lives.recall(await read_lives(ctx.database, now - ctx.lives.lately))

    async def run(self) -> None:
        """Workers, pollers and clocks, all in one group: a bug in one of the latter stops the broker loudly."""
        standstill, search = Standstill(self.ctx), OrphanSearch(self.ctx)
        async with asyncio.TaskGroup() as group:
            group.create_task(self.queue.keys.run(), name="reconcile:queue")
            for number in range(self.pace.workers):
                group.create_task(self._work(), name=f"reconcile:worker-{number}")
            group.create_task(self.hosts.run(), name="reconcile:hosts")
            group.create_task(self._every(TICK_S, standstill.tick), name="reconcile:standstill")
            group.create_task(self._every(LOOK_S, partial(end_levers, self.ctx)), name="reconcile:levers")
            group.create_task(self._every(TICK_S, self.spend.tick), name="reconcile:spending")
            group.create_task(self._every(self.pace.resync_s, self._look_at_all), name="reconcile:resync")
            group.create_task(self._every(self.pace.prune_s, partial(prune, self.ctx)), name="reconcile:prune")
            group.create_task(self._follow_backends(group, search), name="reconcile:backends")

    async def look_once(self) -> None:
        """Takes one key, waiting for it, looks, and puts it back for later as the look says."""
        key = await self.queue.keys.get()
        try:
            again = await self._look(key)
        finally:
            self.queue.keys.done(key)
        if again is not None:
            self.queue.keys.add(key, max(again.after_s, 0.0))

    async def _work(self) -> None:
        while True:
            await self.look_once()

    async def _look(self, key: AgentId) -> Again | None:
        if key != _PLACEMENT:
            structlog.contextvars.bind_contextvars(agent_id=key)
        try:
            again = await (place(self.ctx) if key == _PLACEMENT else self._step(key))
        except Conflict:
            return Again(0.0)
        except NotFound:
            self._failures.pop(key, None)
            return None
        except Exception as error:
            return self._note_failure(key, error)
        finally:
            structlog.contextvars.unbind_contextvars("agent_id")
        self._failures.pop(key, None)
        return again

    async def _step(self, key: AgentId) -> Again | None:
        agent = self.ctx.placed.pop(key, None)
        return await step(self.ctx, agent or await self.ctx.agents.get(key))

    def _note_failure(self, key: AgentId, error: Exception) -> Again:
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        expected = isinstance(error, BrokerError)
        events.AGENT_STEP_FAILED.emit(failures=failures, error=repr(error), exc_info=None if expected else error)
        return Again(min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(failures, 10)))

    async def _look_at_all(self) -> None:
        """Those that wait for a place are one look; the others are at first looked at at once, then one by one until
        the next time: whoever is nudged would stand behind them all.
        """
        self.queue.placement()
        self.queue.hosts()
        live = await self.ctx.agents.live()
        others = [agent.id for agent in live if agent.phase is not Phase.REQUESTED]
        apart_s = self.pace.resync_s / len(others) if others and self._all_looked_at else 0.0
        for number, agent_id in enumerate(others):
            self.queue.keys.add(agent_id, number * apart_s)
        self._all_looked_at = True
        await let_others_try(self.ctx, live)

    async def _follow_backends(self, group: asyncio.TaskGroup, search: OrphanSearch) -> None:
        """Polls each backend that is there: a reload brings new ones, and lets others go."""
        polled: dict[BackendName, tuple[asyncio.Task[None], ...]] = {}
        while True:
            for name in polled.keys() - self.ctx.backends.keys():
                for task in polled.pop(name):
                    task.cancel()
            for name in self.ctx.backends.keys() - polled.keys():
                watch, hunt = partial(poll, self.ctx, name), partial(search.search, name)
                asking = self.ctx.board.follow(name, partial(self._backend_now, name))
                polled[name] = (
                    group.create_task(self._every(self.pace.poll_s, watch), name=f"poll:{name}"),
                    group.create_task(self._every(self.pace.orphans_s, hunt), name=f"orphans:{name}"),
                    group.create_task(asking, name=f"offers:{name}"),
                )
            self.forget_removed()
            await self.ctx.clock.sleep_until(self.ctx.clock.monotonic() + self.pace.poll_s)

    def forget_removed(self) -> None:
        """Keeps nothing of pools that a reload has removed. Safe to repeat."""
        pools = self.ctx.definitions.pools
        self.ctx.board.keep_only(pools)
        self.ctx.bulkhead.keep_only(pools)

    def _backend_now(self, name: BackendName) -> tuple[Backend | None, list[Pool]]:
        pools = [pool for pool in self.ctx.definitions.pools.values() if pool.backend == name]
        return self.ctx.backends.get(name), pools

    async def _every(self, seconds: float, work: Callable[[], Awaitable[object]]) -> None:
        clock = self.ctx.clock
        while True:
            try:
                await work()
            except StoreLost:
                raise  # this process can do no more: a new one can
            except BrokerError as error:
                events.POLL_FAILED.emit(message=str(error))
            await clock.sleep_until(clock.monotonic() + seconds)
