"""What the Alibaba Cloud ECS plugin asks of its cloud for an agent, replayed on the same fake by the same SDK.

As its sources have it (from release 1.0 on), for a template with an idle time: RunInstances; DescribeInstances with the
one instance each 5 s until it is Running, and once more; while it lives 2 of them a minute for its retention and 1 in
10 minutes for the sweep of dead nodes; at its end 1, DeleteInstance, and then 1 each 5 s until the answer is empty,
which is believed after 5 more. What the cloud is asked as a whole (DescribeRegions, once a minute) is left out.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from broker.demo.clouds.alibaba.cloud import FakeAlibaba
from broker.demo.clouds.serving import serving
from broker.testing.clock import ManualClock
from tests.benchmarks.ali_world import TIMING, TYPE, VSWITCHES
from tests.benchmarks.under_way import settling
from tests.fake_alibaba import Sdk

AGENTS: Final = 10
LIFE_S: Final = 1800.0
_POLL_S: Final = 5.0
_RETENTION_S: Final = 60.0
_SWEEP_S: Final = 600.0
_BELIEVED: Final = 5


class Plugin:
    """Its calls."""

    def __init__(self, fake: FakeAlibaba, url: str, clock: ManualClock) -> None:
        """Nothing is asked yet."""
        self._sdk = Sdk(fake, url)
        self._clock = clock
        self.open = 0

    async def live(self, life_s: float = LIFE_S) -> None:
        """One agent's life."""
        told = await self._ask(
            "RunInstances",
            Amount=1,
            ImageId="aliyun_3_x64_20G_alibase_20260528.vhd",
            InstanceType=TYPE,
            VSwitchId=VSWITCHES[0],
            SecurityGroupId="sg-bp1agents",
        )
        [instance] = told["InstanceIdSets"]["InstanceIdSet"]
        while await self._status(instance) != "Running":
            await self._sleep(_POLL_S)
        await self._status(instance)
        await self.stay(instance, life_s)
        await self._status(instance)
        await self._ask("DeleteInstance", InstanceId=instance, Force=True)
        while await self._status(instance):
            await self._sleep(_POLL_S)
        for _ in range(_BELIEVED):
            await self._sleep(_POLL_S)
            await self._status(instance)

    async def stay(self, instance: str, life_s: float) -> None:
        """It is idle, or builds: the same calls."""
        for second in range(round(_RETENTION_S), round(life_s) + 1, round(_RETENTION_S)):
            await self._sleep(_RETENTION_S)
            for _ in range(2 + (second % _SWEEP_S == 0)):
                await self._status(instance)

    async def _status(self, instance: str) -> str:
        told = await self._ask("DescribeInstances", InstanceIds=json.dumps([instance]))
        return next((str(one["Status"]) for one in told["Instances"]["Instance"]), "")

    async def _ask(self, action: str, **parameters: Any) -> dict[str, Any]:
        self.open += 1
        try:
            return await self._sdk(action, **parameters)
        finally:
            self.open -= 1

    async def _sleep(self, seconds: float) -> None:
        await self._clock.sleep_until(self._clock.monotonic() + seconds)


async def plugin_calls(agents: int = AGENTS, life_s: float = LIFE_S) -> Mapping[str, int]:
    """How often each action was called for the lives of so many agents."""
    async with _plugin() as (plugin, fake, clock), asyncio.TaskGroup() as group:
        lives = [group.create_task(plugin.live(life_s), name=f"plugin:{n}") for n in range(agents)]
        while not all(life.done() for life in lives):
            await clock.advance(_POLL_S)
    return fake.ledger.by_action()


async def plugin_idle_calls() -> int:
    """How often one host is asked for in an hour in which nothing happens."""
    async with _plugin() as (plugin, fake, clock), asyncio.TaskGroup() as group:
        life = group.create_task(plugin.stay("i-bp1idle", 3600.0), name="plugin:idle")
        while not life.done():
            await clock.advance(_RETENTION_S)
    return len(fake.ledger)


@asynccontextmanager
async def _plugin() -> AsyncIterator[tuple[Plugin, FakeAlibaba, ManualClock]]:
    clock = ManualClock()
    fake = FakeAlibaba(clock=clock)
    fake.ecs.timing = TIMING
    async with serving(fake) as url:
        plugin = Plugin(fake, url, clock)
        clock._settle = settling(plugin)
        yield plugin, fake, clock
