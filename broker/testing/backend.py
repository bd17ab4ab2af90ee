"""A backend in memory that does what a backend promises, and misbehaves when told to."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from broker.domain.ids import AgentName, InstanceRef, LaunchToken
from broker.domain.instance import Instance, InstanceState, Interruption, LaunchKey, Listing
from broker.domain.offer import Offer, Offering
from broker.domain.pool import Pool
from broker.domain.reason import Reason
from broker.errors import BackendError, BackendRejected, InsufficientCapacity, OutcomeUnknown
from broker.ports import Clock, LaunchSpec
from broker.testing.clock import ManualClock
from broker.testing.places import FakeHost, Places


@dataclass(slots=True)
class Ledger:
    """What exists behind a fake backend, and what ever did: it outlives the backend object, as a cloud does."""

    instances: dict[InstanceRef, Instance] = field(default_factory=dict)
    created: Counter[LaunchToken] = field(default_factory=Counter)
    """How many instances a token ever made; more than one is a broken promise of whoever calls."""
    calls: list[LaunchSpec] = field(default_factory=list)
    """Every launch that arrived, answered or not."""
    terminations: Counter[InstanceRef] = field(default_factory=Counter)
    made: dict[InstanceRef, LaunchSpec] = field(default_factory=dict)
    """What each instance was made for."""
    _refs: dict[LaunchToken, InstanceRef] = field(default_factory=dict)

    def create(self, spec: LaunchSpec, state: InstanceState) -> InstanceRef:
        """The instance of this token, made if there is none yet; one that has ended is not made again."""
        if (known := self._refs.get(spec.key.token)) is not None:
            return known
        ref = InstanceRef(f"fake-{len(self._refs) + 1}")
        self._refs[spec.key.token] = ref
        self.created[spec.key.token] += 1
        self.made[ref] = spec
        self.instances[ref] = Instance(ref=ref, state=state, agent_id=spec.key.agent_id, attempt=spec.key.attempt)
        return ref

    def find(self, token: LaunchToken) -> InstanceRef | None:
        """The existing instance of a token."""
        ref = self._refs.get(token)
        return ref if ref in self.instances else None

    def running(self) -> list[LaunchSpec]:
        """What the instances that exist were made for."""
        return [self.made[ref] for ref in self.instances if ref in self.made]

    def total_created(self) -> int:
        """How many instances were ever made."""
        return self.created.total()

    def spec_of(self, name: AgentName) -> LaunchSpec:
        """The last launch that arrived for an agent of this name."""
        return next(spec for spec in reversed(self.calls) if spec.name == name)


class FakeBackend:
    """A `ports.Backend`. Well-behaved until one of its knobs is turned:

    `room` how many instances may exist, None without bound; `first_state` what a new instance is; `describe_delay_s`
    clock seconds before `describe` answers; `terminate_stays` an instance asked to end stays `stopping` until
    `let_go()`; `list_complete` what `list_owned` says of itself; `down` an error that every call raises;
    `check_launch` is asked before each launch, and raises what that one comes to; `places` what each pool has of hosts,
    zones, types and capacities, and what is out of stock there.
    """

    def __init__(
        self, ledger: Ledger | None = None, clock: Clock | None = None, hosts: Iterable[FakeHost] = ()
    ) -> None:
        """Speaks for the instances in `ledger`, a new one by default, on these hosts, where a pool has any."""
        self.places = Places(list(hosts))
        self.ledger = ledger or Ledger()
        self.room: int | None = None
        self.first_state = InstanceState.RUNNING
        self.describe_delay_s = 0.0
        self.terminate_stays = False
        self.list_complete = True
        self.down: BackendError | None = None
        self.closed = False
        self.check_launch: Callable[[LaunchSpec], None] | None = None
        self._clock = clock or ManualClock()
        self._launch_errors: deque[tuple[BackendError, bool]] = deque()
        self._terminate_errors: deque[BackendError] = deque()
        self._gate = asyncio.Event()
        self._gate.set()
        self._hang_after_create = False

    # misbehaviour

    def next_launch_raises(self, error: BackendError, *, times: int = 1) -> None:
        """The next launches make nothing and fail so."""
        self._launch_errors.extend([(error, False)] * times)

    def offering_raises(self, offering: Offering, error: BackendError) -> None:
        """Every launch there makes nothing and fails so, until `offering_recovers`."""
        self.places.errors[offering] = error

    def offering_recovers(self, offering: Offering) -> None:
        """Launches there go well again."""
        self.places.errors.pop(offering, None)

    def forget_errors(self) -> None:
        """Launches go well again."""
        self._launch_errors.clear()

    def next_launch_is_unknown(self, *, created: bool, times: int = 1) -> None:
        """The next launches end in `OutcomeUnknown`, after (F3) or before (F4) the instance was made."""
        self._launch_errors.extend([(OutcomeUnknown("Timeout", "no answer"), created)] * times)

    def hang_launches(self, *, after_create: bool = False) -> None:
        """Launches get no answer until `answer_launches()`, with or without the instance being made meanwhile."""
        self._gate.clear()
        self._hang_after_create = after_create

    def answer_launches(self) -> None:
        """Ends `hang_launches`."""
        self._gate.set()

    def next_terminate_raises(self, error: BackendError, *, times: int = 1) -> None:
        """The next terminates do nothing and fail so."""
        self._terminate_errors.extend([error] * times)

    # what happens to instances without anybody calling

    def run(self, ref: InstanceRef) -> None:
        """A pending instance now runs."""
        self._change(ref, state=InstanceState.RUNNING)

    def stop(
        self,
        ref: InstanceRef,
        *,
        exit_code: int = 0,
        lines: Sequence[str] = (),
        reason: Reason | None = Reason.CONTAINER_EXITED,
        message: str = "",
    ) -> None:
        """The instance ends by itself; it stays to be read until it is terminated."""
        told = message or f"exit code {exit_code}"
        changes = {"exit_code": exit_code, "reason": reason, "message": told, "last_lines": tuple(lines[-20:])}
        self._change(ref, state=InstanceState.STOPPED, **changes)

    def interrupt(self, ref: InstanceRef, at: datetime, message: str = "") -> None:
        """The cloud tells that it takes the instance back at that time; a test does so, with `vanish` or `stop`."""
        self._change(ref, interruption=Interruption(at=at, message=message))

    def vanish(self, ref: InstanceRef) -> None:
        """Somebody else deletes the instance."""
        self.ledger.instances.pop(ref, None)

    def let_go(self) -> None:
        """Instances that were asked to end and stayed now are gone; later ones go at once."""
        self.terminate_stays = False
        for ref in [i.ref for i in self.ledger.instances.values() if i.state is InstanceState.STOPPING]:
            self.vanish(ref)

    # ports.Backend

    async def offers(self, pool: Pool) -> Sequence[Offer]:
        """What `places` say of the pool; else one offer with what is left of `room`."""
        if (told := self.places.of(pool.name, self.ledger.running)) is not None:
            return told
        room = None if self.room is None else max(0, self.room - len(self.ledger.instances))
        return (Offer(pool=pool.name, room=room),)

    async def launch(self, spec: LaunchSpec) -> InstanceRef:
        """Makes the instance of this key, or fails as told."""
        self.ledger.calls.append(spec)
        self._check_up()
        if self.check_launch is not None:
            self.check_launch(spec)
        if self._launch_errors:
            error, created = self._launch_errors.popleft()
            if created:
                self._create(spec)
            raise error
        if not self._gate.is_set() and not self._hang_after_create:
            await self._gate.wait()
        ref = self._create(spec)
        await self._gate.wait()
        return ref

    async def locate(self, key: LaunchKey) -> InstanceRef | None:
        """The existing instance of this key."""
        self._check_up()
        return self.ledger.find(key.token)

    async def describe(self, refs: Sequence[InstanceRef]) -> Mapping[InstanceRef, Instance]:
        """Those of `refs` that exist."""
        if self.describe_delay_s:
            await self._clock.sleep_until(self._clock.monotonic() + self.describe_delay_s)
        self._check_up()
        return {ref: self.ledger.instances[ref] for ref in refs if ref in self.ledger.instances}

    async def terminate(self, ref: InstanceRef) -> None:
        """Deletes the instance, or begins to."""
        self._check_up()
        if self._terminate_errors:
            raise self._terminate_errors.popleft()
        self.ledger.terminations[ref] += 1
        if ref not in self.ledger.instances:
            return
        if self.terminate_stays:
            self._change(ref, state=InstanceState.STOPPING)
        else:
            self.vanish(ref)

    async def list_owned(self) -> Listing:
        """All that exists."""
        self._check_up()
        return Listing(instances=tuple(self.ledger.instances.values()), complete=self.list_complete)

    async def close(self) -> None:
        """Notes that it was closed."""
        self.closed = True

    def _create(self, spec: LaunchSpec) -> InstanceRef:
        exists = self.ledger.find(spec.key.token) is not None
        if not exists and self.room is not None and len(self.ledger.instances) >= self.room:
            raise InsufficientCapacity("Full", f"room for {self.room} instances, all taken")
        if not exists:
            self.places.admit(spec, self.ledger.running)
        return self.ledger.create(spec, self.first_state)

    def _change(self, ref: InstanceRef, **changes: object) -> None:
        if (instance := self.ledger.instances.get(ref)) is None:
            raise BackendRejected("NoSuchInstance", ref)
        self.ledger.instances[ref] = replace(instance, **changes)  # type: ignore[arg-type]  # fields of Instance

    def _check_up(self) -> None:
        if self.down is not None:
            raise self.down
