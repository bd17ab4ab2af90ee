"""An `AlibabaBackend` for the promises about agents: one host of the strict fake, prepared, with all of them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

from broker.backends.alibaba_ecs.backend import AlibabaBackend
from broker.domain.host import HostState
from broker.domain.host_order import HostPlace, Prepared
from broker.domain.ids import InstanceRef, LaunchToken
from broker.ports import LaunchSpec
from tests.contract.alibaba_rig import AlibabaRig, alibaba_rig

AGENT = """
trap 'exit 143' TERM
for word; do [ "$before" != -name ] || name=$word; before=$word; done
while [ ! -e "$HOME/$name.stop" ]; do sleep 0.05; done
cat "$HOME/$name.stop"
exit "$(cat "$HOME/$name.code")"
"""
"""Finds its name among the options of agent.jar, and ends when told by a file."""


class AlibabaAgentsRig:
    """What `BackendContract` needs of the world."""

    def __init__(self, rig: AlibabaRig, host: HostPlace) -> None:
        self.rig, self.host = rig, host
        self.home = rig.hosts.root / host.id

    @property
    def backend(self) -> AlibabaBackend:
        return self.rig.backend

    def spec(self, n: int = 1, attempt: int = 1) -> LaunchSpec:
        spec = self.rig.spec(self.host, n)
        return replace(spec, key=replace(spec.key, attempt=attempt, token=LaunchToken(f"{spec.key.token}-{attempt}")))

    async def reopen(self) -> AlibabaBackend:
        return await self.rig.reopen()

    async def let_time_pass(self) -> None:
        await asyncio.sleep(0.1)

    async def stop_instance(self, ref: InstanceRef, *, exit_code: int, lines: Sequence[str]) -> None:
        agent = ref.partition("/")[2].rpartition("-")[0]
        (self.home / f"{agent}.code").write_text(str(exit_code))
        written = self.home / f"{agent}.new"
        written.write_text("".join(f"{line}\n" for line in lines))
        written.rename(self.home / f"{agent}.stop")

    async def count_running(self) -> int:
        """The agents' own processes, asked without the backend; a child that is to be another is none."""
        found: dict[str, str] = {}
        for entry in Path("/proc").iterdir():
            with suppress(OSError):
                words = (entry / "cmdline").read_text(errors="replace").split("\0")
                if words[:3] == ["/bin/sh", "-c", AGENT] and str(self.home) in str((entry / "cwd").readlink()):
                    found[entry.name] = (entry / "stat").read_text().rpartition(") ")[2].split()[1]
        return len([pid for pid, parent in found.items() if parent not in found])


@asynccontextmanager
async def alibaba_agents_rig(root: Path) -> AsyncIterator[AlibabaAgentsRig]:
    """A cloud of its own with one host."""
    async with alibaba_rig(root) as rig:
        runner = {"command": ["/bin/sh", "-c", AGENT, "agent"]}
        rig.pool_options = {"runner": runner, "charge": {"spot_strategy": "NoSpot"}}
        [(host, ref)] = (await rig.backend.create_hosts(rig.order())).refs.items()
        seen = await rig.wait_for(ref, HostState.RUNNING)
        assert seen is not None
        place = HostPlace(id=host, pool=rig.pool, ref=ref, address=seen.address)
        async with asyncio.timeout(30):
            while not isinstance(answer := await rig.backend.prepare_host(place), Prepared):
                await rig.let_time_pass()
        place = replace(place, host_key=answer.host_key, facts=answer.facts)
        rig.set_place(host, place)
        yield AlibabaAgentsRig(rig, place)
