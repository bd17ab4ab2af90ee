"""Scripts on hosts by Cloud Assistant, run by a shell of this machine: secrets are in no record of the cloud."""

import random
import subprocess
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from broker.backends.alibaba_ecs.assistant import Assistant
from broker.backends.ssh.transport import HostUnreachable
from broker.demo.clouds.alibaba.instances import Instance
from broker.demo.clouds.alibaba.runner import Ran, Script
from broker.domain.host import HostState
from broker.domain.host_order import HostPlace
from broker.domain.ids import HostRef
from tests.contract.alibaba_rig import AlibabaRig, alibaba_rig

SECRET = "canary-" + "5ec12e7" * 30


class Shells:
    """A runner of the fake: each script by /bin/sh, at once."""

    def began(self, instance: Instance) -> None:
        return

    def ended(self, instance: Instance) -> None:
        return

    def console(self, instance: Instance) -> str:
        return ""

    def is_reachable(self, instance: Instance) -> bool:
        return True

    def run_command(self, instance: Instance, script: Script) -> Callable[[], Ran]:
        ran = subprocess.run(["/bin/sh", "-c", script.content], capture_output=True, timeout=30, check=False)
        return lambda: Ran(output=ran.stdout + ran.stderr, exit_code=ran.returncode)

    def stop_command(self, instance: Instance, invocation: str) -> None:
        return


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[AlibabaRig]:
    async with alibaba_rig(tmp_path) as rig:
        rig.fake.ecs.runner = Shells()
        yield rig
        assert rig.fake.ledger.problems == []


async def place_of(rig: AlibabaRig) -> HostPlace:
    rig.pool_options = {"start_by": "cloud-assistant"}
    [(host, ref)] = (await rig.backend.create_hosts(rig.order())).refs.items()
    seen = await rig.wait_for(ref, HostState.RUNNING)
    assert seen is not None
    return HostPlace(id=host, pool=rig.pool, ref=ref, address=seen.address)


def recorded(rig: AlibabaRig) -> list[str]:
    """All that the cloud has kept of commands, as it shows it."""
    region = rig.fake.ecs.region()
    told: list[Any] = [*region.commands.values(), *region.invocations.values(), *rig.fake.ledger.of("RunCommand")]
    return [repr(one) for one in told]


async def test_a_script_reads_its_secret_and_the_cloud_has_it_nowhere(rig: AlibabaRig) -> None:
    place, lines = await place_of(rig), list[str]()
    assistant = Assistant(rig.backend.calls, rig.clock)
    script = f'read -r line; [ "$line" = "{SECRET[:7]}${{line#canary-}}" ] && echo "${{#line}} letters"; exit 3'
    ran = await assistant.run(place, script, stdin=f"{SECRET}\n".encode(), limit_s=60.0, heard=lines.append)
    assert (ran.code, ran.output.strip()) == (3, f"{len(SECRET)} letters")
    assert lines == [f"{len(SECRET)} letters"]
    assert not [one for one in recorded(rig) if SECRET in one or SECRET.encode().hex() in one]


async def test_a_long_script_is_carried_over_in_pieces(rig: AlibabaRig) -> None:
    place = await place_of(rig)
    noise = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=60_000))
    script = f"words={noise}\necho ${{#words}}\ncat\n"
    ran = await Assistant(rig.backend.calls, rig.clock).run(place, script, stdin=b"told", limit_s=60.0)
    assert (ran.code, ran.output) == (0, "60000\ntold")
    assert rig.fake.ledger.count("RunCommand", code="") >= 4


async def test_a_host_that_has_gone_is_unreachable(rig: AlibabaRig) -> None:
    place = replace(await place_of(rig), ref=HostRef("i-bp1nothing"))
    with pytest.raises(HostUnreachable):
        await Assistant(rig.backend.calls, rig.clock).run(place, "true", limit_s=20.0)
