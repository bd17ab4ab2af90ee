"""The broker's real core and ECS backend over the fake cloud, in virtual time: Jenkins and the agents are played."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from broker.backends.aws_ecs.assembly import Surroundings, open_ecs
from broker.backends.aws_ecs.backend import EcsBackend
from broker.demo.clouds.aws import FakeAws
from broker.demo.clouds.ec2 import Subnet
from broker.demo.clouds.ecs.knobs import Timing
from broker.demo.clouds.ecs.tasks import Status
from broker.demo.clouds.serving import serving
from broker.demo.clouds.throttles import FARGATE_RUN
from broker.domain.ids import AgentId
from broker.domain.pool import BackendDefinition
from broker.testing.backend import FakeBackend
from broker.testing.clock import ManualClock
from broker.testing.factories import BACKEND, make_definitions, make_policy, make_pool, make_template
from broker.testing.memory import FakeMemory
from tests.benchmarks.played import Played
from tests.benchmarks.under_way import settling
from tests.core import open_core

TIMING: Final = Timing(
    provisioning_s=(20, 23), pending_s=(32, 37), activating_s=(1, 2), stopping_s=(1, 2), deprovisioning_s=(5, 15)
)
"""53 to 62 s to RUNNING."""
SUBNETS: Final = [f"subnet-{letter * 17}" for letter in "abc"]
_POOL: Final[Mapping[str, Any]] = {
    "capacity_provider": "FARGATE",
    "subnets": SUBNETS,
    "security_groups": ["sg-" + "a" * 17],
    "execution_role_arn": "arn:aws:iam::111122223333:role/agentbroker-exec",
}


class Counted:
    """Clients of aiobotocore, of which is known how many calls are under way."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.open = 0

    async def client(self, service: str, region: str | None = None) -> Any:
        """As the real one, counted."""
        return _Client(await self._inner.client(service, region), self)

    async def close(self) -> None:
        """Closes the real ones."""
        await self._inner.close()


class _Client:
    def __init__(self, inner: Any, counted: Counted) -> None:
        self._inner = inner
        self._counted = counted

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)

        async def call(**request: Any) -> Any:
            self._counted.open += 1
            try:
                return await method(**request)
            finally:
                self._counted.open -= 1

        return call


@dataclass(slots=True)
class World(Played):
    """A broker, and Amazon ECS."""

    fake: FakeAws = field(kw_only=True)
    _seen: set[str] = field(default_factory=set)

    def started(self) -> Iterable[tuple[AgentId, str]]:
        """Tasks that have come to RUNNING."""
        wall = self.fake.ecs.now
        for arn, task in self.fake.ecs.tasks.items():
            since = task.since(Status.RUNNING) if arn not in self._seen else None
            if since is not None and since <= wall:
                self._seen.add(arn)
                yield AgentId({tag["key"]: tag["value"] for tag in tags_of(task)}["agentbroker:agent-id"]), arn

    def left(self, instance: str) -> None:
        """Its container ends."""
        self.fake.ecs.stop(instance, exit_code=1)

    def is_empty(self) -> bool:
        """Whether no task lives."""
        return not self.fake.ecs.living


def tags_of(task: Any) -> list[Mapping[str, str]]:
    """The tags that a task was run with."""
    told = task.tags
    return [{"key": key, "value": value} for key, value in told.items()] if isinstance(told, dict) else list(told)


@asynccontextmanager
async def ecs_world(folder: Path, *, run_rate: float = 20.0, run_burst: float = 20.0) -> AsyncIterator[World]:
    """A broker that is started, with a pool of three zones on Fargate; the cloud's quota of RunTask may be another."""
    clock = ManualClock()
    fake = FakeAws(clock=clock)
    fake.ecs.timing = TIMING
    for place, subnet in enumerate(list(fake.ec2.subnets.values())):
        fake.ec2.add(Subnet(id=subnet.id, zone=subnet.zone, cidr=f"10.{place}.0.0/20", free_addresses=4000))
    fake.throttles.limit(FARGATE_RUN, burst=run_burst, rate=run_rate)
    async with serving(fake) as url:
        backend, counted = _backend(fake, url, clock)
        definitions = make_definitions(
            pools=[make_pool(options=dict(_POOL))],
            templates=[make_template(image="jenkins/inbound-agent:jdk21")],
            policies=[make_policy()],
        )
        stand_in = cast("FakeBackend", backend)  # all that the core asks of it is a `ports.Backend`
        async with open_core(folder / "broker.db", definitions, clock=clock, backend=stand_in) as core:
            clock._settle = settling(counted, core.ctx.database._running)
            try:
                async with asyncio.TaskGroup() as group:
                    running = group.create_task(core.loop.run(), name="bench:loop")
                    await core.sync()
                    await clock.advance(1)
                    yield World(core, fake.ledger, clock, fake=fake)
                    running.cancel()
            finally:
                await backend.close()


def _backend(fake: FakeAws, url: str, clock: ManualClock) -> tuple[EcsBackend, Counted]:
    options = {
        "region": fake.region,
        "cluster": "default",
        "endpoint_url": url,
        "access_key_id": fake.access_key,
        "secret_access_key": fake.secret_key,
    }
    definition = BackendDefinition(name=BACKEND, type="aws-ecs", options=options)
    around = Surroundings(
        installation="0123abcd",
        sign=lambda text: f"signed-{len(text)}",
        clock=clock,
        memory=FakeMemory(),
        called=lambda action, failed, seconds: None,
    )
    backend = open_ecs(definition, around)
    counted = Counted(backend.calls._clients)
    backend.calls._clients = counted
    return backend, counted
