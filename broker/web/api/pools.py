"""Pools: how they stand, and what operators do with them: pause, drain, resume, and keys that are set for a time."""

from datetime import timedelta
from typing import cast

from broker.domain.ids import PoolName
from broker.domain.limits import Lever, LeverKind
from broker.domain.timed_override import TimedOverride
from broker.errors import NotFound
from broker.operations import Operations
from broker.reconcile.context import Context
from broker.views.snapshot import Snapshot, take
from broker.views.words import Words
from broker.web.api import convert
from broker.web.api import models_fleet as fleet
from broker.web.api.asks import Lasting, Resuming, Setting, Unsetting
from broker.web.api.auth import Caller
from broker.web.api.call import Call
from broker.web.api.errors import ApiError, unknown_name
from broker.web.api.seams import Changed, Timed


class PoolHandlers:
    """The operations on pools."""

    def __init__(self, ctx: Context, operations: Operations, timed: Timed) -> None:
        """Changes pools only through operations and what sets keys."""
        self._ctx = ctx
        self._operations = operations
        self._timed = timed

    async def list_pools(self, call: Call) -> fleet.Pools:
        """All pools as they stand."""
        return fleet.Pools(items=self._pools(await take(self._ctx), call.caller.words))

    async def get_pool(self, call: Call) -> fleet.Pool:
        """One pool as it stands."""
        return await self._shown(self._known(call.name), call.caller)

    async def pause_pool(self, call: Call) -> fleet.Pool:
        """Gives a pool no new agents, for a time or until it is resumed."""
        return await self._pull(LeverKind.PAUSE, call)

    async def drain_pool(self, call: Call) -> fleet.Pool:
        """Empties a pool: no new agents; those that run a build end after it, those that start end at once."""
        return await self._pull(LeverKind.DRAIN, call)

    async def resume_pool(self, call: Call) -> fleet.Pool:
        """Uses a pool again that was paused or emptied."""
        pool, asked = self._known(call.name), cast(Resuming, call.body)
        if not await self._operations.resume(pool, call.caller.actor, asked.reason.strip()):
            hint = f"agentbroker explain pool {pool} says how it stands"
            raise ApiError(409, "no_lever", f"pool {pool} is neither paused nor being emptied", hint)
        return await self._shown(pool, call.caller)

    async def set_pool_key(self, call: Call) -> fleet.PoolChange:
        """Sets a key of a pool over the config, for a time."""
        pool, asked, now = self._known(call.name), cast(Setting, call.body), self._ctx.clock.now()
        override = TimedOverride(
            path=("pools", pool, *asked.key.split(".")),
            value=asked.value,
            actor=call.caller.name,
            reason=asked.reason.strip(),
            since=now,
            until=now + timedelta(seconds=asked.for_s),
        )
        try:
            return _change(await self._timed.set(override, call.caller.actor), call.caller)
        except NotFound as error:
            raise ApiError(400, "unknown_key", str(error), "agentbroker config explain 'pools.*.limits'") from error

    async def unset_pool_key(self, call: Call) -> fleet.PoolChange:
        """Gives a key of a pool the config's value again."""
        pool, asked = self._known(call.name), cast(Unsetting, call.body)
        try:
            return _change(await self._timed.unset(pool, asked.key, call.caller.actor), call.caller)
        except NotFound as error:
            hint = f"agentbroker explain pool {pool} says what is set"
            raise ApiError(409, "not_set", str(error), hint) from error

    def _pools(self, snapshot: Snapshot, words: Words) -> tuple[fleet.Pool, ...]:
        timed = self._timed.shown()
        return tuple(convert.to_pool(name, snapshot, words, timed) for name in snapshot.definitions.pools)

    async def _pull(self, kind: LeverKind, call: Call) -> fleet.Pool:
        pool, asked, now = self._known(call.name), cast(Lasting, call.body), self._ctx.clock.now()
        until = now + timedelta(seconds=asked.for_s) if asked.for_s is not None else None
        why = asked.reason.strip()
        lever = Lever(pool=pool, kind=kind, actor=call.caller.name, reason=why, since=now, until=until)
        await self._operations.pull(lever, call.caller.actor)
        return await self._shown(pool, call.caller)

    async def _shown(self, pool: PoolName, caller: Caller) -> fleet.Pool:
        return convert.to_pool(pool, await take(self._ctx), caller.words, self._timed.shown())

    def _known(self, name: str) -> PoolName:
        pools = self._ctx.definitions.pools
        if name not in pools:
            raise unknown_name("pool", name, list(pools))
        return PoolName(name)


def _change(changed: Changed, caller: Caller) -> fleet.PoolChange:
    return fleet.PoolChange(
        pool=changed.pool,
        key=changed.key,
        before=changed.before,
        after=changed.after,
        until=changed.until,
        actor=caller.name,
    )
