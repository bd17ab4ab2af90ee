"""A backend in memory whose agents are on hosts that it makes; it misbehaves when told to."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from broker.domain.host import HostListing, SeenHost
from broker.domain.host_order import HostOrder, HostPlace, Prepared, Preparing
from broker.domain.ids import HostId, HostRef, InstanceRef
from broker.domain.instance import Instance, InstanceState, Interruption
from broker.domain.offer import Offer, Offering
from broker.domain.pool import Pool
from broker.domain.reason import Reason
from broker.domain.resources import Resources
from broker.errors import BackendError, BackendRejected, InsufficientCapacity, OutcomeUnknown
from broker.ports import Clock, LaunchSpec, Made
from broker.testing.backend import FakeBackend
from broker.testing.clock import ManualClock
from broker.testing.machines import HostLedger, Machine, seen

_SHAPE: Final = Resources(cpu_milli=4000, memory_mib=8192)


class FakeHostBackend(FakeBackend):
    """A `ports.HostBackend`. Well-behaved until one of its knobs is turned; times are seconds of its clock.

    `shapes` the hosts that a pool may have, in order of preference; one of 4 vCPU and 8 GiB if nothing is said of it;
    `places.stock` how many of an offering there really are, `places.errors` what orders there come to;
    `most_hosts_at_once` of an order; `boot_s` until a machine runs, `delete_s` until one that is deleted is gone;
    `steps` the names and lengths of what prepares a host; `check_create` and `check_prepare` are asked before
    each answer, and raise what it comes to; `invisible_s` new machines are not told yet; `deletes_stay` machines stay
    `stopping` until `let_go_hosts()`; `unreachable` hosts on which nothing can be launched; `down` an error that every
    call raises; `hosts_down` one that those of machines raise; `empty_answers` so many answers tell of no machine, and
    of success.
    """

    def __init__(self, ledger: HostLedger | None = None, clock: Clock | None = None) -> None:
        """Speaks for the machines in `ledger`, a new one by default."""
        self.hosts = ledger or HostLedger()
        super().__init__(self.hosts, clock or ManualClock())
        self.shapes: list[Offer] = []
        self.most_hosts_at_once = 100
        self.boot_s = self.delete_s = self.invisible_s = 0.0
        self.steps: tuple[tuple[str, float], ...] = ()
        self.check_create: Callable[[HostOrder], None] | None = None
        self.check_prepare: Callable[[HostPlace], None] | None = None
        self.deletes_stay = False
        self.unreachable: set[str] = set()
        self.hosts_down: BackendError | None = None
        self.empty_answers = 0
        self._create_errors: deque[tuple[BackendError, bool]] = deque()
        self._delete_errors: deque[BackendError] = deque()
        self._preparing: dict[HostId, float] = {}

    # misbehaviour

    def next_create_raises(self, error: BackendError, *, times: int = 1) -> None:
        """The next orders make nothing and fail so."""
        self._create_errors.extend([(error, False)] * times)

    def next_create_is_unknown(self, *, created: bool, times: int = 1) -> None:
        """The next orders end in `OutcomeUnknown`, after (F3) or before (F4) the machines were made."""
        self._create_errors.extend([(OutcomeUnknown("Timeout", "no answer"), created)] * times)

    def next_delete_raises(self, error: BackendError, *, times: int = 1) -> None:
        """The next deletions do nothing and fail so."""
        self._delete_errors.extend([error] * times)

    # what happens to machines without anybody calling

    def interrupt_host(self, host: str, at: datetime, message: str = "") -> None:
        """The cloud tells that it takes the machine back at that time, and then does."""
        machine = self._machine(host)
        machine.interruption = Interruption(at=at, message=message)
        for ref in [ref for ref in self.hosts.instances if ref.partition("/")[0] == host]:
            self.interrupt(ref, at, message)

    def stop_host(self, host: str, reason: Reason | None = None, message: str = "") -> None:
        """The machine ends by itself, or never came to run; it still exists."""
        self._machine(host).stopped = (reason, message)

    def vanish_host(self, host: str) -> None:
        """Somebody else deletes the machine, or the cloud does (F7)."""
        self.hosts.machines.pop(self._machine(host).ref)

    def let_go_hosts(self) -> None:
        """Machines that were asked to end and stayed now are gone; later ones go at once."""
        self.deletes_stay = False
        for machine in self.hosts.machines.values():
            machine.gone_s = self._clock.monotonic() if machine.deleted else machine.gone_s

    # ports.HostBackend

    async def offers(self, pool: Pool) -> Sequence[Offer]:
        """The hosts that could be made."""
        self._check_up()
        told = [offer for offer in self.shapes if offer.pool == pool.name]
        return told or [Offer(pool=pool.name, shape=_SHAPE, slots=pool.hosts.agents_per_host if pool.hosts else None)]

    async def create_hosts(self, order: HostOrder) -> Made:
        """Makes as many as are in stock; what a token has made it does not make again."""
        self.hosts.orders.append(order)
        self._check_hosts_up()
        if self.check_create is not None:
            self.check_create(order)
        if self._create_errors:
            error, created = self._create_errors.popleft()
            if created:
                self._make(order)
            raise error
        made = self._make(order)
        if not made.refs and made.lack is not None:
            raise made.lack
        return made

    async def locate_hosts(self, order: HostOrder) -> Made:
        """What the token has made."""
        self._check_hosts_up()
        return Made(refs=dict(self.hosts.answers.get(order.token, {})))

    async def describe_hosts(self, refs: Sequence[HostRef]) -> Mapping[HostRef, SeenHost]:
        """Those of `refs` that exist and can be seen."""
        self.hosts.described.append(tuple(refs))
        self._check_hosts_up()
        if self.empty_answers:
            self.empty_answers -= 1
            return {}
        return {one.ref: one for one in self._all_seen() if one.ref in refs}

    async def prepare_host(self, place: HostPlace) -> Prepared | Preparing:
        """Goes through the steps from the first call on; another backend object begins anew."""
        self._check_up()
        if self.check_prepare is not None:
            self.check_prepare(place)
        machine = self._running(place.id)
        begun = self._preparing.setdefault(place.id, self._clock.monotonic())
        passed = self._clock.monotonic() - begun
        for name, length in self.steps if not machine.prepared else ():
            if passed < length:
                return Preparing(step=f"{name}, {passed:.0f} s")
            passed -= length
        if not machine.prepared:
            machine.prepared = True
            self.hosts.prepared[place.id] += 1
        return Prepared(host_key=f"ssh-ed25519 {place.id}", facts={"made": machine.ref})

    async def delete_hosts(self, refs: Sequence[HostRef]) -> None:
        """Deletes machines, or begins to."""
        self._check_hosts_up()
        if self._delete_errors:
            raise self._delete_errors.popleft()
        for ref in refs:
            self.hosts.deletions[ref] += 1
            machine = self.hosts.machines.get(ref)
            if machine is not None and not machine.deleted:
                machine.deleted = True
                machine.gone_s = float("inf") if self.deletes_stay else self._clock.monotonic() + self.delete_s
        self.hosts.sweep(self._clock)

    async def list_hosts(self) -> HostListing:
        """All that exists and can be seen."""
        self._check_hosts_up()
        return HostListing(hosts=tuple(self._all_seen()), complete=self.list_complete)

    # ports.Backend, on hosts

    async def launch(self, spec: LaunchSpec) -> InstanceRef:
        """Makes the instance of this key on its host, if that is prepared and can be reached."""
        self.hosts.sweep(self._clock)
        if spec.place is None:
            raise BackendRejected("NoPlace", f"agent {spec.name} has no host")
        if spec.place.id in self.unreachable:
            raise BackendRejected("Timeout", f"{spec.place.id} does not answer", Reason.SSH_UNREACHABLE)
        if not self._running(spec.place.id).prepared:
            raise BackendRejected("NotPrepared", f"{spec.place.id} is not prepared")
        return await super().launch(spec)

    async def describe(self, refs: Sequence[InstanceRef]) -> Mapping[InstanceRef, Instance]:
        """Those of `refs` that exist; what was on a machine that is gone does not."""
        self.hosts.sweep(self._clock)
        return await super().describe(refs)

    def machines(self) -> list[Machine]:
        """The machines that exist now."""
        self.hosts.sweep(self._clock)
        return list(self.hosts.machines.values())

    def _create(self, spec: LaunchSpec) -> InstanceRef:
        return self.hosts.create(spec, self.first_state if spec.place else InstanceState.PENDING)

    def _make(self, order: HostOrder) -> Made:
        if (known := self.hosts.answers.get(order.token)) is not None:
            return Made(refs=dict(known), lack=self._lack(order.offering) if len(known) < len(order.hosts) else None)
        if (error := self.places.errors.get(order.offering)) is not None:
            return Made(refs={}, lack=error)
        there = sum(m.offering == order.offering for m in self.machines())
        room = max(0, self.places.stock.get(order.offering, there + len(order.hosts)) - there)
        now, made = self._clock.monotonic(), dict[HostId, HostRef]()
        for host in order.hosts[:room]:
            made[host] = self.hosts.add_machine(order, host, now, self.boot_s).ref
        if made:
            self.hosts.answers[order.token] = made
        return Made(refs=dict(made), lack=None if len(made) == len(order.hosts) else self._lack(order.offering))

    def _lack(self, of: Offering) -> InsufficientCapacity:
        return InsufficientCapacity("NoStock", f"only {self.places.stock.get(of, 0)} of {of.type or of.pool} left")

    def _all_seen(self) -> list[SeenHost]:
        now = self._clock.monotonic()
        visible = [m for m in self.machines() if now - m.made_s >= self.invisible_s]
        return [seen(machine, now, self._clock) for machine in visible]

    def _machine(self, host: str) -> Machine:
        self.hosts.sweep(self._clock)
        machine = self.hosts.machine_of(host)
        if machine is None:
            raise BackendRejected("NoSuchHost", host)
        return machine

    def _running(self, host: str) -> Machine:
        machine = self._machine(host)
        if machine.stopped is not None or machine.deleted or self._clock.monotonic() < machine.runs_s:
            raise BackendRejected("NotRunning", host, Reason.SSH_UNREACHABLE)
        return machine

    def _check_hosts_up(self) -> None:
        self._check_up()
        if self.hosts_down is not None:
            raise self.hosts_down
