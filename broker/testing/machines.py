"""The machines behind a fake backend that makes hosts: they outlive the backend object, as a cloud does."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta

from broker.domain.host import HostState, SeenHost
from broker.domain.host_order import HostOrder
from broker.domain.ids import HostId, HostRef, InstanceRef
from broker.domain.instance import Instance, InstanceState, Interruption
from broker.domain.offer import Offering
from broker.domain.reason import Reason
from broker.ports import Clock, LaunchSpec
from broker.testing.backend import Ledger


@dataclass(slots=True, kw_only=True)
class Machine:
    """One machine. Times are monotonic seconds of the clock; `host` None is one without our signature."""

    ref: HostRef
    host: HostId | None
    token: str
    offering: Offering
    made_s: float
    runs_s: float
    """From then on it runs and has an address."""
    address: str
    gone_s: float = float("inf")
    """From then on it does not exist."""
    deleted: bool = False
    stopped: tuple[Reason | None, str] | None = None
    """Why it has ended by itself: then it does not run, and still exists."""
    interruption: Interruption | None = None
    prepared: bool = False
    """What its preparation leaves on it: it is not done twice."""


@dataclass(slots=True)
class HostLedger(Ledger):
    """Machines and the agents on them, and what ever was."""

    machines: dict[HostRef, Machine] = field(default_factory=dict)
    orders: list[HostOrder] = field(default_factory=list)
    """Every order that arrived, answered or not."""
    machines_of: Counter[HostId] = field(default_factory=Counter)
    """How many machines a host ever had; more than one is a broken promise of whoever calls."""
    deletions: Counter[HostRef] = field(default_factory=Counter)
    described: list[tuple[HostRef, ...]] = field(default_factory=list)
    """What each call of `describe_hosts` asked for."""
    prepared: Counter[HostId] = field(default_factory=Counter)
    """How often the preparation of a host has run to its end."""
    answers: dict[str, dict[HostId, HostRef]] = field(default_factory=dict)
    """What each token has made: the same again for the same token."""

    def create(self, spec: LaunchSpec, state: InstanceState) -> InstanceRef:
        """The instance of this token on its host, made if there is none yet."""
        known = self._refs.get(spec.key.token)
        if known is not None:
            return known
        ref = InstanceRef(f"{spec.key.host}/{spec.name}-{spec.key.attempt}")
        self._refs[spec.key.token] = ref
        self.created[spec.key.token] += 1
        self.made[ref] = spec
        self.instances[ref] = Instance(ref=ref, state=state, agent_id=spec.key.agent_id, attempt=spec.key.attempt)
        return ref

    def add_machine(self, order: HostOrder, host: HostId, now_s: float, boot_s: float) -> Machine:
        """Another machine, of a host of an order."""
        number = sum(self.machines_of.values()) + 1
        self.machines_of[host] += 1
        machine = Machine(
            ref=HostRef(f"i-{number}"),
            host=host,
            token=order.token,
            offering=order.offering,
            made_s=now_s,
            runs_s=now_s + boot_s,
            address=f"10.0.{number // 250}.{number % 250 + 1}",
        )
        self.machines[machine.ref] = machine
        return machine

    def machine_of(self, host: str) -> Machine | None:
        """The machine of a host that exists."""
        return next((m for m in self.machines.values() if m.host == host), None)

    def sweep(self, clock: Clock) -> None:
        """Takes away the machines whose time has come, and what ran on machines that run no more."""
        for machine in list(self.machines.values()):
            notice = machine.interruption
            if machine.gone_s <= clock.monotonic() or (notice is not None and notice.at <= clock.now()):
                del self.machines[machine.ref]
        alive = {m.host for m in self.machines.values() if m.stopped is None and not m.deleted}
        for ref in [ref for ref in self.instances if ref.partition("/")[0] not in alive]:
            del self.instances[ref]


def seen(machine: Machine, now_s: float, clock: Clock) -> SeenHost:
    """What a cloud tells of a machine."""
    state = HostState.RUNNING if now_s >= machine.runs_s else HostState.PENDING
    reason, message = machine.stopped or (None, "")
    if machine.stopped is not None:
        state = HostState.STOPPED
    if machine.deleted:
        state = HostState.STOPPING
    return SeenHost(
        ref=machine.ref,
        state=state,
        host=machine.host,
        address=machine.address if state is HostState.RUNNING else "",
        reason=reason,
        message=message,
        interruption=machine.interruption,
        created=clock.now() - timedelta(seconds=now_s - machine.made_s),
    )
