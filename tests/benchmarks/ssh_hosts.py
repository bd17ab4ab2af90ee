"""Getting hosts ready over SSH, against a plain loop over the `ssh` program: virtual machines with a real sshd."""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from broker.demo.clouds.vms.spec import Image
from broker.demo.clouds.vms.vm import Vm
from broker.demo.clouds.vms.vms import Vms
from broker.domain.host_order import HostPlace, Prepared
from broker.domain.pool import Pool
from tests.benchmarks.figures import Benchmark, Figure
from tests.contract.ssh_rig import SshRig
from tests.vms import a_network_of_ones_own, a_spec, client_key, running_machines

_HOSTS: Final = 50
_ROUNDS: Final = 5
_STARTED_AT_ONCE: Final = 4
_LIMIT_S: Final = 180.0
_INIT: Final = """\
#!/bin/sh
# round {round}
set -e
mkdir -p /opt/tools
i=0
while [ $i -lt 20 ]; do i=$((i + 1)); echo "tool $i" >/opt/tools/$i; done
echo done
"""
_LOOP: Final = """\
umask 077
mkdir -p "$HOME/.prepared" && cat >"$HOME/.prepared/init" && chmod 700 "$HOME/.prepared/init" || exit 1
"$HOME/.prepared/init" >"$HOME/.prepared/log" 2>&1 || exit 1
java=$(command -v java) && cat "$(dirname "$(dirname "$(readlink -f "$java")")")/release" | grep JAVA_VERSION
podman version --format '{{.Client.Version}}'
docker version --format '{{.Server.Version}}' 2>/dev/null
id -un
uname -m
"""
"""What the broker finds out, too."""


async def _figures() -> Mapping[str, Figure]:
    ours: list[float] = []
    theirs: list[float] = []
    with a_network_of_ones_own():
        async with running_machines() as vms:
            machines = await _machines(vms)
            rig = SshRig(vms, machines)
            places = await _places(rig)
            with tempfile.TemporaryDirectory(prefix="agentbroker-bench-") as directory:
                key = _key_files(Path(directory), machines)
                for number in range(_ROUNDS):
                    turns = (_prepare(rig, places, number), _loop(machines, key, number))
                    for turn, times in zip(turns, (ours, theirs), strict=True):
                        times.append(await turn)
            await rig.close()
    ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    how = (
        f"{_HOSTS} virtual machines with sshd on this machine; an init script of 20 files, Java, engines; {_ROUNDS} "
        f"rounds of one after the other, new connections in each: broker {_told(ours)}, loop of `ssh` {_told(theirs)}"
    )
    value = round(statistics.median(ratios), 2)
    return {"prepare_50_hosts_vs_ssh_loop": Figure(value=value, unit="x", target="at most 1.2", how=how)}


async def _machines(vms: Vms) -> list[Vm]:
    room = asyncio.Semaphore(_STARTED_AT_ONCE)

    async def start() -> Vm:
        async with room:
            return await vms.start(a_spec(Image()))

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(start(), name=f"vm-{n}") for n in range(_HOSTS)]
    return [task.result() for task in tasks]


async def _places(rig: SshRig) -> list[HostPlace]:
    made = await rig.backend.create_hosts(rig.order(1, _HOSTS))
    return [HostPlace(id=host, pool=rig.pool, ref=ref, address=rig.address_of(ref)) for host, ref in made.refs.items()]


async def _prepare(rig: SshRig, places: Sequence[HostPlace], number: int) -> float:
    """By the broker: with a backend that has no connections yet, asked as the driver asks, until all are ready."""
    backend = await rig.reopen()
    pool = _with_init(rig.pool, number)
    waiting = [replace(place, pool=pool) for place in places]
    began = time.monotonic()
    async with asyncio.timeout(_LIMIT_S):
        while waiting:
            answers = [(place, await backend.prepare_host(place)) for place in waiting]
            waiting = [place for place, answer in answers if not isinstance(answer, Prepared)]
            if waiting:
                await asyncio.sleep(0.05)
    return time.monotonic() - began


def _with_init(pool: Pool, number: int) -> Pool:
    init = {"script": _INIT.format(round=number), "timeout": 60.0}
    return replace(pool, options={**pool.options, "init": init})


async def _loop(machines: Sequence[Vm], options: Sequence[str], number: int) -> float:
    """By the `ssh` program, one for each machine, all at once."""
    began = time.monotonic()
    async with asyncio.timeout(_LIMIT_S), asyncio.TaskGroup() as group:
        for vm in machines:
            group.create_task(_ssh(vm, options, number), name=f"ssh-{vm.address}")
    return time.monotonic() - began


async def _ssh(vm: Vm, options: Sequence[str], number: int) -> None:
    process = await asyncio.create_subprocess_exec(
        "ssh",
        *options,
        f"root@{vm.address}",
        _LOOP,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    told, errors = await process.communicate(_INIT.format(round=number).encode())
    assert b"JAVA_VERSION" in told, (told, errors)


def _key_files(directory: Path, machines: Sequence[Vm]) -> list[str]:
    """The options of `ssh`, which checks the host keys as the broker does."""
    key, known = directory / "key", directory / "known_hosts"
    key.write_bytes(client_key().export_private_key())
    key.chmod(0o600)
    known.write_text("".join(vm.known_hosts for vm in machines))
    words = [f"UserKnownHostsFile={known}", "StrictHostKeyChecking=yes", "BatchMode=yes", "LogLevel=ERROR"]
    return ["-F", "none", "-i", str(key), *(part for word in words for part in ("-o", word))]


def _told(times: Sequence[float]) -> str:
    return f"{statistics.median(times):.1f} s ({min(times):.1f} to {max(times):.1f})"


SSH_HOSTS: Final = Benchmark(
    name="ssh-hosts",
    summary="hosts that the broker gets ready over SSH, against a loop of ssh",
    run=_figures,
)
