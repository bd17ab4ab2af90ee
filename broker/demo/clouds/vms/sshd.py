"""What goes wrong with a virtual machine's sshd and its wire, played by the real one."""

import asyncio
import ctypes
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from broker.demo.clouds.vms import files
from broker.demo.clouds.vms.hostkeys import HostKeys
from broker.demo.clouds.vms.network import run

if TYPE_CHECKING:
    from broker.demo.clouds.vms.vm import Vm

_CLONE_NEWNET: Final = 0x40000000
_LIMIT_S: Final = 10.0


class Sshd:
    """Each fault is there when its method returns."""

    def __init__(self, vm: "Vm") -> None:
        """Nothing is wrong."""
        self._vm = vm
        self._silent: asyncio.Server | None = None
        self._held: list[asyncio.StreamWriter] = []
        self._timer: asyncio.Task[None] | None = None

    async def change_host_keys(self) -> None:
        """New host keys at once; sessions go on, and the console still shows the old ones."""
        self._vm.keys = HostKeys.new()
        for name, content in self._vm.keys.files("root@new").items():
            self._vm.path(f"/etc/ssh/{name}").write_bytes(content)
        await self._again()

    async def close_port(self, for_s: float | None = None) -> None:
        """Nobody listens: connections are refused, for that long or until `open_port`; sessions go on."""
        before = len(self._vm.log)
        self._vm.tell("down")
        async with asyncio.timeout(_LIMIT_S):
            await self._vm.listens_no_more(before)
        if for_s is not None:
            until = self._vm.clock.monotonic() + for_s
            self._timer = self._vm.tasks.create_task(self._open_at(until), name=f"port of {self._vm.spec.id}")

    async def open_port(self) -> None:
        """It listens, after `close_port` or `say_nothing`."""
        self.forget()
        before = len(self._vm.log)
        self._vm.tell("up")
        async with asyncio.timeout(_LIMIT_S):
            await self._vm.listens(before)

    async def refuse_logins(self) -> None:
        """No key and no password opens an account."""
        await self._configure(AllowUsers="nobody-at-all")

    async def accept_logins(self) -> None:
        """As at the first boot."""
        await self._configure()

    async def configure(self, **lines: str) -> None:
        """Lines of sshd_config before all others, such as MaxSessions="1"."""
        await self._configure(**lines)

    async def say_nothing(self) -> None:
        """Connections are accepted, and no banner comes, until `open_port`."""
        await self.close_port()
        with within_network_of(self._vm.pid):
            listener = socket.socket()
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        async with asyncio.timeout(_LIMIT_S):
            while not _bound(listener):  # sshd says that it ends before it lets go
                await self._vm.clock.sleep_until(self._vm.clock.monotonic() + 0.01)
        self._silent = await asyncio.start_server(self._hold, sock=listener, backlog=100)

    def forget(self) -> None:
        """Ends what is played from outside: what `say_nothing` holds open, and the wait of `close_port`."""
        if self._timer is not None and self._timer is not asyncio.current_task():
            self._timer.cancel()
        self._timer = None
        if self._silent is not None:
            self._silent.close()
            self._silent = None
        for writer in self._held:
            writer.transport.abort()
        self._held.clear()

    def cut(self) -> int:
        """Ends all connections at once, as seen from both ends; what ran over them is left to itself. Says how many."""
        listener = self._vm.path("/run/sshd.pid").read_text().strip()
        found = 0
        for pid, name in list(self._vm.processes()):
            if name == "sshd" and own_number(pid) != listener:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    found += 1
        return found

    async def slow(self, bytes_per_s: int) -> None:
        """So much in each direction and no more; 0: as fast as it can."""
        shape = f"replace dev %s root tbf rate {bytes_per_s * 8}bit burst 3000 latency 20s"
        words = shape if bytes_per_s else "del dev %s root"
        await run(["nsenter", "--target", str(self._vm.pid), "--net", "--", "tc", "qdisc", *(words % "eth0").split()])
        await run(self._vm.network.inside("tc", "qdisc", *(words % self._vm.link).split()))

    async def unplug(self) -> None:
        """Nothing answers any more, and nothing says so: the wire is out, until `plug`."""
        await run(self._vm.network.inside("ip", "link", "set", self._vm.link, "down"))

    async def plug(self) -> None:
        """The wire is in again."""
        await run(self._vm.network.inside("ip", "link", "set", self._vm.link, "up"))

    @asynccontextmanager
    async def closed(self) -> AsyncIterator[None]:
        """The port is closed while it is entered."""
        await self.close_port()
        yield
        await self.open_port()

    async def _hold(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._held.append(writer)

    async def _configure(self, **lines: str) -> None:
        self._vm.path("/etc/ssh/sshd_config").write_bytes(files.sshd_config(self._vm.spec, **lines))
        await self._again()

    async def _again(self) -> None:
        before = len(self._vm.log)
        self._vm.tell("again")
        async with asyncio.timeout(_LIMIT_S):
            await self._vm.listens(before)

    async def _open_at(self, when: float) -> None:
        await self._vm.clock.sleep_until(when)
        if self._vm.running:
            await self.open_port()


def _bound(listener: socket.socket) -> bool:
    with suppress(OSError):
        listener.bind(("0.0.0.0", 22))
        return True
    return False


def own_number(pid: int) -> str:
    """A process's number in its own namespace."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("NSpid:"):
                return line.split()[-1]
    return ""


@contextmanager
def within_network_of(pid: int) -> Iterator[None]:
    """This thread is in a process's network while it is entered: sockets that it makes stay there."""
    with Path("/proc/self/ns/net").open() as here, Path(f"/proc/{pid}/ns/net").open() as there:
        enter_network(there.fileno())
        try:
            yield
        finally:
            enter_network(here.fileno())


def enter_network(descriptor: int) -> None:
    """Moves this thread into a network namespace."""
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
