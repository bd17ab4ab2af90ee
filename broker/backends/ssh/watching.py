"""What is known of each host's agents, and how often it is asked for: one command a host, beside whoever asks."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from broker.backends.ssh.looking import Looked, look_script, understand
from broker.backends.ssh.ownership import Ownership
from broker.backends.ssh.transport import Transport
from broker.domain.host_order import HostPlace
from broker.domain.ids import HostId
from broker.domain.instance import Instance, InstanceState
from broker.errors import BackendError
from broker.ports import Clock

_LIMIT_S: Final = 15.0
_AT_ONCE: Final = 32
_YOUNG_S: Final = 60.0
_MOVES: Final = frozenset({InstanceState.PENDING, InstanceState.STOPPING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often a host is asked for its agents, however often `describe` is called: seconds."""

    moving_s: float = 3.0
    """While one of them starts or ends."""
    steady_s: float = 20.0
    away_s: float = 5.0
    """While the host does not answer."""
    patience_s: float = 12.0
    """So long `describe` waits for hosts; what is heard later counts in the next one."""


@dataclass(slots=True)
class View:
    """One host as it was when it last answered; `away` says why it does not answer now."""

    looked: Looked | None = None
    at: float = float("-inf")
    away: str = ""
    stirred_at: float = float("-inf")
    """When something was begun or ended there by us."""
    task: "asyncio.Task[None] | None" = None

    @property
    def is_sure(self) -> bool:
        """Whether what is not in it does not exist."""
        return self.looked is not None and not self.away and self.at > float("-inf")


class Watching:
    """Asks hosts and remembers what they have said. Nothing of it matters to a broker that restarts."""

    def __init__(self, clock: Clock, transport: Transport, ownership: Ownership, pace: Pace) -> None:
        """Looks are tasks of this object; `close` ends them."""
        self._clock = clock
        self._transport = transport
        self._ownership = ownership
        self._pace = pace
        self._views: dict[HostId, View] = {}
        self._room = asyncio.Semaphore(_AT_ONCE)

    async def views(self, places: Iterable[HostPlace], *, afresh: bool = False) -> dict[HostId, View]:
        """Each host as it is known, after a look where one is due; `afresh` has one wherever there is none running."""
        wanted = {place.id: place for place in places}
        for place in wanted.values():
            view = self._views.setdefault(place.id, View())
            if (view.task is None or view.task.done()) and (afresh or self._is_due(view)):
                # In no group: a host that hangs must hold up nobody; `forget` and `close` end it.
                view.task = asyncio.get_running_loop().create_task(self._look(place, view), name=f"look:{place.id}")
        tasks = [self._views[host].task for host in wanted]
        running = {task for task in tasks if task is not None and not task.done()}
        if running:
            done, _ = await asyncio.wait(running, timeout=self._pace.patience_s)
            for task in done:
                task.result()  # a bug is not kept for oneself
        return {host: self._views.get(host, View()) for host in wanted}

    def stir(self, host: HostId) -> None:
        """Something is begun or ended there: what is known of it is old."""
        view = self._views.setdefault(host, View())
        view.at = float("-inf")
        view.stirred_at = self._clock.monotonic()

    async def forget(self, host: HostId) -> None:
        """Knows nothing more of a host."""
        view = self._views.pop(host, None)
        await _end([view] if view is not None else [])

    async def close(self) -> None:
        """Ends all looks."""
        views = list(self._views.values())
        self._views.clear()
        await _end(views)

    def _is_due(self, view: View) -> bool:
        if view.away:
            return self._clock.monotonic() - view.at >= self._pace.away_s
        young = self._clock.monotonic() - view.stirred_at < _YOUNG_S
        moves = view.looked is None or any(one.state in _MOVES for one in view.looked.instances.values())
        pace = self._pace.moving_s if young or moves else self._pace.steady_s
        return self._clock.monotonic() - view.at >= pace

    async def _look(self, place: HostPlace, view: View) -> None:
        began = self._clock.monotonic()
        async with self._room:
            try:
                script = look_script(place, self._ownership)
                ran = await self._transport.run(place, script, limit_s=_LIMIT_S)
            except BackendError as error:
                view.away, view.at = error.message or error.code, self._clock.monotonic()
                return
        looked = understand(ran.output, place, self._ownership)
        if looked is None:
            view.away, view.at = f"its shell answered with code {ran.code} {ran.errors[-200:]}", began
            return
        view.looked, view.away = _with_what_is_unknown(looked, view.looked), ""
        if view.stirred_at <= began:
            view.at = began


def _with_what_is_unknown(looked: Looked, before: Looked | None) -> Looked:
    """While the engine does not answer, containers that were there are as they were."""
    if not looked.broken or before is None:
        return looked
    kept: dict[str, Instance] = {**before.instances, **looked.instances}
    return replace(looked, instances=kept, unsigned=before.unsigned | looked.unsigned)


async def _end(views: list[View]) -> None:
    tasks = [view.task for view in views if view.task is not None and not view.task.done()]
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
