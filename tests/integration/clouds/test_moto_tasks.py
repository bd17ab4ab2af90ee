"""Tasks as an ECS tells them that others wrote, and the log lines of one: moto.

It runs every task at once and by itself ends none here; it knows no client token (the same launch twice is two tasks),
no stop code, no times, no exit codes, no capacity, neither MISSING nor quotas, and lists tasks of an unknown cluster as
none. What it shows is that our requests are ones that an ECS takes, and that its answers are read as they are meant.
"""

import json
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from aiobotocore.session import get_session

from broker.clock import SystemClock
from broker.demo.clouds.aws import FakeAws
from broker.domain.ids import InstanceRef
from broker.domain.instance import InstanceState
from broker.ports import LaunchSpec
from tests.contract.ecs_rig import LOG_GROUP, LOGS, EcsRig
from tests.emulators import credentials

pytestmark = [pytest.mark.component("moto"), pytest.mark.timeout(60)]

STAYS = {"model_name": "ecs::task", "transition": {"progression": "time", "seconds": 3600}}
"""Left alone, each look at a task would move it on to its end."""


@asynccontextmanager
async def client(moto: str, service: str) -> AsyncIterator[Any]:
    """A client of the test's own: the broker's make no other calls than its policy allows."""
    async with get_session().create_client(service, endpoint_url=moto, **credentials()) as opened:
        yield opened


@pytest.fixture
def _tasks_stay(moto: str) -> None:
    asked = urllib.request.Request(f"{moto}/moto-api/state-manager/set-transition", json.dumps(STAYS).encode())
    urllib.request.urlopen(asked, timeout=10).close()


@pytest.fixture
async def rig(moto: str, _tasks_stay: None) -> AsyncIterator[EcsRig]:
    async with client(moto, "ecs") as ecs:
        await ecs.create_cluster(clusterName="default", capacityProviders=["FARGATE"])
    rig = EcsRig(FakeAws(), moto, SystemClock())
    yield rig
    await rig.backend.close()


async def running(rig: EcsRig, moto: str, n: int) -> tuple[LaunchSpec, InstanceRef]:
    """An agent's task on Fargate, in the account's own network. moto counts on a container's memory and a group."""
    async with client(moto, "ec2") as ec2:
        subnets = {one["SubnetId"]: one["AvailabilityZone"] for one in (await ec2.describe_subnets())["Subnets"]}
        groups = [one["GroupId"] for one in (await ec2.describe_security_groups())["SecurityGroups"]]
    options = {"ecs": {"log_configuration": LOGS, "memory_reservation": 256}}
    spec = rig.spec_of(n, pool={"subnets": list(subnets), "security_groups": groups[:1]}, options=options)
    assert {offer.zone for offer in await rig.backend.offers(spec.pool)} == set(subnets.values())
    ref = await rig.backend.launch(spec)
    await rig.wait_for(ref, InstanceState.RUNNING)
    return spec, ref


async def test_a_task_is_launched_seen_listed_and_ended(rig: EcsRig, moto: str) -> None:
    spec, ref = await running(rig, moto, 7)
    again = await rig.reopen()
    listing = await again.list_owned()
    assert listing.complete
    assert [(one.ref, one.agent_id) for one in listing.instances] == [(ref, spec.key.agent_id)]
    await again.terminate(ref)
    assert (await again.list_owned()).instances == ()


async def test_the_last_lines_of_a_task_that_has_ended_are_read_without_its_secret(rig: EcsRig, moto: str) -> None:
    spec, ref = await running(rig, moto, 8)
    now = int(datetime.now(UTC).timestamp() * 1000)
    said = ["one", f"it is {spec.secret}", "three"]
    async with client(moto, "logs") as logs:
        where = {"logGroupName": LOG_GROUP, "logStreamName": f"agent/agent/{ref.rpartition('/')[2]}"}
        await logs.create_log_group(logGroupName=LOG_GROUP)
        await logs.create_log_stream(**where)
        events = [{"timestamp": now + n, "message": line} for n, line in enumerate(said)]
        await logs.put_log_events(**where, logEvents=events)
    async with client(moto, "ecs") as ecs:
        await ecs.stop_task(cluster="default", task=ref, reason="by hand")
    seen = await rig.wait_for(ref, InstanceState.STOPPED)
    assert seen.last_lines == ("one", "it is ***", "three")
    assert "by hand" in str(seen)
