"""Instances of the fake of Alibaba Cloud as virtual machines: booted when they come to Running, ended when they end.

It looks at the fake every few hundredths of a second, by the machine's clock, for virtual machines know no other.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Final

from broker.demo.clouds.alibaba.cloud import FakeAlibaba
from broker.demo.clouds.alibaba.instances import Instance
from broker.demo.clouds.alibaba.runner import Ran, Script
from broker.demo.clouds.vms.needs import CannotRun
from broker.demo.clouds.vms.spec import Image, VmSpec
from broker.demo.clouds.vms.vm import Vm
from broker.demo.clouds.vms.vms import Vms

_LOOK_S: Final = 0.05


@asynccontextmanager
async def running_vms(fake: FakeAlibaba, directory: Path) -> AsyncIterator["VmRunner"]:
    """Runs a fake's instances while it is entered; those that are left then are killed.

    `directory` is made and removed. Raises CannotRun with what is missing on this machine.
    """
    async with Vms(directory) as vms, asyncio.TaskGroup() as group:
        runner = VmRunner(fake, vms, group)
        looking = group.create_task(runner.look_on(), name="instances of the fake")
        try:
            yield runner
        finally:
            looking.cancel()
            fake.ecs.runner = None


class VmRunner:
    """What joins a fake's instances with virtual machines."""

    def __init__(self, fake: FakeAlibaba, vms: Vms, tasks: asyncio.TaskGroup) -> None:
        """From now on the fake's instances are run here."""
        self.vms = vms
        self.image = Image(console_delay_s=1.0)
        """What is in instances that come up from now on, unless their image is in `images`."""
        self.images: dict[str, Image] = {}
        """By the cloud's image id."""
        self.problems: list[str] = []
        """What could not be started, and why."""
        self._fake, self._tasks = fake, tasks
        self._wanted: dict[str, int] = {}
        """By instance, which of its boots is to run; 0: none, for it is stopped."""
        self._booted: dict[str, int] = {}
        self._began: dict[str, int] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        fake.ecs.runner = self

    def __getitem__(self, instance: str) -> Vm:
        """The virtual machine of an instance by its id; KeyError if it has none yet, or none more."""
        return self.vms[instance]

    async def look_on(self) -> None:
        """Looks until it is cancelled."""
        while True:
            self.look()
            await asyncio.sleep(_LOOK_S)

    def look(self) -> None:
        """Has the fake tell what has happened, and ends what is not there any more."""
        there = {one.id for one in self._fake.ecs.living}
        for name in [name for name in self._wanted if name not in there]:
            del self._wanted[name]
            self._settle(name)

    def began(self, instance: Instance) -> None:
        """The instance has come to Running."""
        self._wanted[instance.id] = self._began[instance.id] = self._began.get(instance.id, 0) + 1
        self._settle(instance.id, self._spec(instance))

    def ended(self, instance: Instance) -> None:
        """It runs no more."""
        if instance.id in self._wanted:
            self._wanted[instance.id] = 0
            self._settle(instance.id)

    def console(self, instance: Instance) -> str:
        """What its serial console has shown."""
        vm = self.vms.get(instance.id)
        return vm.console() if vm else ""

    def is_reachable(self, instance: Instance) -> bool:
        """Whether Cloud Assistant's agent inside answers."""
        vm = self.vms.get(instance.id)
        return vm is not None and vm.running

    def run_command(self, instance: Instance, script: Script) -> Callable[[], Ran]:
        """Begins a script inside."""
        run = self.vms[instance.id].assistant.run(
            script.invocation,
            script.content,
            kind=script.kind,
            timeout_s=script.timeout_s,
            user=script.username,
            directory=script.directory,
        )
        return lambda: Ran(output=run.output, exit_code=run.exit_code)

    def stop_command(self, instance: Instance, invocation: str) -> None:
        """Kills what runs of an invocation."""
        vm = self.vms.get(instance.id)
        if vm:
            vm.assistant.stop(invocation)

    def _settle(self, name: str, spec: VmSpec | None = None) -> None:
        self._tasks.create_task(self._bring(name, spec), name=f"instance {name}")

    async def _bring(self, name: str, spec: VmSpec | None) -> None:
        """Makes it so, whatever has been asked for since."""
        async with self._locks.setdefault(name, asyncio.Lock()):
            vm, boot = self.vms.get(name), self._wanted.get(name)
            try:
                if boot is None:
                    await self.vms.remove(name)
                elif vm is None:
                    if boot and spec is not None:
                        await self.vms.start(spec)
                elif boot != self._booted.get(name):
                    await vm.stop()
                    if boot:
                        await vm.start()
                self._booted[name] = boot or 0
            except CannotRun as error:
                self.problems.append(f"{name}: {error}")

    def _spec(self, instance: Instance) -> VmSpec:
        region = self._fake.ecs.region(instance.region)
        block = region.networks.vswitches[instance.vswitch].cidr
        pair = region.key_pairs.get(instance.key_pair)
        return VmSpec(
            id=instance.id,
            address=IPv4Interface(f"{instance.private_ip}/{block.prefixlen}"),
            public_address=instance.public_ip,
            hostname=instance.host_name,
            authorized_keys=(pair.body,) if pair else (),
            password=instance.password,
            user_data=instance.user_data.decode(errors="replace"),
            image=_image_of(instance, self.images, self.image),
        )


def _image_of(instance: Instance, images: Mapping[str, Image], usual: Image) -> Image:
    return images.get(instance.image.id, usual)
