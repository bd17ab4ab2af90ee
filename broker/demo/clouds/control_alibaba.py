"""What the fake of Alibaba Cloud and its virtual machines can be told from outside, beside what `control.py` has."""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from broker.demo.clouds.alibaba.cloud import FakeAlibaba
from broker.demo.clouds.control import told
from broker.demo.clouds.faults import Fault
from broker.demo.clouds.remote import ALIBABA_FILE, Control
from broker.demo.clouds.vms.runner import VmRunner
from broker.demo.clouds.vms.vm import Vm

_CLOSED_S: Final = 60.0


@asynccontextmanager
async def controlled_alibaba(fake: FakeAlibaba, runner: VmRunner, url: str, directory: Path) -> AsyncIterator[Control]:
    """Lets a fake and its machines be controlled while it is entered; `url` is where it serves."""
    does: dict[str, Callable[[FakeAlibaba, VmRunner, dict[str, Any]], object]] = {
        "state": _state,
        "faults": _fault,
        "clear": _clear,
        "interrupt": _interrupt,
        "no-stock": _no_stock,
        "ssh-closed": _ssh_closed,
        "ssh-host-key": _ssh_host_key,
    }
    bound = {name: partial(act, fake, runner) for name, act in does.items()}
    async with told(url, directory / ALIBABA_FILE, bound) as control:
        yield control


def _state(fake: FakeAlibaba, runner: VmRunner, _: dict[str, Any]) -> object:
    """What there is: instances that live, machines that run, calls by action and by error, what the fake got wrong."""
    errors = Counter(f"{call.action} {call.code}" for call in fake.ledger if call.code)
    return {
        "instances": [
            {"id": one.id, "zone": one.zone, "type": one.type.id, "tags": one.tags} for one in fake.ecs.living
        ],
        "machines": runner.vms.ids,
        "calls": dict(fake.ledger.by_action()),
        "errors": dict(errors),
        "problems": [*fake.ledger.problems, *runner.problems],
    }


def _fault(fake: FakeAlibaba, _: VmRunner, said: dict[str, Any]) -> object:
    fake.faults.add(Fault(**said))
    return {}


async def _clear(fake: FakeAlibaba, runner: VmRunner, _: dict[str, Any]) -> object:
    """No call goes wrong, all is in stock, machines are reached."""
    fake.faults.clear()
    fake.stock.refill()
    runner.image = replace(runner.image, boot_s=0.0)
    for vm in _running(runner):
        if not vm.spec.image.boot_s and not vm.path("/run/sshd.pid").exists():
            await vm.sshd.open_port()
    return {}


def _no_stock(fake: FakeAlibaba, _: VmRunner, __: dict[str, Any]) -> object:
    """No zone sells anything, until `clear`."""
    for zone in fake.ecs.region().zones:
        fake.stock.close(zone)
    return {}


def _interrupt(fake: FakeAlibaba, _: VmRunner, __: dict[str, Any]) -> object:
    """The oldest instance is told that its spot capacity is taken back."""
    spot = [one.id for one in fake.ecs.living if one.spot.strategy != "NoSpot"]
    if not spot:
        raise ValueError("no instance runs on spot capacity")
    fake.ecs.interrupt(spot[0])
    return {"id": spot[0]}


async def _ssh_closed(_: FakeAlibaba, runner: VmRunner, said: dict[str, Any]) -> object:
    """Nobody listens on port 22, of machines that run and of those to come, for that many seconds."""
    for_s = float(said.get("for_s", _CLOSED_S))
    runner.image = replace(runner.image, boot_s=for_s)
    for vm in _running(runner):
        await vm.sshd.close_port(for_s)
    return {}


async def _ssh_host_key(_: FakeAlibaba, runner: VmRunner, __: dict[str, Any]) -> object:
    """Machines that run show other host keys than before."""
    running = _running(runner)
    if not running:
        raise ValueError("no machine runs")
    for vm in running:
        await vm.sshd.change_host_keys()
    return {"machines": len(running)}


def _running(runner: VmRunner) -> list[Vm]:
    return [runner.vms[name] for name in runner.vms.ids if runner.vms[name].running]
