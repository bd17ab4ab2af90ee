"""What the Amazon ECS plugin asks of AWS for its agents, replayed on the same fake.

For an agent of a template whose definition matches, as its sources have it (from release 1.49 on):
DescribeTaskDefinition, ListTagsForResource, RunTask; DescribeTasks with the one task each second until it runs;
StopTask after the build.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession

from broker.demo.clouds.aws import FakeAws
from broker.demo.clouds.serving import serving
from broker.testing.clock import ManualClock
from tests.benchmarks.ecs_world import SUBNETS, TIMING, Counted
from tests.benchmarks.played import BUILD_S, JVM_S
from tests.benchmarks.under_way import settling

AGENTS: Final = 10
"""At once: of more some calls would be throttled, and come again."""
_POLL_S: Final = 1.0
_FAMILY: Final = "cloud-agent"
_ROLE: Final = "arn:aws:iam::111122223333:role/agentbroker-exec"


async def plugin_calls(agents: int = AGENTS) -> Mapping[str, int]:
    """How often each action was called for so many agents; what was there before them is not counted."""
    clock = ManualClock()
    fake = FakeAws(clock=clock)
    fake.ecs.timing = TIMING
    async with _client(fake, clock) as ecs:
        await ecs.register_task_definition(
            family=_FAMILY,
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            cpu="256",
            memory="512",
            executionRoleArn=_ROLE,
            containerDefinitions=[{"name": _FAMILY, "image": "jenkins/inbound-agent", "essential": True}],
        )
        fake.ledger.clear()
        async with asyncio.TaskGroup() as group:
            lives = [group.create_task(_live(ecs, clock), name=f"plugin:{n}") for n in range(agents)]
            while not all(life.done() for life in lives):
                await clock.advance(_POLL_S)
    return fake.ledger.by_action()


async def _live(ecs: Any, clock: ManualClock) -> None:
    """One agent's calls."""
    found = (await ecs.describe_task_definition(taskDefinition=_FAMILY))["taskDefinition"]["taskDefinitionArn"]
    await ecs.list_tags_for_resource(resourceArn=found)
    told = await ecs.run_task(
        cluster="default",
        taskDefinition=found,
        count=1,
        launchType="FARGATE",
        networkConfiguration={"awsvpcConfiguration": {"subnets": SUBNETS}},
    )
    arn = told["tasks"][0]["taskArn"]
    while (await ecs.describe_tasks(cluster="default", tasks=[arn]))["tasks"][0]["lastStatus"] != "RUNNING":
        await clock.sleep_until(clock.monotonic() + _POLL_S)
    await clock.sleep_until(clock.monotonic() + JVM_S + BUILD_S)
    await ecs.stop_task(cluster="default", task=arn)


@asynccontextmanager
async def _client(fake: FakeAws, clock: ManualClock) -> AsyncIterator[Any]:
    async with serving(fake) as url, AsyncExitStack() as stack:
        config = AioConfig(retries={"total_max_attempts": 1})
        made = AioSession().create_client(
            "ecs",
            fake.region,
            endpoint_url=url,
            aws_access_key_id=fake.access_key,
            aws_secret_access_key=fake.secret_key,
            config=config,
        )
        counted = Counted(_One(await stack.enter_async_context(made)))
        clock._settle = settling(counted)
        yield await counted.client("ecs")


class _One:
    """Where one client comes from."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def client(self, service: str, region: str | None = None) -> Any:
        """That one."""
        return self._client
