"""Connections to hosts by asyncssh: made when one is needed, kept while it is used, closed when nobody needs it."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import asyncssh

from broker.backends.ssh.errors import FAILURES, bad_key, classify
from broker.backends.ssh.options import HostKeyMode, Reach
from broker.backends.ssh.transport import HostUnreachable
from broker.backends.ssh.trust import Trust, key_line, pinned_keys
from broker.domain.host_order import HostPlace
from broker.domain.ids import HostId
from broker.domain.reason import Reason
from broker.ports import Clock

_KEEPALIVE_S: Final = 10.0
_KEEPALIVES: Final = 3
_CHANNELS: Final = 8
"""At once on one connection; sshd's `MaxSessions` is 10 by default (sshd_config)."""


@dataclass(slots=True)
class Kept:
    """A connection, and how many use it."""

    link: asyncssh.SSHClientConnection
    key: str
    """Which way it was made, so that a host that moved gets another."""
    users: int = 0
    idle_since: float = 0.0
    room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_CHANNELS))


class Connections:
    """At most one connection a host, and one a jump host."""

    def __init__(
        self, clock: Clock, trust: Trust, reach_of: Callable[[HostPlace], Reach], *, idle_s: float = 60.0
    ) -> None:
        """One that nobody has used for `idle_s` is closed."""
        self._clock = clock
        self._trust = trust
        self._reach_of = reach_of
        self._idle_s = idle_s
        self._kept: dict[HostId, Kept] = {}
        self._jumps: dict[Reach, asyncssh.SSHClientConnection] = {}
        """Of who trusts another key, or shows one, there is another connection."""
        self._jump_keys: dict[Reach, tuple[str, ...]] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._keeper: asyncio.Task[None] | None = None

    async def take(self, place: HostPlace) -> Kept:
        """A connection to a host, to be given back. Raises as `Transport.run` does."""
        async with self._locks.setdefault(place.id, asyncio.Lock()):  # bounded: `_open` is
            kept = self._kept.get(place.id)
            reach = self._reach_of(place)
            if kept is not None and (kept.link.is_closed() or kept.key != reach.way):
                self._drop(place.id)
                kept = None
            if kept is None:
                kept = self._kept[place.id] = Kept(await self._open(place, reach), reach.way)
            kept.users += 1
        return kept

    def give_back(self, kept: Kept) -> None:
        """It is not used any more; it stays open for a while."""
        kept.users -= 1
        kept.idle_since = self._clock.monotonic()
        if self._keeper is None or self._keeper.done():
            # In no group: it belongs to these connections, whose `close` ends it, and not to the call that came first.
            self._keeper = asyncio.get_running_loop().create_task(self._close_idle(), name="ssh:idle")

    def drop(self, host: HostId, kept: Kept) -> None:
        """It is broken: nobody gets it any more."""
        if self._kept.get(host) is kept:
            self._drop(host)

    def forget(self, host: HostId) -> None:
        """Closes what there is of a host."""
        self._drop(host)
        self._locks.pop(host, None)

    async def close(self) -> None:
        """Closes all."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait({self._keeper})
        links = [kept.link for kept in self._kept.values()] + [*self._jumps.values()]
        self._kept.clear()
        self._jumps.clear()
        for link in links:
            link.abort()
        for link in links:
            with suppress(TimeoutError, *FAILURES):
                async with asyncio.timeout(1.0):
                    await link.wait_closed()

    def _drop(self, host: HostId) -> None:
        kept = self._kept.pop(host, None)
        if kept is not None:
            kept.link.abort()

    async def _close_idle(self) -> None:
        """Runs while there are connections."""
        while self._kept:
            now = self._clock.monotonic()
            for host, kept in list(self._kept.items()):
                if kept.link.is_closed() or (not kept.users and now - kept.idle_since >= self._idle_s):
                    self._drop(host)
            if not self._kept:
                break
            await self._clock.sleep_until(now + max(1.0, self._idle_s / 4))
        for link in self._jumps.values():
            link.abort()
        self._jumps.clear()

    async def _open(self, place: HostPlace, reach: Reach) -> asyncssh.SSHClientConnection:
        keys = await self._trust.keys(place)
        if keys is None:
            raise HostUnreachable(
                "NoHostKeyYet", f"{reach.address}: its host keys are not on its console yet", Reason.SSH_UNREACHABLE
            )
        tunnel = await self._through(reach.jump) if reach.jump is not None else None
        may_be_new = reach.host_key is HostKeyMode.ACCEPT_NEW
        shown = _Shown(may_be_new and not keys)
        link = await self._connect(reach, keys, shown, tunnel)
        if shown.key:
            self._trust.saw(place, shown.key)
        return link

    async def _through(self, jump: Reach) -> asyncssh.SSHClientConnection:
        """The connection to a jump host, whose keys are checked as any other's."""
        async with self._locks.setdefault(jump.way, asyncio.Lock()):  # bounded: `_connect` is
            link = self._jumps.get(jump)
            if link is not None and not link.is_closed():
                return link
            if jump.host_key is HostKeyMode.PINNED:
                keys = await asyncio.to_thread(pinned_keys, jump)
            else:
                keys = self._jump_keys.get(jump, ())
            shown = _Shown(jump.host_key is HostKeyMode.ACCEPT_NEW and not keys)
            link = self._jumps[jump] = await self._connect(jump, keys, shown, None)
            if shown.key:
                self._jump_keys[jump] = (shown.key,)
            return link

    async def _connect(
        self, reach: Reach, keys: tuple[str, ...], shown: "_Shown", tunnel: asyncssh.SSHClientConnection | None
    ) -> asyncssh.SSHClientConnection:
        text = await asyncio.to_thread(reach.key_text)
        try:
            private = asyncssh.import_private_key(text)
        except (asyncssh.KeyImportError, ValueError) as error:
            raise bad_key(reach) from error
        try:
            async with asyncio.timeout(reach.connect_s):
                return await asyncssh.connect(
                    reach.address,
                    reach.port,
                    tunnel=tunnel or (),
                    options=None,
                    config=None,
                    username=reach.user,
                    client_keys=[private],
                    agent_path=None,
                    preferred_auth="publickey",
                    gss_host=None,
                    compression_algs=None,  # what a host sends is no larger than it looks
                    known_hosts=([asyncssh.import_public_key(key) for key in keys], [], []),
                    client_factory=lambda: shown,
                    keepalive_interval=_KEEPALIVE_S,
                    keepalive_count_max=_KEEPALIVES,
                    connect_timeout=reach.connect_s,
                    login_timeout=reach.connect_s,
                )
        except FAILURES as error:
            raise classify(error, reach) from error


class _Shown(asyncssh.SSHClient):
    """Hears of a host key that nobody knows: it may be believed if it is the first one ever."""

    def __init__(self, is_first: bool) -> None:
        self._is_first = is_first
        self.key = ""

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Keeps it, and believes it or not."""
        if self._is_first:
            self.key = key_line(key)
        return self._is_first
