"""One virtual machine: a real sshd over files, processes and an address of its own."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Final

from broker.demo.clouds.vms import console, files, groups, mounts
from broker.demo.clouds.vms.assistant import Assistant
from broker.demo.clouds.vms.hostkeys import HostKeys
from broker.demo.clouds.vms.needs import CannotRun
from broker.demo.clouds.vms.network import ENVIRONMENT, Network, child_of, gateway_of, run
from broker.demo.clouds.vms.spec import VmSpec
from broker.demo.clouds.vms.sshd import Sshd
from broker.ports import Clock

_HERE: Final = Path(__file__).parent
_LIMIT_S: Final = 30.0
_LOOK_S: Final = 0.02
_links = count()


class Vm:
    """Made by `Vms`. Its files are kept from `stop` to `start`, what is in /run and in memory is not."""

    def __init__(self, spec: VmSpec, network: Network, clock: Clock, tasks: asyncio.TaskGroup) -> None:
        """Not started yet."""
        self.spec, self.network, self.clock, self.tasks = spec, network, clock, tasks
        self.keys = HostKeys.new()
        self.sshd, self.assistant = Sshd(self), Assistant(self)
        self.log: list[str] = []
        """What sshd says, since its first boot."""
        self.booted_at = 0.0
        """By the clock's monotonic time; 0 before the first boot."""
        self.pid = 0
        """Of its first process, as the machine outside counts; 0 while it does not run."""
        self.link = ""
        self._boots = 0
        self._news = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._ended = asyncio.Event()

    @property
    def address(self) -> str:
        """Where the machine outside reaches it."""
        return str(self.spec.address.ip)

    @property
    def gateway(self) -> str:
        """Where it reaches the machine outside."""
        return str(gateway_of(self.spec.address.network))

    @property
    def running(self) -> bool:
        """Whether it has a first process."""
        return self.pid != 0

    @property
    def known_hosts(self) -> str:
        """Its host keys as lines of known_hosts."""
        return "".join(f"{self.address} {line}\n" for line in self.keys.public)

    def path(self, inside: str) -> Path:
        """A file of its own as the machine outside finds it; links with absolute targets lead elsewhere."""
        return Path(f"/proc/{self.pid}/root") / inside.lstrip("/")

    async def start(self) -> None:
        """Boots; sshd listens when it returns, if the image has no `boot_s`. Raises CannotRun with its last words."""
        assert not self.running
        await self.network.add_block(self.spec.address.network)
        groups.make(self._group, self.network.hierarchies)
        self.link = f"v{next(_links)}"
        self._ended.clear()
        before = len(self.log)
        table = mounts.fstab(self._home, self.spec.image, self.network.hierarchies)
        content = files.boot_files(self.spec, self.keys, table, first=self._boots == 0)
        await self._boot(content)
        try:
            async with asyncio.timeout(_LIMIT_S):
                await self._comes_up(before)
        except TimeoutError as error:
            words = " | ".join(self.log[before:])
            raise CannotRun(f"virtual machine {self.spec.id} is not up after {_LIMIT_S:.0f} s: {words}") from error

    async def _comes_up(self, before: int) -> None:
        await self.said("up", before)
        assert self._process is not None
        self.pid = child_of(self._process.pid, 2)
        if not self.network.hierarchies:
            groups.move_down(self._group)
        self.booted_at = self.clock.monotonic()
        self._boots += 1
        if self.spec.public_address:
            await self.network.add_public(self.spec.public_address, self.spec.address.ip)
        if not self.spec.image.boot_s:
            await self.listens(before)

    async def stop(self) -> None:
        """Cuts the power: everything in it is killed. One that does not run is left alone."""
        if self._process is None:
            return
        self.sshd.forget()
        if self.pid and self._process.returncode is None:
            os.kill(self.pid, signal.SIGKILL)
        elif self._process.returncode is None:
            self._process.kill()
        self.pid = 0
        async with asyncio.timeout(_LIMIT_S):
            await self._ended.wait()
            while not groups.remove(self._group, self.network.hierarchies):
                await self.clock.sleep_until(self.clock.monotonic() + _LOOK_S)
        await self.network.cut(self.link)
        if self.spec.public_address:
            await self.network.remove_public(self.spec.public_address)

    async def remove(self) -> None:
        """Ends it with all its files."""
        await self.stop()
        await run(self.network.inside("rm", "-rf", self._home))

    async def reboot(self, *, new_host_keys: bool = False) -> None:
        """Stops it and starts it again, with its files."""
        await self.stop()
        if new_host_keys:
            self.keys = HostKeys.new()
        await self.start()

    def console(self) -> str:
        """What its console shows by now; the host keys are there `console_delay_s` after the boot."""
        name, up = files.hostname_of(self.spec), self.clock.monotonic() - self.booted_at
        if not self._boots:
            return ""
        lines = console.boot_lines(name)
        if up >= self.spec.image.console_delay_s:
            with suppress(OSError):
                lines += self.path("/var/log/cloud-init-output.log").read_text(errors="replace").splitlines()
            now = self.clock.now()
            lines += console.key_lines(self.keys, name, now) + console.last_lines(now, up)
        return "".join(f"{line}\r\n" for line in lines)

    def inside(self, *command: str) -> list[str]:
        """A command that runs in it as root."""
        if not self.running:
            raise CannotRun(f"virtual machine {self.spec.id} does not run")
        namespaces = ("--mount", "--net", "--pid", "--uts", "--ipc", "--cgroup", "--root", "--wdns=/")
        return ["nsenter", "--target", str(self.pid), *namespaces, "--", *command]

    async def run(self, script: str) -> str:
        """Runs a short shell script in it as root; gives what it printed. Raises CannotRun if it fails."""
        return await run(self.inside("sh", "-ec", script))

    def processes(self) -> Iterator[tuple[int, str]]:
        """Those that have begun in it: the machine's number and the name of each."""
        waiting = [self.pid] if self.running else []
        while waiting:
            pid = waiting.pop()
            with suppress(OSError):
                name = Path(f"/proc/{pid}/comm").read_text().strip()
                waiting += [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
                yield pid, name

    async def said(self, words: str, since: int) -> None:
        """Returns once a line of its log after the first `since` has the words. Raises CannotRun if it ends before."""
        while not any(words in line for line in self.log[since:]):
            if self._ended.is_set():
                raise CannotRun(f"virtual machine {self.spec.id} has ended: {' | '.join(self.log[since:][-5:])}")
            self._news.clear()
            await self._news.wait()

    async def listens(self, since: int = 0) -> None:
        """Returns once sshd says so after the first `since` lines, and heeds signals: it writes its number last."""
        await self.said("Server listening on", since)
        await self._file("/run/sshd.pid", there=True)

    async def listens_no_more(self, since: int) -> None:
        """Returns once sshd says so after the first `since` lines, and does: it removes its number last."""
        await self.said("terminating", since)
        await self._file("/run/sshd.pid", there=False)

    def tell(self, word: str) -> None:
        """Gives its first process a word: up, down, again."""
        self.path("/run/init").write_text(f"{word}\n")

    async def _file(self, path: str, *, there: bool) -> None:
        while self.running and self.path(path).exists() is not there:
            await self.clock.sleep_until(self.clock.monotonic() + _LOOK_S)

    async def _boot(self, content: bytes) -> None:
        self._process = process = await asyncio.create_subprocess_exec(
            *self.network.inside("sh", str(_HERE / "start.sh"), self._home, self._group, self.link),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=self._environment(),
            start_new_session=True,
        )
        self.tasks.create_task(self._listen(process), name=f"virtual machine {self.spec.id}")
        assert process.stdin is not None
        with suppress(ConnectionError):  # what went wrong is in its log
            process.stdin.write(content)
            await process.stdin.drain()
        process.stdin.close()

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        try:
            while line := await process.stdout.readline():
                self.log.append(line.decode(errors="replace").rstrip("\r\n"))
                self._news.set()
            await process.wait()
        finally:
            self.pid = 0
            self._ended.set()
            self._news.set()

    def _environment(self) -> dict[str, str]:
        return {
            **ENVIRONMENT,
            "address": str(self.spec.address),
            "public": self.spec.public_address,
            "gateway": self.gateway,
            "mac": f"00:16:3e:{self.spec.address.ip.packed[1:].hex(':')}",  # the cloud's own first half
            "boot_s": str(float(self.spec.image.boot_s)),
        }

    @property
    def _home(self) -> str:
        return str(self.network.directory / self.spec.id)

    @property
    def _group(self) -> str:
        return f"{self.network.group}/{self.spec.id}"
