"""Virtual machines for tests: a network that the test process has for itself, and a cloud's machines in it.

`own_network` moves this process into a network namespace of its own for a module: any block of addresses is free in it,
nothing outside is reached, and what a test starts is in it too. `vms` starts virtual machines there; with `a_vm` and
`login` a test has one and speaks with it.
"""

import asyncio
import ctypes
import os
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from functools import cache
from ipaddress import IPv4Interface
from itertools import count
from pathlib import Path
from typing import Final

import asyncssh
import pytest

from broker.demo.clouds.vms.inbound import tiny_image
from broker.demo.clouds.vms.spec import Image, VmSpec
from broker.demo.clouds.vms.sshd import enter_network
from broker.demo.clouds.vms.vm import Vm
from broker.demo.clouds.vms.vms import Vms
from tests.podman import IMAGE, INBOUND_IMAGE

BLOCK: Final = "172.16.0.0/20"
"""The vSwitch's block that `a_spec` takes addresses from."""
_CLONE_NEWNET: Final = 0x40000000
_numbers = count(1)


@contextmanager
def a_network_of_ones_own() -> Iterator[None]:
    """This thread, and what it starts, is in an empty network with nothing but loopback while it is entered."""
    with Path("/proc/self/ns/net").open() as before:
        if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET):
            number = ctypes.get_errno()
            raise OSError(number, f"cannot make a network namespace, which needs root: {os.strerror(number)}")
        try:
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            yield
        finally:
            enter_network(before.fileno())


@pytest.fixture(scope="module")
def own_network() -> Iterator[None]:
    """For a module; whatever it listens on is nobody else's."""
    with a_network_of_ones_own():
        yield


@asynccontextmanager
async def running_machines() -> AsyncIterator[Vms]:
    """Virtual machines, in a short directory: a socket's path in it may have 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="agentbroker-vms-") as directory:
        async with Vms(Path(directory) / "vms") as vms:
            yield vms


@pytest.fixture
async def vms(own_network: None) -> AsyncIterator[Vms]:
    """Machines of one test."""
    async with running_machines() as found:
        yield found


@cache
def client_key() -> asyncssh.SSHKey:
    """The private key that opens the accounts of `a_spec`."""
    return asyncssh.generate_private_key("ssh-ed25519", comment="tests")


def a_spec(image: Image | None = None, **changes: object) -> VmSpec:
    """A machine with an address of its own that knows `client_key`."""
    number = next(_numbers)
    spec = VmSpec(
        id=f"i-bp{number:018d}",
        address=IPv4Interface(f"172.16.{number // 250}.{1 + number % 250}/20"),
        authorized_keys=(client_key().export_public_key().decode(),),
        image=image or Image(),
    )
    return replace(spec, **changes)  # type: ignore[arg-type]  # names and types are the caller's


@asynccontextmanager
async def login(vm: Vm, user: str = "root", **options: object) -> AsyncIterator[asyncssh.SSHClientConnection]:
    """A connection to it that believes its host keys as they are now; `options` are asyncssh's."""
    given: dict[str, object] = {
        "username": user,
        "client_keys": [client_key()],
        "known_hosts": asyncssh.import_known_hosts(vm.known_hosts),
        "config": None,
        "agent_path": None,
        "connect_timeout": 10,
    }
    async with asyncssh.connect(vm.address, **{**given, **options}) as connection:
        yield connection


async def give_image(vm: Vm, name: str = IMAGE) -> None:
    """Puts the tiny image of tests.podman into the store of the machine's own engine, which then needs no registry."""
    vm.path("/tmp/tiny.tar").write_bytes(tiny_image())
    change = "--change 'ENTRYPOINT [\"/jenkins-agent\"]'" if name == INBOUND_IMAGE else ""
    await vm.run(f"podman import {change} /tmp/tiny.tar {name} && rm /tmp/tiny.tar")


async def until(condition: Callable[[], object], seconds: float = 10) -> None:
    """Returns once it is so, and fails if it is not so in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        await asyncio.sleep(0.02)
