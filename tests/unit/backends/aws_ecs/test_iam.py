"""The rights that are printed are those that the calls need: none is missing, none is too many."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from broker.backends.aws_ecs.iam import CALLS, EVERYBODY, PEOPLE, Besides, Place, Statement, document, needed, taking
from broker.backends.aws_ecs.options import BackendOptions, PoolOptions
from broker.backends.aws_ecs.used import Used
from broker.clock import SystemClock
from broker.demo.clouds.model import Call
from broker.doctor.aws import AwsVisit
from broker.domain.definitions import Definitions
from broker.domain.ids import BackendName, InstanceRef, PolicyName
from broker.domain.instance import InstanceState
from broker.domain.policy import Policy, PoolChoice
from broker.domain.pool import BackendDefinition
from broker.ports import LaunchSpec
from tests.contract.ecs_rig import LOG_GROUP, LOGS, POOL, EcsRig, ecs_rig

PLACE = Place(region="eu-west-1", account="111122223333")
ROLE = "arn:aws:iam::111122223333:role/{}"
FARGATE = {**POOL, "task_role_arn": ROLE.format("agentbroker-task")}
INSTANCES = {
    "capacity_provider": "",
    "launch_type": "EC2",
    "subnets": [],
    "security_groups": [],
    "execution_role_arn": "",
}
LOGGED = {"ecs": {"log_configuration": LOGS}}


class Later(SystemClock):
    """The real clock, whose date a test sets forward."""

    ahead = timedelta()

    def now(self) -> datetime:
        return super().now() + self.ahead


def used(rig: EcsRig, spec: LaunchSpec) -> Used:
    """What the config would say of a launch."""
    backend = BackendDefinition(name=BackendName("aws"), type="aws-ecs", options=rig.options)
    pool = replace(spec.pool, backend=backend.name)
    policy = Policy(
        name=PolicyName("linux"), labels=(), template=spec.template.name, pools=(PoolChoice(pool=pool.name),)
    )
    return Used.of(
        Definitions(
            revision="",
            controllers={},
            backends={backend.name: backend},
            templates={spec.template.name: spec.template},
            pools={pool.name: pool},
            policies={policy.name: policy},
        ),
        "aws",
    )


def granted(used: Used, *, doctor: bool) -> set[str]:
    return {action for one in needed(used, PLACE, doctor=doctor) for action in one.actions}


def exercised(calls: list[Call]) -> set[str]:
    """The rights that calls have used: those of their names, and of what they hand on (roles, tags)."""
    found = {f"{call.service}:{call.action}" for call in calls}
    made = [call.parameters for call in calls if call.action in {"RunTask", "RegisterTaskDefinition"}]
    if any(one.get("tags") for one in made):
        found.add("ecs:TagResource")
    if any("RoleArn" in key for one in made for key in {**one, **one.get("overrides", {})}):
        found.add("iam:PassRole")
    return found - EVERYBODY


async def a_life(rig: EcsRig, clock: Later, *templates: Mapping[str, Any], pool: Mapping[str, Any]) -> LaunchSpec:
    """Agents are launched, seen and ended, or end by themselves; orphans and old revisions are looked for.

    The first one's secret is in its environment: the revisions of the others are not kept, and not looked for.
    """
    first = {**pool, "secret_delivery": "env"}
    specs = [rig.spec_of(n, pool=first if n == 1 else pool, **one) for n, one in enumerate(templates, start=1)]
    refs = list[InstanceRef]()
    for spec in specs:
        await rig.backend.offers(spec.pool)
        refs.append(await rig.backend.launch(spec))
        await rig.wait_for(refs[-1], InstanceState.RUNNING)
    await rig.backend.terminate(refs[0])
    for ref in refs[1:]:
        await rig.stop_instance(ref, exit_code=1, lines=["no"])
        await rig.wait_for(ref, InstanceState.STOPPED)
    await rig.reopen()
    await rig.backend.locate(specs[0].key)
    rig.fake.ecs.stop(refs[0])
    clock.ahead = timedelta(days=2)
    await rig.backend.list_owned()
    return specs[-1]


@asynccontextmanager
async def cloud(clock: Later, **options: Any) -> AsyncIterator[EcsRig]:
    async with ecs_rig(clock, keep_definitions=0, leave_grace=timedelta(), **options) as rig:
        rig.fake.ecs.add_instance("default")
        yield rig


CASES = {
    "Fargate with logs": (FARGATE, LOGGED),
    "Fargate without logs": (FARGATE, {}),
    "instances": (INSTANCES, LOGGED),
    "secrets in parameters": ({**FARGATE, "secret_delivery": "ssm"}, LOGGED),
    "secrets in Secrets Manager": ({**FARGATE, "secret_delivery": "secrets-manager"}, LOGGED),
}


@pytest.mark.parametrize("case", CASES)
async def test_the_rights_are_those_of_the_calls(case: str) -> None:
    pool, options = CASES[case]
    clock = Later()
    async with cloud(clock) as rig:
        spec = await a_life(rig, clock, {"options": options}, {"options": options, "user": "agent"}, pool=pool)
        assert exercised(list(rig.fake.ledger)) == granted(used(rig, spec), doctor=False)


async def test_the_rights_of_a_named_definition_are_those_of_the_calls() -> None:
    clock = Later()
    async with cloud(clock) as rig:
        containers = [{"name": "agent", "image": "x", "memory": 512, "cpu": 256}]
        rig.fake.ecs.region.definitions.register({"family": "builds", "containerDefinitions": containers}, "arn:of:x")
        named = {"options": {"task_definition": "builds"}}
        spec = await a_life(rig, clock, named, named, pool=INSTANCES)
        assert exercised(list(rig.fake.ledger)) == granted(used(rig, spec), doctor=False)


@pytest.mark.parametrize("case", CASES)
async def test_the_doctors_rights_are_those_of_its_calls(case: str) -> None:
    pool, options = CASES[case]
    clock = Later()
    async with cloud(clock) as rig:
        rig.fake.logs.create_group(LOG_GROUP)
        spec = await a_life(rig, clock, {"options": options}, {"options": options, "user": "agent"}, pool=pool)
        of_launches = exercised(list(rig.fake.ledger))
        found = await AwsVisit(used=used(rig, spec), clock=SystemClock()).checks()
        assert {check.status for check in found} == {"ok"}, found
        assert exercised(list(rig.fake.ledger)) == granted(used(rig, spec), doctor=True)
        assert of_launches == granted(used(rig, spec), doctor=False)


def test_every_call_that_may_be_made_is_granted_to_somebody() -> None:
    pools = {
        name: PoolOptions(launch_type=kind, subnets=("s",), security_groups=("g",), secret_delivery=way)
        for name, kind, way in (("a", "FARGATE", "ssm"), ("b", "EC2", "secrets-manager"))
    }
    everything = Used(name="aws", options=BackendOptions(cluster="ci"), pools=pools, templates={})  # type: ignore[arg-type]
    statements = needed(everything, PLACE, besides=Besides(roles=(ROLE.format("x"),), log_groups=("/ci",)))
    actions = {action for one in [*statements, *taking(ROLE.format("y"))] for action in one.actions}
    assert actions | EVERYBODY | PEOPLE == CALLS | {"iam:PassRole", "ecs:TagResource"}


def test_roles_are_passed_to_tasks_alone() -> None:
    pools = {"a": PoolOptions(execution_role_arn=ROLE.format("exec"), task_role_arn=ROLE.format("task"))}
    found = by_sid(Used(name="aws", options=BackendOptions(), pools=pools, templates={}))  # type: ignore[arg-type]
    assert found["PassTheTasksRoles"] == {
        "Sid": "PassTheTasksRoles",
        "Effect": "Allow",
        "Action": "iam:PassRole",
        "Resource": [ROLE.format("exec"), ROLE.format("task")],
        "Condition": {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
    }


def by_sid(used: Used) -> dict[str, dict[str, Any]]:
    return {one["Sid"]: one for one in document(needed(used, PLACE))["Statement"]}


def test_tasks_are_run_and_stopped_on_our_cluster_alone() -> None:
    found = by_sid(Used(name="aws", options=BackendOptions(cluster="arn:x:cluster/ci"), pools={}, templates={}))
    for sid in ("RunTasks", "WatchAndStopTasks", "FindTasks"):
        assert found[sid]["Condition"] == {
            "ArnEquals": {"ecs:cluster": "arn:aws:ecs:eu-west-1:111122223333:cluster/ci"}
        }
    assert found["RunTasks"]["Resource"] == "arn:aws:ecs:eu-west-1:111122223333:task-definition/agentbroker-*:*"
    assert found["WatchAndStopTasks"]["Resource"] == "arn:aws:ecs:eu-west-1:111122223333:task/ci/*"


@pytest.mark.parametrize(
    ("region", "partition"), [("eu-west-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")]
)
def test_arns_have_the_partition_of_their_region(region: str, partition: str) -> None:
    assert Place(region=region).arn("ecs", "cluster/ci") == f"arn:{partition}:ecs:{region}:*:cluster/ci"


def test_a_statement_of_one_thing_is_written_without_lists() -> None:
    assert Statement(sid="A", actions=("a:B",)).json == {
        "Sid": "A",
        "Effect": "Allow",
        "Action": "a:B",
        "Resource": "*",
    }
