"""The network of a cloud's virtual machines: a bridge in a namespace of its own, and one wire from the machine to it.

All of it hangs on one process, the keeper: the kernel removes it when that ends, however that ends.
"""

import asyncio
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Final

from broker.demo.clouds.vms import groups
from broker.demo.clouds.vms.needs import PATH, CannotRun, check

ENVIRONMENT: Final = {"PATH": PATH, "LANG": "C.UTF-8"}
_HERE: Final = Path(__file__).parent
_LIMIT_S: Final = 20.0


def gateway_of(block: IPv4Network) -> IPv4Address:
    """The machine's address in a vSwitch's block, where the cloud has its router: the third before the last."""
    return block.broadcast_address - 2


class Network:
    """Entered, virtual machines can be started in it; left, nothing of it is there."""

    def __init__(self, directory: Path) -> None:
        """`directory` is made, holds the virtual machines' files and is removed; its parent is there."""
        self.directory = directory.absolute()
        self.group = f"agentbroker-vms-{os.getpid()}-{os.urandom(4).hex()}"
        self.hierarchies = groups.hierarchies()
        self.wire = f"ab{os.urandom(5).hex()}"
        self._blocks: set[IPv4Network] = set()
        self._adding = asyncio.Lock()
        self._keeper: asyncio.subprocess.Process | None = None
        self.pid = 0

    async def open(self) -> None:
        """Starts the keeper. Raises CannotRun with what is missing on this machine."""
        check()
        self.directory.mkdir(mode=0o700)
        groups.make(self.group, self.hierarchies)
        if not self.hierarchies:
            groups.delegate(self.group)
        self._keeper = await asyncio.create_subprocess_exec(
            "sh",
            str(_HERE / "keeper.sh"),
            str(self.directory),
            self.group,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=ENVIRONMENT,
            start_new_session=True,  # it cleans up after a Ctrl-C, which goes to a terminal's whole group
        )
        try:
            self.pid = await self._ready()
            await self._connect()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Ends the keeper, and returns when all is gone; a second call does nothing."""
        if self._keeper is None:
            return
        keeper, self._keeper = self._keeper, None
        assert keeper.stdin is not None
        with suppress(CannotRun, TimeoutError):  # it goes with the keeper too, but some time after
            await ip(f"link del {self.wire}")
        keeper.stdin.close()
        try:
            async with asyncio.timeout(_LIMIT_S):
                await keeper.wait()
        except TimeoutError:
            keeper.kill()
            raise

    async def add_block(self, block: IPv4Network) -> IPv4Address:
        """Gives the machine its address in a block, and answers it. Raises CannotRun if the block is taken here."""
        async with self._adding:
            if block not in self._blocks:
                await self._refuse_taken(block)
                await ip(f"address add {gateway_of(block)}/{block.prefixlen} dev {self.wire}")
                self._blocks.add(block)
        return gateway_of(block)

    async def add_public(self, address: str, via: IPv4Address) -> None:
        """Leads a public address to the virtual machine that has it."""
        await ip(f"route replace {address}/32 via {via} dev {self.wire}")

    async def remove_public(self, address: str) -> None:
        """Forgets it; one that is not known is a success."""
        with suppress(CannotRun):
            await ip(f"route del {address}/32 dev {self.wire}")

    async def cut(self, link: str) -> None:
        """Takes away the wire of a machine that has ended; one that is gone is a success.

        The kernel ends namespaces a while after their last process: until then the old one would answer in the place
        of a new one with its addresses.
        """
        with suppress(CannotRun):
            await run(self.inside("ip", "link", "del", link))

    def inside(self, *command: str) -> list[str]:
        """A command that runs in the keeper's namespaces."""
        return ["nsenter", "--target", str(self.pid), "--mount", "--net", "--pid", "--", *command]

    async def _ready(self) -> int:
        assert self._keeper is not None
        assert self._keeper.stdout is not None
        said, process = [], 0
        async with asyncio.timeout(_LIMIT_S):
            while line := (await self._keeper.stdout.readline()).decode().strip():
                if line == "ready":
                    return child_of(process)
                if line.startswith("keeper "):
                    process = int(line.split()[1])
                else:
                    said.append(line)
        raise CannotRun(f"namespaces cannot be made here: {' '.join(said)}")

    async def _connect(self) -> None:
        """One wire: its end there is in the bridge, its end here goes when the other does."""
        await ip(f"link add {self.wire} type veth peer name wire netns {self.pid}", f"link set {self.wire} up")
        await run(self.inside("ip", "link", "set", "wire", "master", "br0", "up"))

    async def _refuse_taken(self, block: IPv4Network) -> None:
        found = json.loads(await run(["ip", "-json", "-4", "route", "show", "table", "main"]) or "[]")
        for route in found:
            if route["dst"] == "default" or route.get("dev") == self.wire:
                continue
            if IPv4Network(route["dst"]).overlaps(block):
                where = f"{route['dst']} on {route.get('dev', '?')}"
                raise CannotRun(f"the vSwitch block {block} is in use on this machine, by {where}: take another block")


async def ip(*lines: str) -> None:
    """Runs lines of `ip` here."""
    await run(["ip", "-batch", "-"], "\n".join(lines).encode())


async def run(command: Sequence[str], content: bytes = b"") -> str:
    """Runs a short command; gives what it printed. Raises CannotRun with its words if it fails."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=ENVIRONMENT,
    )
    try:
        async with asyncio.timeout(_LIMIT_S):
            said, _ = await process.communicate(content)
    except BaseException:
        with suppress(ProcessLookupError):
            process.kill()
        raise
    if process.returncode:
        raise CannotRun(f"{' '.join(command)}: exit code {process.returncode}: {said.decode(errors='replace').strip()}")
    return said.decode(errors="replace")


def child_of(pid: int, depth: int = 1) -> int:
    """The first child of a process, or a child's child. Raises CannotRun if it has none."""
    for _ in range(depth):
        try:
            pid = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
        except (OSError, IndexError) as error:
            raise CannotRun(f"process {pid} has ended") from error
    return pid
