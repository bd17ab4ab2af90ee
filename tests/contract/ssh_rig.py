"""An `SshHostsBackend` on virtual machines with a real sshd, whose agents are small shell scripts."""

import asyncio
import hashlib
import hmac
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any, Self

from broker.backends.ssh.watching import Pace
from broker.backends.ssh_hosts.assembly import open_ssh_hosts
from broker.backends.ssh_hosts.backend import SshHostsBackend
from broker.clock import SystemClock
from broker.demo.clouds.vms.spec import VmSpec
from broker.demo.clouds.vms.vm import Vm
from broker.demo.clouds.vms.vms import Vms
from broker.domain.host import HostRules
from broker.domain.host_order import HostOrder, HostPlace, Prepared
from broker.domain.ids import HostId, HostRef, InstanceRef
from broker.domain.instance import Instance, InstanceState
from broker.domain.offer import Offering
from broker.domain.pool import Pool
from broker.ports import LaunchSpec
from broker.testing.factories import POOL, make_pool, make_spec, make_template
from broker.testing.memory import FakeMemory
from tests.vms import a_spec, client_key

AGENT = """
trap 'exit 143' TERM
for word; do [ "$before" != -name ] || name=$word; before=$word; done
while [ ! -e "/tmp/$name.stop" ]; do sleep 0.05; done
cat "/tmp/$name.stop"
exit "$(cat "/tmp/$name.code")"
"""
"""Finds its name among the options of agent.jar, and ends when told by a file."""
QUICK = Pace(moving_s=0.0, steady_s=0.0, away_s=0.0)


class SshRig:
    """With an installation id of its own. The machines of its pool are virtual ones, by their ids."""

    def __init__(self, vms: Vms, machines: Sequence[Vm], **options: Any) -> None:
        self.vms = vms
        self.machines = {vm.spec.id: vm for vm in machines}
        self.installation = uuid.uuid4().hex
        self.key = uuid.uuid4().bytes
        self.memory = FakeMemory()
        self.clock = SystemClock()
        self.places: dict[str, HostPlace] = {}
        self.pool = self.pool_of(**options)
        self.backend = self.open()

    @classmethod
    async def on(cls, vms: Vms, count: int = 1, spec: VmSpec | None = None, **options: Any) -> Self:
        """On so many new machines."""
        machines = [await vms.start(a_spec(image=spec.image) if spec else a_spec()) for _ in range(count)]
        return cls(vms, machines, **options)

    @property
    def vm(self) -> Vm:
        """Its first machine."""
        return next(iter(self.machines.values()))

    def open(self, pace: Pace = QUICK) -> SshHostsBackend:
        """Another backend of the same broker."""
        return open_ssh_hosts(
            installation=self.installation,
            sign=self.sign,
            clock=self.clock,
            memory=self.memory,
            place_of=self.places.get,
            pace=pace,
        )

    def sign(self, text: str) -> str:
        return hmac.new(self.key, text.encode(), hashlib.sha256).hexdigest()

    def pool_of(self, **options: Any) -> Pool:
        """All machines, with their own keys pinned; `options` are further sections."""
        key = client_key().export_private_key().decode()
        ssh = {"user": "root", "private_key": key, "host_key": "accept-new"} | options.pop("ssh", {})
        runner = {"command": ["/bin/sh", "-c", AGENT, "agent"]} | options.pop("runner", {})
        hosts = {name: {"address": vm.address, "host_keys": list(vm.keys.public)} for name, vm in self.machines.items()}
        rules = HostRules(prepare_timeout=timedelta(minutes=5))
        return make_pool(options={"hosts": hosts, "ssh": ssh, "runner": runner, **options}, hosts=rules)

    async def reopen(self) -> SshHostsBackend:
        await self.backend.close()
        self.backend = self.open()
        return self.backend

    async def let_time_pass(self) -> None:
        await asyncio.sleep(0.05)

    # hosts

    def order(self, n: int = 1, hosts: int = 1) -> HostOrder:
        ids = tuple(HostId(f"h-{n:06x}{i:06x}") for i in range(hosts))
        return HostOrder(token=f"order-{n}", pool=self.pool, offering=Offering(POOL), hosts=ids)

    def set_place(self, host: HostId, place: HostPlace | None) -> None:
        self.places.pop(host, None)
        if place is not None:
            self.places[host] = place

    async def count_hosts(self) -> int:
        return self.memory.text.count("[") if self.memory.text else 0

    async def place(self, n: int = 1) -> HostPlace:
        """A machine that is taken, not prepared."""
        made = await self.backend.create_hosts(self.order(n))
        [(host, ref)] = made.refs.items()
        place = HostPlace(id=host, pool=self.pool, ref=ref, address=self.address_of(ref))
        self.set_place(host, place)
        return place

    async def prepared(self, n: int = 1, limit_s: float = 30.0) -> HostPlace:
        """A machine that is ready; raises what its preparation comes to."""
        place = await self.place(n)
        async with asyncio.timeout(limit_s):
            while not isinstance(answer := await self.backend.prepare_host(place), Prepared):
                await self.let_time_pass()
        ready = replace(place, host_key=answer.host_key, facts=answer.facts)
        self.set_place(place.id, ready)
        return ready

    def address_of(self, ref: HostRef) -> str:
        return self.machines[ref.partition("/")[2]].address

    # agents

    def spec(self, place: HostPlace, n: int = 1, attempt: int = 1, **changes: Any) -> LaunchSpec:
        spec = make_spec(n, attempt, pool=self.pool, template=make_template(), host=place.id, place=place, **changes)
        return replace(spec, key=replace(spec.key, host=place.id))

    async def stop_instance(self, ref: InstanceRef, *, exit_code: int, lines: Sequence[str]) -> None:
        agent = ref.partition("/")[2].rpartition("-")[0]
        vm = self.machines[self.places[ref.partition("/")[0]].ref.partition("/")[2]]
        vm.path(f"/tmp/{agent}.code").write_text(str(exit_code))
        written = vm.path(f"/tmp/{agent}.new")
        written.write_text("".join(f"{line}\n" for line in lines))
        written.rename(vm.path(f"/tmp/{agent}.stop"))

    async def count_running(self) -> int:
        return sum([len(await self.processes(vm)) for vm in self.machines.values()])

    async def processes(self, vm: Vm) -> list[str]:
        """The agents' own processes in a machine, asked without the backend; a child that is to be another is none."""
        found = [path.name for path in vm.path("/proc").iterdir() if path.name.isdecimal()]
        agents = {pid for pid in found if _words(vm, pid)[:3] == ["/bin/sh", "-c", AGENT]}
        return [pid for pid in agents if _parent(vm, pid) not in agents]

    async def instance(self, ref: InstanceRef) -> Instance | None:
        return (await self.backend.describe([ref])).get(ref)

    async def wait_for(self, ref: InstanceRef, state: InstanceState | None, limit_s: float = 20.0) -> Instance | None:
        """Waits for a state; None is for its absence."""
        seen: Instance | None = None
        try:
            async with asyncio.timeout(limit_s):
                while True:
                    seen = await self.instance(ref)
                    if (seen.state if seen is not None else None) is state:
                        return seen
                    await self.let_time_pass()
        except TimeoutError:
            raise AssertionError(f"{ref} is not {state}: {seen}") from None

    async def close(self) -> None:
        await self.backend.close()


def _words(vm: Vm, pid: str) -> list[str]:
    with suppress(OSError):
        return vm.path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
    return []


def _parent(vm: Vm, pid: str) -> str:
    with suppress(OSError):
        return vm.path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1]
    return ""


class AgentRig(SshRig):
    """The same for `BackendContract`: one machine, prepared, on which all agents are."""

    host: HostPlace

    def spec(self, n: int = 1, attempt: int = 1) -> LaunchSpec:  # type: ignore[override]  # of the other contract
        return super().spec(self.host, n, attempt)
