"""An `EcsBackend` over the strict fake of AWS, by the real SDK, and what a test needs to see of that cloud."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from broker.backends.aws_ecs.assembly import Surroundings, open_ecs
from broker.backends.aws_ecs.backend import EcsBackend
from broker.clock import SystemClock
from broker.demo.clouds.aws import FakeAws
from broker.demo.clouds.ecs.knobs import Timing
from broker.demo.clouds.serving import serving
from broker.domain.ids import BackendName, InstanceRef
from broker.domain.instance import Instance, InstanceState
from broker.domain.pool import BackendDefinition
from broker.errors import BackendError
from broker.ports import Clock, LaunchSpec
from broker.testing.factories import make_pool, make_spec, make_template
from broker.testing.memory import FakeMemory

BACKEND = BackendName("aws")
IMAGE = "jenkins/inbound-agent:jdk21"
LOG_GROUP = "/agentbroker/agents"
LOGS = {
    "log_driver": "awslogs",
    "options": {"awslogs-group": LOG_GROUP, "awslogs-region": "eu-west-1", "awslogs-stream-prefix": "agent"},
}
GROUP = "sg-" + "a" * 17
SUBNETS = [f"subnet-{letter * 17}" for letter in "abc"]
POOL: dict[str, Any] = {
    "capacity_provider": "FARGATE",
    "subnets": [SUBNETS[0]],
    "security_groups": [GROUP],
    "execution_role_arn": "arn:aws:iam::111122223333:role/agentbroker-exec",
}


class EcsRig:
    """One backend; `reopen` makes the next one as a restarted broker does, with the store's memory alone."""

    def __init__(self, fake: FakeAws, url: str, clock: Clock, **options: Any) -> None:
        self.fake = fake
        self.clock = clock
        self.options = {
            "region": fake.region,
            "cluster": "default",
            "endpoint_url": url,
            "access_key_id": fake.access_key,
            "secret_access_key": fake.secret_key,
            **options,
        }
        self.memory = FakeMemory()
        self.called: list[tuple[str, BackendError | None]] = []
        self.backend = self.open()

    def open(self) -> EcsBackend:
        definition = BackendDefinition(name=BACKEND, type="aws-ecs", options=self.options)
        around = Surroundings(
            installation="0123abcd",
            sign=lambda text: f"signed-{hash(text)}",
            clock=self.clock,
            memory=self.memory,
            called=lambda action, failed, _: self.called.append((action, failed)),
        )
        return open_ecs(definition, around)

    def spec(self, n: int = 1, attempt: int = 1) -> LaunchSpec:
        return self.spec_of(n, attempt)

    def spec_of(self, n: int = 1, attempt: int = 1, *, pool: Any = None, **template: Any) -> LaunchSpec:
        options = template.pop("options", {"ecs": {"log_configuration": LOGS}})
        made = make_template(image=IMAGE, options=options, **template)
        return make_spec(n, attempt, template=made, pool=make_pool(options={**POOL, **(pool or {})}))

    async def reopen(self) -> EcsBackend:
        await self.backend.close()
        self.backend = self.open()
        return self.backend

    async def stop_instance(self, ref: InstanceRef, *, exit_code: int, lines: Sequence[str]) -> None:
        self.fake.logs.put(LOG_GROUP, f"agent/agent/{ref.rpartition('/')[2]}", lines)
        self.fake.ecs.stop(ref, exit_code=exit_code)

    async def count_running(self) -> int:
        return len(self.fake.ecs.living)

    async def let_time_pass(self) -> None:
        await asyncio.sleep(0.03)

    async def interrupt(self, ref: InstanceRef, at: datetime, message: str) -> None:
        """The fake gives its notice now, of two minutes, which is the only one there is."""
        assert abs(at - self.clock.now() - timedelta(minutes=2)) < timedelta(seconds=5)
        await self.wait_for(ref, InstanceState.RUNNING)
        self.fake.ecs.interrupt(ref)
        task = self.fake.ecs.tasks[ref]
        assert task.ending is not None
        task.ending = replace(task.ending, at=at.timestamp() - 120, reason=message)
        task.edits += 1

    async def instance(self, ref: InstanceRef) -> Instance | None:
        return (await self.backend.describe([ref])).get(ref)

    async def wait_for(self, ref: InstanceRef, state: InstanceState) -> Instance:
        for _ in range(200):
            seen = await self.instance(ref)
            if seen is not None and seen.state is state:
                return seen
            await self.let_time_pass()
        raise AssertionError(f"{ref} is not {state}")

    def calls(self, action: str = "") -> list[str]:
        """The actions that the cloud was asked for, in order."""
        return [call.action for call in self.fake.ledger if action in {"", call.action}]


@asynccontextmanager
async def ecs_rig(clock: Clock | None = None, *, real: bool = True, **options: Any) -> AsyncIterator[EcsRig]:
    """A cloud of its own, whose tasks are quick; if it is not in `real` time, the times are the config's defaults."""
    clock = clock or SystemClock()
    if real:
        options = {"poll_interval": timedelta(seconds=0.02), "leave_grace": timedelta(seconds=0.1), **options}
    fake = FakeAws(clock=clock)
    fake.ecs.timing = Timing(
        provisioning_s=0.05, pending_s=0.05, activating_s=0.0, stopping_s=0.05, deprovisioning_s=0.05
    )
    async with serving(fake) as url:
        rig = EcsRig(fake, url, clock, **options)
        try:
            yield rig
        finally:
            await rig.backend.close()
