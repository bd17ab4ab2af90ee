"""The virtual machines of a cloud: one network, and what runs in it."""

import asyncio
from ipaddress import IPv4Network
from pathlib import Path
from types import TracebackType

from broker.clock import SystemClock
from broker.demo.clouds.vms.network import Network
from broker.demo.clouds.vms.spec import VmSpec
from broker.demo.clouds.vms.vm import Vm
from broker.ports import Clock


class Vms:
    """Entered, it starts virtual machines; left, or killed, none of them and nothing of theirs is there."""

    def __init__(self, directory: Path, clock: Clock | None = None) -> None:
        """`directory` is made and removed; nothing but a mount in a namespace is in it."""
        self.network = Network(directory)
        self._clock: Clock = clock or SystemClock()
        self._tasks = asyncio.TaskGroup()
        self._vms: dict[str, Vm] = {}

    async def __aenter__(self) -> "Vms":
        """Makes the network. Raises CannotRun with what is missing on this machine."""
        await self.network.open()
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kills all, and returns when nothing is left."""
        try:
            for vm in self._vms.values():
                vm.sshd.forget()
            await self.network.close()
        finally:
            await self._tasks.__aexit__(kind, error, trace)

    def __getitem__(self, name: str) -> Vm:
        """One by its id; KeyError if there is none."""
        return self._vms[name]

    def get(self, name: str) -> Vm | None:
        """One by its id."""
        return self._vms.get(name)

    @property
    def ids(self) -> list[str]:
        """Those that are there, running or stopped."""
        return list(self._vms)

    async def start(self, spec: VmSpec) -> Vm:
        """Makes a virtual machine and boots it; one that fails leaves nothing. Raises CannotRun."""
        assert spec.id not in self._vms
        self._vms[spec.id] = vm = Vm(spec, self.network, self._clock, self._tasks)
        try:
            await vm.start()
        except BaseException:
            await self.remove(spec.id)
            raise
        return vm

    async def remove(self, name: str) -> None:
        """Ends one with all that is in it; one that is not there is a success."""
        vm = self._vms.pop(name, None)
        if vm is not None:
            await vm.remove()

    async def listen_in(self, block: IPv4Network) -> str:
        """The machine's own address in a vSwitch's block, where a gateway may listen for the agents inside."""
        return str(await self.network.add_block(block))
