"""A new config for a running broker: all of it or nothing. What runs goes on; what is no longer there ends by itself.

The reconciler sees the new definitions at its next look. A pool that is gone stays known for as long as agents of it
live, and so does its backend; `Reloader.tidy` lets go of both.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from broker.config.diff import Change, Touched, changes, touched
from broker.config.load import again, load
from broker.config.restart import GATEWAYS, RESTART
from broker.config.settings import Config
from broker.config.show import masked
from broker.domain.ids import BackendName, PoolName
from broker.domain.lifecycle import Phase
from broker.domain.pool import BackendDefinition
from broker.domain.timed_override import TimedOverride
from broker.errors import BrokerError, ConfigError
from broker.ports import Backend
from broker.reconcile.context import Context
from broker.telemetry import events

_TIDY_EVERY_S: Final = 10.0
"""A transaction that began with the former definitions is over by then."""

Open = Callable[[BackendDefinition], Backend]
Apply = Callable[[Config], None]
Timed = Callable[[tuple[TimedOverride, ...]], Sequence[TimedOverride]]
Keep = Callable[[Config], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadResult:
    """What a reload has changed, as lines; and which of those lines wait for a restart, until there is one."""

    changed: tuple[str, ...]
    needs_restart: tuple[str, ...]
    revision: str
    policies: tuple[str, ...] = ()
    """The policies that are touched."""
    agents: int = 0
    """Living agents that are touched; `ending` of them end after their builds."""
    ending: int = 0

    def lines(self) -> list[str]:
        """For people: the changes, whom they touch, what waits for a restart."""
        told = [*self.changed] or ["nothing has changed"]
        if self.agents:
            told.append(f"{self.agents} living agents are touched; {self.ending} of them end after their builds")
        told += [f"needs a restart: {line}" for line in self.needs_restart]
        return [*told, f"in force: revision {self.revision}"]


@dataclass(slots=True)
class Reloader:
    """Holds the config in force, and the one with which the broker was started."""

    config: Config
    ctx: Context
    open_backend: Open
    applies: list[Apply] = field(default_factory=list)
    """Told the new config once it is in force; must not raise."""
    gateway_follows: bool = False
    """Whether one of those replaces the gateway where its keys have changed; else people are told to reload it."""
    _started: Mapping[str, object] = field(init=False)
    _read_at: datetime = field(init=False)
    _closing: list[Backend] = field(default_factory=list)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        """Remembers what was read at the start."""
        self._started = self.config.content
        self._read_at = self.ctx.clock.now()

    def read_last(self) -> tuple[str, datetime]:
        """The name of the config's file, empty without one, and since when it has been in force."""
        return self.config.source.name if self.config.source else "", self._read_at

    async def reload(self, actor: str = "") -> ReloadResult:
        """Reads the config anew and puts it in force. `actor` is who asked, empty for a signal.

        Raises `ConfigError` with the printed diagnostics; then nothing has changed.
        """
        async with self._lock:
            try:
                config = await self._read()
                result = await self._result(config)
                await self._refuse_moves(config)  # last: nobody is placed between this look and the swap
                opened = await self._open(config)
            except ConfigError as error:
                self.ctx.metrics.config_reloaded(ok=False)
                first = str(error).partition("\n")[0]
                events.CONFIG_RELOAD_FAILED.emit(message=first)
                await self._note("config_reload_failed", actor, first)
                raise
            self._swap(config, opened)
            self._read_at = self.ctx.clock.now()
            self.ctx.metrics.config_reloaded(ok=True)
            events.CONFIG_RELOADED.emit(revision=result.revision, changes=len(result.changed))
            await self._note("config_reloaded", actor, "; ".join(result.changed) or "nothing has changed")
            await self._look_at_all()
            return result

    async def set_timed(self, change: Timed, keep: Keep) -> Config:
        """Puts the config in force over again with other timed overrides, of the texts that it was made of.

        `change` makes them of those in force. `keep` is awaited with the new config before it is in force; what it
        raises, too, leaves all as it was. Raises `ConfigError` where a value cannot be.
        """
        async with self._lock:
            config = await asyncio.to_thread(again, self.config, tuple(change(self.config.timed)))
            await keep(config)
            self._swap(config, {})
            await self._look_at_all()
            return config

    async def preview(self) -> ReloadResult:
        """What a reload would do now. Raises as `reload`."""
        config = await self._read()
        await self._refuse_moves(config)
        return await self._result(config)

    def shown(self) -> dict[str, object]:
        """All that the config in force says, defaults included, with secrets masked."""
        return masked(self.config.content)

    async def run(self) -> None:
        """Lets go of what nothing uses any more, every while, until cancelled."""
        clock = self.ctx.clock
        while True:
            await clock.sleep_until(clock.monotonic() + _TIDY_EVERY_S)
            try:
                await self.tidy()
            except BrokerError as error:
                events.POLL_FAILED.emit(message=str(error))

    async def tidy(self) -> None:
        """Forgets removed pools without agents. A backend that nothing uses is dropped, and closed one round later."""
        while self._closing:
            await _let_go(self._closing.pop())
        live: set[PoolName | None] = {agent.pool for agent in await self.ctx.agents.live()}
        live |= {host.pool for host in await self.ctx.hosts.living()}
        for name in self.ctx.retired.keys() - live:
            del self.ctx.retired[name]
        pools = (*self.ctx.definitions.pools.values(), *self.ctx.retired.values())
        unused = self.ctx.backends.keys() - {pool.backend for pool in pools}
        if unused:
            self._closing += [self.ctx.backends[name] for name in unused]
            self.ctx.backends = {name: b for name, b in self.ctx.backends.items() if name not in unused}
            events.BACKENDS_CLOSED.emit(backends=sorted(unused))

    async def close(self) -> None:
        """Closes all backends. Safe to repeat."""
        backends, self._closing = [*self._closing, *self.ctx.backends.values()], []
        self.ctx.backends = {}
        for backend in backends:
            await _let_go(backend)

    async def _read(self) -> Config:
        if self.config.source is None:
            raise ConfigError("this broker was started without a config file, so there is nothing to read anew")
        return await asyncio.to_thread(load, self.config.source, starting=True, timed=self.config.timed)

    async def _open(self, config: Config) -> dict[BackendName, Backend]:
        """The backends that a config adds; nothing is in force yet."""
        opened: dict[BackendName, Backend] = {}
        try:
            for name in filter(self._is_new(config), _used(config)):
                opened[name] = self.open_backend(config.definitions.backends[name])
        except BrokerError as error:
            for backend in opened.values():
                await _let_go(backend)
            raise ConfigError(f"{config.source}:1:1: error[backend]: {error}") from error
        return opened

    def _is_new(self, config: Config) -> Callable[[BackendName], bool]:
        def is_new(name: BackendName) -> bool:
            before = self.ctx.definitions.backends.get(name)
            changed = before is not None and before != config.definitions.backends[name]
            return name not in self.ctx.backends or changed

        return is_new

    async def _refuse_moves(self, config: Config) -> None:
        """An agent is found by its pool's backend: that one cannot become another while the agent lives."""
        live = [agent for agent in await self.ctx.agents.live() if agent.phase != Phase.REQUESTED]
        hosts = await self.ctx.hosts.living()
        now, new = self.ctx.definitions, config.definitions
        used = {agent.pool for agent in live if agent.pool is not None} | {host.pool for host in hosts}
        for pool in sorted(used):
            number, there = sum(agent.pool == pool for agent in live), sum(host.pool == pool for host in hosts)
            who = f"{number} of its agents" if number or not there else f"{there} of its hosts"
            before = now.pools.get(pool) or self.ctx.retired.get(pool)
            after = new.pools.get(pool)
            if before is None or after is None:
                continue
            if before.backend != after.backend:
                what = f"pool '{pool}' moves from backend '{before.backend}' to '{after.backend}'"
            elif now.backends.get(before.backend) not in (None, new.backends.get(after.backend)):
                what = f"backend '{after.backend}' of pool '{pool}' changes"
            else:
                continue
            message = f"{what} while {who} live; give the new one another name"
            raise ConfigError(f"{config.source}:1:1: error[in-use]: {message}")

    async def _result(self, config: Config) -> ReloadResult:
        before = self.config.content
        found = changes(before, config.content)
        about = touched(found, before, config.content)
        agents, ending = await self._agents(about)
        return ReloadResult(
            changed=tuple(str(change) for change in found),
            needs_restart=tuple(self._waiting(config)),
            revision=config.definitions.revision,
            policies=tuple(sorted(about.policies)),
            agents=agents,
            ending=ending,
        )

    async def _agents(self, about: Touched) -> tuple[int, int]:
        live = await self.ctx.agents.live()
        reached = sum(about.reaches(controller=a.controller, policy=a.policy, pool=a.pool) for a in live)
        return reached, sum(about.ends(controller=a.controller, policy=a.policy, pool=a.pool) for a in live)

    def _waiting(self, config: Config) -> Iterable[str]:
        for change in changes(self._started, config.content):
            if _is_below(change, RESTART):
                yield str(change)
            elif _is_below(change, GATEWAYS) and not self.gateway_follows:
                yield f"{change} (of the gateway: reload that too)"

    def _swap(self, config: Config, opened: Mapping[BackendName, Backend]) -> None:
        """Without an await: nobody sees half of it."""
        ctx, before = self.ctx, self.ctx.definitions
        for name, pool in before.pools.items():
            if name not in config.definitions.pools:
                ctx.retired[name] = pool
        for name in config.definitions.pools:
            ctx.retired.pop(name, None)
        self._closing += [ctx.backends[name] for name in opened if name in ctx.backends]
        ctx.backends = {**ctx.backends, **opened}
        ctx.definitions, ctx.timed = config.definitions, config.timed
        self.config = config
        ctx.metrics.define(config.definitions)
        for apply in self.applies:
            apply(config)

    async def _look_at_all(self) -> None:
        self.ctx.nudge.placement()
        self.ctx.nudge.hosts()
        try:
            for agent in await self.ctx.agents.live():
                if agent.phase is not Phase.REQUESTED:  # these are the placement's
                    self.ctx.nudge.agent(agent.id)
        except BrokerError as error:  # the reload has its result, and all are looked at every minute
            events.POLL_FAILED.emit(message=f"agents could not be read after a reload: {error}")

    async def _note(self, event: str, actor: str, message: str) -> None:
        try:
            await self.ctx.history.note(event, actor=actor, message=message[:_LONGEST_NOTE])
        except BrokerError as error:  # the reload itself has its result
            events.POLL_FAILED.emit(message=f"{event} could not be written down: {error}")


_LONGEST_NOTE: Final = 2_000


async def _let_go(backend: Backend) -> None:
    """One that cannot even be closed takes nothing else with it."""
    try:
        await backend.close()
    except Exception as error:
        events.POLL_FAILED.emit(message="a backend could not be closed", exc_info=error)


def _used(config: Config) -> set[BackendName]:
    return {pool.backend for pool in config.definitions.pools.values()}


def _is_below(change: Change, keys: Iterable[str]) -> bool:
    place = ".".join(str(part) for part in change.path)
    return any(place == key or place.startswith(f"{key}.") for key in keys)
