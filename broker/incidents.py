"""What operators set over the config for a time: `pool set`, `pool unset`, and the end of it by the wall clock."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from broker.config.base import known_keys
from broker.config.model_pools import CooldownModel, PoolLimitsModel
from broker.config.settings import Config
from broker.domain.ids import PoolName
from broker.domain.timed_override import TimedOverride
from broker.errors import BrokerError, ConfigError, NotFound
from broker.operations import Actor
from broker.reload import Reloader
from broker.store.levers import Levers
from broker.telemetry import events

SETTABLE: Final = tuple(
    f"{section}.{key}"
    for section, model in (("limits", PoolLimitsModel), ("cooldown", CooldownModel))
    for key in known_keys(model)
)
"""The keys of a pool that may be set for a time."""

_LOOK_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """What a key of a pool was and is, as a file writes it; None is not said. `until` None: the file's again."""

    pool: PoolName
    key: str
    before: str | None
    after: str | None
    until: datetime | None


@dataclass(slots=True)
class Incidents:
    """Timed overrides. What is in force is the reloader's config; what is kept for a restart, the database's rows."""

    reloader: Reloader
    _kept: tuple[TimedOverride, ...] = field(default=())

    def shown(self) -> tuple[TimedOverride, ...]:
        """Those in force."""
        return self.reloader.config.timed

    async def set(self, override: TimedOverride, actor: Actor) -> Changed:
        """Puts a key of a pool in force for a time, in the place of what was set for it before.

        Raises `NotFound` for a pool or a key that there is not, `ConfigError` for a value that it cannot have; then
        nothing has changed.
        """
        self._must_be_there(override.pool, override.key)
        before: str | None = None

        async def keep(config: Config) -> None:
            nonlocal before
            before = value_at(self.reloader.config, override.path)
            until = f"{override.until:%Y-%m-%d %H:%M:%S}"
            told = f"pool {override.pool}: {override.key} {before or '(unset)'} -> {value_at(config, override.path)}"
            why = f": {override.reason}" if override.reason else ""
            await self._levers.put_override(override, f"{told} until {until} UTC{why}", str(actor))

        config = await self.reloader.set_timed(lambda known: (*_without(known, override), override), keep)
        self._kept = config.timed
        events.OVERRIDE_SET.emit(pool=override.pool, key=override.key, value=override.value, actor=actor.name)
        return self._changed(override, before, config, override.until)

    async def unset(self, pool: str, key: str, actor: Actor) -> Changed:
        """Ends what was set for a key of a pool. Raises `NotFound` where nothing was."""
        self._must_be_there(pool, key)
        found = next((one for one in self.shown() if (one.pool, one.key) == (pool, key)), None)
        if found is None:
            set_now = ", ".join(one.key for one in self.shown() if one.pool == pool)
            raise NotFound(f"{key} of pool {pool} is not set for a time; set now: {set_now or 'nothing'}")
        before = value_at(self.reloader.config, found.path)
        config = await self._end([found], f"ended by {actor.name}", actor)
        return self._changed(found, before, config, None)

    async def recall(self) -> None:
        """Puts in force what a former process has kept; what cannot be any more is dropped, with its event."""
        self._kept = tuple(await self._levers.overrides())
        now = self.reloader.ctx.clock.now()
        lasting = [one for one in self._kept if one.until > now]
        if lasting:
            try:
                await self.reloader.set_timed(lambda _: lasting, _keep_nothing)
            except ConfigError as error:
                events.POLL_FAILED.emit(message=f"what was set for a time cannot be in force: {error}")
        await self.tick()

    async def run(self) -> None:
        """Ends what is over, until cancelled."""
        clock = self.reloader.ctx.clock
        while True:
            await clock.sleep_until(clock.monotonic() + _LOOK_S)
            try:
                await self.tick()
            except BrokerError as error:
                events.POLL_FAILED.emit(message=str(error))

    async def tick(self) -> None:
        """Ends what is over, and forgets what a reload has left out. Safe to repeat."""
        now, nobody = self.reloader.ctx.clock.now(), Actor("", "")
        over = [one for one in self.shown() if one.until <= now]
        if over:
            await self._end(over, "its time is over", nobody)
        for one in _missing(self._kept, self.shown()):
            why = "its time is over" if one.until <= now else "the config in force has no place for it"
            await self._forget(one, why, nobody)
        self._kept = self.shown()

    async def _end(self, over: Iterable[TimedOverride], why: str, actor: Actor) -> Config:
        """Of those that are over the ones that are still in force: another may have come in the place of one."""
        ended = list(over)

        async def keep(config: Config) -> None:
            for one in ended:
                if one in self.shown():
                    await self._forget(one, f"{why}; it is {value_at(config, one.path) or '(unset)'} again", actor)

        try:
            config = await self.reloader.set_timed(lambda known: [one for one in known if one not in ended], keep)
        except ConfigError:  # what is left is no config without it: all of them go, and the files' own is one
            ended = list(self.shown())
            config = await self.reloader.set_timed(lambda _: (), keep)
        self._kept = config.timed
        return config

    async def _forget(self, one: TimedOverride, why: str, actor: Actor) -> None:
        by = str(actor) if actor.name else ""
        message = f"pool {one.pool}: {one.key} is {one.value} no more: {why}"
        await self._levers.end_override(one, message, by, self.reloader.ctx.clock.now())
        events.OVERRIDE_ENDED.emit(pool=one.pool, key=one.key, value=one.value, actor=actor.name)

    def _must_be_there(self, pool: str, key: str) -> None:
        if pool not in self.reloader.ctx.definitions.pools:
            raise NotFound(f"no pool is called {pool}")
        if key not in SETTABLE:
            raise NotFound(f"{key[:80]!r} of a pool cannot be set for a time; these can: {', '.join(SETTABLE)}")

    def _changed(self, one: TimedOverride, before: str | None, config: Config, until: datetime | None) -> Changed:
        after = value_at(config, one.path)
        return Changed(pool=PoolName(one.pool), key=one.key, before=before, after=after, until=until)

    @property
    def _levers(self) -> Levers:
        return Levers(self.reloader.ctx.database)


def value_at(config: Config, path: tuple[str, ...]) -> str | None:
    """A value of a config as a file writes it; None where it is not said."""
    value: object = config.content
    for part in path:
        value = value.get(part) if isinstance(value, Mapping) else None
    return None if value is None else str(value)


def _without(known: Iterable[TimedOverride], one: TimedOverride) -> tuple[TimedOverride, ...]:
    return tuple(other for other in known if other.path != one.path)


def _missing(known: Iterable[TimedOverride], there: Iterable[TimedOverride]) -> tuple[TimedOverride, ...]:
    paths = {one.path for one in there}
    return tuple(one for one in known if one.path not in paths)


async def _keep_nothing(_config: Config) -> None:
    return None
