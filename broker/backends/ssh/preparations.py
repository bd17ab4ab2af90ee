"""All hosts that are being got ready: one task each, however often somebody asks."""

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

from broker.backends.ssh.options import init_of, runner_of
from broker.backends.ssh.preparing import NO_INIT, Order, facts_of, failure, read
from broker.backends.ssh.shell import masked
from broker.backends.ssh.transport import HostUnreachable, Ran, Transport
from broker.backends.ssh.trust import Trust
from broker.domain.host_order import HostPlace, Prepared, Preparing
from broker.domain.ids import HostId
from broker.domain.lengths import short
from broker.domain.reason import Reason
from broker.errors import BackendError, BackendRejected
from broker.ports import Clock

_STEP_S: Final = 90.0
"""Of one command; it watches the init script for at most a minute."""
_LEAST_S: Final = 0.5
"""Between two commands, whatever the first has said."""
_CUTS: Final = 3
"""So often the init script is run again after it was cut off."""
_PAUSES: Final = (0.5, 0.5, 1.0, 1.0, 2.0, 2.0, 3.0)
_PAUSE: Final = 5.0
_LINE: Final = 200


@dataclass(slots=True)
class _Preparation:
    place: HostPlace
    began: float
    step: str = "begins"
    task: "asyncio.Task[Prepared | BackendError] | None" = None
    away_since: float | None = None
    denied_since: float | None = None
    tries: int = 0
    cuts: int = 0
    script_since: float | None = None
    line: str = ""
    secrets: dict[str, str] = field(default_factory=dict)


class Preparations:
    """Outlives broken connections; a broker that restarts begins anew, and joins an init script that runs."""

    def __init__(
        self, clock: Clock, transport: Transport, trust: Trust, folder: str, *, auth_grace_s: float = 60.0
    ) -> None:
        """For `auth_grace_s` a host that lets nobody in is asked again: clouds put keys there after sshd has begun."""
        self._clock = clock
        self._transport = transport
        self._trust = trust
        self._folder = folder
        self._auth_grace_s = auth_grace_s
        self._of: dict[HostId, _Preparation] = {}

    def ask(self, place: HostPlace) -> Prepared | Preparing:
        """How far it is; begins it. Raises what it came to, once: then it may begin anew."""
        one = self._of.get(place.id)
        if one is None:
            one = self._of[place.id] = _Preparation(place, self._clock.monotonic())
            # In no group: it outlives the call; `forget` and `close` end it.
            one.task = asyncio.get_running_loop().create_task(self._work(one), name=f"prepare:{place.id}")
        assert one.task is not None
        if not one.task.done():
            return Preparing(step=self._words(one))
        outcome = one.task.result()
        if isinstance(outcome, BackendError):
            del self._of[place.id]
            raise outcome
        return outcome

    async def forget(self, host: HostId) -> None:
        """Ends what goes on for a host."""
        await _end([one.task for one in (self._of.pop(host, None),) if one is not None and one.task is not None])

    async def close(self) -> None:
        """Ends it all; init scripts run on on their hosts."""
        tasks = [one.task for one in self._of.values() if one.task is not None]
        self._of.clear()
        await _end(tasks)

    def _words(self, one: _Preparation) -> str:
        now = self._clock.monotonic()
        if one.script_since is not None:
            words = f"init script, {_for(now - one.script_since)}"
            return f"{words}: {one.line}" if one.line else words
        since = one.away_since if one.away_since is not None else one.denied_since
        return one.step if since is None else f"{one.step} since {_for(now - since)}"

    async def _work(self, one: _Preparation) -> Prepared | BackendError:
        """Answers what it came to: an error is a value, so that it is told once."""
        try:
            pool = one.place.pool
            init = await asyncio.to_thread(init_of, pool)
            order = Order(pool=pool.name, init=init or NO_INIT, runner=runner_of(pool), folder=self._folder)
            one.secrets = dict(order.init.env)
            one.step = "connects"
            while True:
                began = self._clock.monotonic()
                ran = await self._try(one, order)
                if ran is not None:
                    done = await self._judge(one, order, ran, began)
                    if isinstance(done, Order):
                        order = done
                    else:
                        return done
        except BackendError as error:
            return error

    async def _try(self, one: _Preparation, order: Order) -> Ran | None:
        """One command. None: it was not heard to its end, and it is time to try again."""
        try:
            ran = await self._transport.run(
                one.place, order.script(), stdin=order.stdin, limit_s=_STEP_S, heard=self._hear(one, order)
            )
        except HostUnreachable as error:
            self._note_away(one, error)
        except BackendRejected as error:
            self._note_denied(one, error)
        else:
            one.away_since = one.denied_since = None
            one.tries = 0
            return ran
        pause = _PAUSES[one.tries] if one.tries < len(_PAUSES) else _PAUSE
        one.tries += 1
        await self._clock.sleep_until(self._clock.monotonic() + pause)
        return None

    async def _judge(self, one: _Preparation, order: Order, ran: Ran, began: float) -> "Prepared | Order":
        """The end of it, or what is to be run next."""
        told = read(ran, order)
        if told.is_ready:
            return await self._ready(one, facts_of(told, order))
        if told.goes_on:
            await self._clock.sleep_until(began + _LEAST_S)
            return order
        if told.problem == "cut" and one.cuts < _CUTS:
            one.cuts += 1
            one.script_since, one.line = None, ""
            one.step = f"the init script was cut off: runs it again ({one.cuts} of {_CUTS})"
            return replace(order, nonce=uuid.uuid4().hex)
        if told.problem == "cut":
            message = f"the init script was cut off {_CUTS + 1} times before its end: does it restart the host?"
            raise BackendRejected("InitCut", "\n".join((message, *told.tail)), Reason.SETUP_FAILED)
        raise failure(told, ran, order)

    async def _ready(self, one: _Preparation, facts: dict[str, str]) -> Prepared:
        keys = await self._trust.keys(one.place)
        return Prepared(host_key="\n".join(keys or ()), facts=facts)

    def _hear(self, one: _Preparation, order: Order) -> Callable[[str], None]:
        def heard(line: str) -> None:
            if line.startswith("|"):
                if one.script_since is None:
                    one.script_since = self._clock.monotonic()
                one.line = masked(line[1:], order.init.env).strip()[:_LINE]
            elif one.script_since is not None and line[:1] in {"=", ">"}:
                one.script_since, one.line, one.step = None, "", "looks for Java and a container engine"

        return heard

    def _note_away(self, one: _Preparation, error: HostUnreachable) -> None:
        """Waits go on until the host's own time is over; a second before that they say what was missing."""
        now = self._clock.monotonic()
        if one.away_since is None:
            one.away_since = now
        one.step = f"waits for {error.message}"
        rules = one.place.pool.hosts
        if rules is not None and now - one.began > rules.prepare_timeout.total_seconds() - 10.0:
            message = f"{error.message} since {_for(now - one.away_since)}: is the port open to the broker?"
            raise BackendRejected(error.code, message, Reason.SSH_UNREACHABLE) from error

    def _note_denied(self, one: _Preparation, error: BackendRejected) -> None:
        now = self._clock.monotonic()
        if error.code != "PermissionDenied":
            raise error
        if one.denied_since is None:
            one.denied_since = now
        if now - one.denied_since >= self._auth_grace_s:
            raise error
        one.away_since = None
        one.step = f"waits to be let in as {error.message.partition(':')[0]}: not yet"


async def _end(tasks: "list[asyncio.Task[Prepared | BackendError]]") -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)


def _for(seconds: float) -> str:
    return short(timedelta(seconds=round(seconds)))
