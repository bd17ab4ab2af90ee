"""Which definition a launch runs, on a strict fake of ECS: registered once, found again, run by its revision."""

import asyncio
from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

import pytest
import structlog

from broker.backends.aws_ecs.marks import HASH
from broker.demo.clouds.faults import Fault
from broker.domain.ids import PoolName, TemplateName
from broker.domain.pool import Pool
from broker.domain.resources import Resources
from broker.domain.template import Inject
from broker.errors import BackendError, BackendRejected, Throttled
from broker.testing.memory import FakeMemory
from tests.unit.backends.aws_ecs.account import Account
from tests.unit.backends.aws_ecs.bodies import a_pool, a_template, fargate
from tests.unit.backends.aws_ecs.every_key import definitions

T = TypeVar("T")
REGISTER, DESCRIBE = "RegisterTaskDefinition", "DescribeTaskDefinition"
CONCURRENT = "Too many concurrent attempts to create a new revision of the specified family."


async def at_once(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """All of it beside one another."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one, name="one of many") for one in work]
    return [task.result() for task in tasks]


async def passing(account: Account, work: Coroutine[Any, Any, T]) -> T:
    """What comes of it while virtual time passes beside real calls."""

    async def outcome() -> T | BackendError:
        try:
            return await work
        except BackendError as error:
            return error

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        task = group.create_task(outcome(), name="work")
        for _ in range(2000):
            await asyncio.sleep(0.01)
            if task.done():
                break
            await account.clock.advance(0.25)
    if isinstance(found := task.result(), BackendError):
        raise found
    return found


async def test_a_hundred_launches_at_once_make_one_registration(account: Account) -> None:
    ours = account.broker()
    chosen = await at_once(ours.arn_for(a_template(), fargate()) for _ in range(100))
    assert {one.arn for one in chosen} == {account.revisions()[1].arn}
    assert account.fake.ledger.by_action() == {DESCRIBE: 1, REGISTER: 1}


async def test_after_a_restart_nothing_is_asked_or_registered(account: Account) -> None:
    first = await account.broker().arn_for(a_template(), fargate())
    account.fake.ledger.clear()
    again = await account.broker().arn_for(a_template(), fargate())
    assert again == first
    assert len(account.fake.ledger) == 0


async def test_a_definition_is_run_by_its_full_revision_though_the_family_has_a_newer_one(account: Account) -> None:
    """Else the wrong image runs because of a race for the family's latest."""
    ours = account.broker()
    one = await ours.arn_for(a_template(), a_pool())
    other = await ours.arn_for(a_template(image="registry.example.com/other:1"), a_pool())
    assert (await ours.arn_for(a_template(), a_pool())).arn == one.arn
    assert (one.revision, other.revision) == (1, 2)
    assert one.arn == "arn:aws:ecs:eu-west-1:111122223333:task-definition/agentbroker-java:1"


@pytest.mark.parametrize("pool", [a_pool(), a_pool(network_mode="default"), fargate(), fargate(network_mode="default")])
async def test_what_aws_fills_in_makes_no_new_revision(account: Account, pool: Pool) -> None:
    """Else each agent makes a new revision, for what comes back never equals what was sent."""
    efs = {"name": "m2", "efs_volume_configuration": {"file_system_id": "fs-0123456789abcdef0"}}
    ecs = {
        "port_mappings": [{"container_port": 8080}],
        "volumes": [efs, {"name": "plain"}],
        "health_check": {"command": ["CMD", "true"]},
        "log_configuration": {"log_driver": "awslogs", "options": {"awslogs-stream-prefix": "agent"}},
        "execution_role_arn": "arn:aws:iam::111122223333:role/exec",
    }
    template = a_template(ecs=ecs)
    for _ in range(3):
        await account.broker().arn_for(template, pool)
    for _ in range(3):
        await account.broker(memory=FakeMemory()).arn_for(template, pool)
    assert list(account.revisions()) == [1]


async def test_every_key_is_taken_by_ecs_and_known_again(account: Account) -> None:
    config = definitions()
    for template, pool in (("every", "tasks"), ("bridged", "plain"), ("big-disk", "fargate"), ("windows", "plain")):
        for _ in range(2):
            ours = account.broker(memory=FakeMemory())
            await ours.arn_for(config.templates[TemplateName(template)], config.pools[PoolName(pool)])
    assert account.calls(REGISTER) == 4


async def test_a_store_that_has_forgotten_adopts_what_is_registered(account: Account) -> None:
    first = await account.broker().arn_for(a_template(), fargate())
    again = await account.broker(memory=FakeMemory(), installation="restored").arn_for(a_template(), fargate())
    assert again == first
    assert account.calls(REGISTER) == 1


async def test_what_is_kept_of_another_account_or_region_is_not_run_in_this_one(account: Account) -> None:
    await account.broker(place="eu-west-1|builds").arn_for(a_template(), a_pool())
    account.fake.ecs.region.definitions.families.clear()
    chosen = await account.broker(place="eu-central-1|builds").arn_for(a_template(), a_pool())
    assert chosen.arn in account.fake.ecs.task_definitions


async def test_a_definition_with_copied_tags_and_another_content_is_not_adopted(account: Account) -> None:
    await account.broker().arn_for(a_template(), a_pool())
    there = account.revisions()[1]
    copied = [{"key": key, "value": value} for key, value in there.tags.items()]
    container = {"name": "agent", "image": "registry.example.com/evil:1", "memory": 8192, "cpu": 2048}
    body = {"family": there.family, "containerDefinitions": [container], "tags": copied}
    await account.ask(REGISTER, body)
    chosen = await account.broker(memory=FakeMemory()).arn_for(a_template(), a_pool())
    assert chosen.revision == 3


async def test_a_definition_of_a_broker_with_another_key_is_not_adopted(account: Account) -> None:
    await account.broker().arn_for(a_template(), a_pool())
    chosen = await account.broker(memory=FakeMemory(), key="another").arn_for(a_template(), a_pool())
    assert chosen.revision == 2


@pytest.mark.parametrize("pool", [a_pool(), fargate()])
async def test_a_builds_own_size_registers_nothing(account: Account, pool: Pool) -> None:
    ours, usual = account.broker(), a_template().resources
    arns = set()
    for cpu in (1000, 2000, 4000):
        asked = a_template(resources=Resources(cpu_milli=cpu, memory_mib=cpu * 4))
        arns.add((await ours.arn_for(asked, pool, usual)).arn)
    assert len(arns) == 1
    assert account.calls(REGISTER) == 1


async def test_three_images_that_alternate_are_three_registrations_in_all(account: Account) -> None:
    ours = account.broker()
    for _ in range(5):
        for tag in ("a", "b", "c"):
            await ours.arn_for(a_template(image=f"registry.example.com/x:{tag}"), a_pool())
    assert account.calls(REGISTER) == 3
    assert account.active() == [1, 2, 3]


async def test_what_runs_in_two_pools_alternates_without_new_registrations(account: Account) -> None:
    ours = account.broker()
    for _ in range(3):
        await ours.arn_for(a_template(), a_pool())
        await ours.arn_for(a_template(), fargate())
    assert account.calls(REGISTER) == 2


async def test_templates_register_beside_one_another(account: Account) -> None:
    ours = account.broker()
    names = [TemplateName(f"t{n}") for n in range(10)]
    await at_once(ours.arn_for(a_template(name=name), a_pool()) for name in names for _ in range(5))
    assert account.calls(REGISTER) == 10
    assert all(account.active(f"agentbroker-{name}") == [1] for name in names)


async def test_a_revision_that_somebody_has_deregistered_is_registered_anew_once(account: Account) -> None:
    ours = account.broker()
    gone = (await ours.arn_for(a_template(), a_pool())).arn
    await account.ask("DeregisterTaskDefinition", {"taskDefinition": gone})
    await ours.forget(gone)
    chosen = await at_once(ours.arn_for(a_template(), a_pool()) for _ in range(20))
    assert {one.revision for one in chosen} == {2}
    assert account.calls(REGISTER) == 2


async def test_a_registration_whose_answer_was_lost_is_found_and_not_made_twice(account: Account) -> None:
    account.fake.faults.add(Fault(action=REGISTER, drop=True, after_effect=True))
    ours = account.broker()
    with pytest.raises(Throttled):
        await ours.arn_for(a_template(), a_pool())
    assert (await ours.arn_for(a_template(), a_pool())).revision == 1
    assert account.calls(REGISTER) == 1


async def test_a_launch_that_is_cancelled_once_it_has_registered_leaves_that_to_the_next(account: Account) -> None:
    registered, ask = asyncio.Event(), account.ask

    async def asking_slowly(action: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
        answer = await ask(action, request)
        if action == REGISTER:
            registered.set()
            await asyncio.sleep(60)
        return answer

    account.ask = asking_slowly
    ours = account.broker()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(ours.arn_for(a_template(), a_pool()), name="first")
        second = group.create_task(ours.arn_for(a_template(), a_pool()), name="second")
        await registered.wait()
        first.cancel()
    assert second.result().revision == 1
    assert list(account.revisions()) == [1]


async def test_a_refusal_of_concurrent_registrations_is_tried_again(account: Account) -> None:
    """Such a refusal is in no SDK's list of what may be repeated."""
    account.fake.faults.add(Fault(action=REGISTER, code="ClientException", message=CONCURRENT, times=3))
    chosen = await passing(account, account.broker().arn_for(a_template(), a_pool()))
    assert chosen.revision == 1
    assert account.calls(REGISTER) == 4


async def test_two_brokers_that_register_a_family_at_once_both_go_on(account: Account) -> None:
    account.fake.ecs.region.definitions.registering_s = 1.0
    brokers = [account.broker(memory=FakeMemory(), backend=name) for name in ("a", "b")]
    chosen = await passing(account, at_once(one.arn_for(a_template(), a_pool()) for one in brokers))
    assert {one.revision for one in chosen} == {1}, "the second one finds what the first has made"


async def test_one_that_is_refused_again_and_again_waits_and_says_nothing_against_the_pool(account: Account) -> None:
    account.fake.faults.add(Fault(action=REGISTER, code="ClientException", message=CONCURRENT, times=None))
    with pytest.raises(Throttled, match="concurrent attempts"):
        await passing(account, account.broker().arn_for(a_template(), a_pool()))
    assert account.calls(REGISTER) == 5


async def test_those_who_wait_for_a_registration_share_its_failure(account: Account) -> None:
    account.fake.faults.add(Fault(action=REGISTER, code="ClientException", message="Role is not valid", times=1))
    ours = account.broker()

    async def refused() -> bool:
        try:
            await ours.arn_for(a_template(), a_pool())
        except BackendRejected:
            return True
        return False

    assert all(await at_once(refused() for _ in range(50)))
    assert account.calls(REGISTER) == 1
    assert (await ours.arn_for(a_template(), a_pool())).revision == 1


async def test_a_throttled_registration_says_nothing_against_the_pool(account: Account) -> None:
    account.fake.faults.add(Fault(action=REGISTER, code="ThrottlingException", times=1))
    with pytest.raises(Throttled):
        await account.broker().arn_for(a_template(), a_pool())


async def test_an_identity_that_may_not_describe_is_told_so(account: Account) -> None:
    account.fake.rights.deny("ecs:DescribeTaskDefinition")
    with pytest.raises(BackendRejected, match="not authorized to perform: ecs:DescribeTaskDefinition"):
        await account.broker().arn_for(a_template(), a_pool())


async def test_what_the_store_cannot_tell_is_asked_again_later(account: Account) -> None:
    memory = FakeMemory(fails=True)
    ours = account.broker(memory=memory)
    with pytest.raises(Throttled, match="the database cannot be read"):
        await ours.arn_for(a_template(), a_pool())
    memory.fails = False
    assert (await ours.arn_for(a_template(), a_pool())).revision == 1


async def test_what_the_store_cannot_keep_is_still_registered_once_and_kept_with_the_next(account: Account) -> None:
    ours = account.broker()
    await ours.arn_for(a_template(image="registry.example.com/first:1"), a_pool())
    account.memory.fails = True
    second = await ours.arn_for(a_template(), a_pool())
    assert await ours.arn_for(a_template(), a_pool()) == second
    account.memory.fails = False
    await account.clock.advance(timedelta(hours=2).total_seconds())
    await ours.arn_for(a_template(), a_pool())
    account.fake.ledger.clear()
    assert await account.broker().arn_for(a_template(), a_pool()) == second
    assert len(account.fake.ledger) == 0


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 2}', '{"version": 1, "definitions": {"x": 1}}'])
async def test_a_text_of_the_store_that_cannot_be_read_is_as_none(account: Account, text: str) -> None:
    assert (await account.broker(memory=FakeMemory(text=text)).arn_for(a_template(), a_pool())).revision == 1


async def test_a_new_revision_is_logged_with_what_has_changed(account: Account) -> None:
    """Else nobody can find out why a definition does not match."""
    ours = account.broker()
    await ours.arn_for(a_template(env={"TOKEN": "abc", "MODE": "x"}), a_pool())
    with structlog.testing.capture_logs() as logs:
        changed = a_template(env={"TOKEN": "def", "MODE": "x"}, user="jenkins", tags={"team": "build"})
        await ours.arn_for(changed, a_pool())
    told = next(one for one in logs if one["event"] == "definition_registered")
    assert told["changes"] == [
        "containerDefinitions.agent.environment.TOKEN.value: *** -> ***",
        "containerDefinitions.agent.user: unset -> jenkins",
        "tags.team: unset -> {'key': 'team', 'value': 'build'}",
    ]
    assert told["definition"].endswith(":2")
    assert told["before"].endswith(":1")


async def test_each_change_that_the_plugin_overlooks_is_a_new_revision(account: Account) -> None:
    """Tags, processor, disk and size of the task were never compared: changing them had no effect."""
    ours = account.broker()
    usual = a_template()
    for changed in (
        usual,
        replace(usual, tags={"team": "build"}),
        a_template(ecs={"runtime_platform": {"cpu_architecture": "ARM64"}}),
        a_template(ecs={"ephemeral_storage": {"size_in_gib": 60}}),
        a_template(resources=Resources(cpu_milli=4000, memory_mib=8192)),
    ):
        await ours.arn_for(changed, fargate())
    assert account.active() == [1, 2, 3, 4, 5]


async def test_a_definition_carries_its_marks_and_its_templates_tags(account: Account) -> None:
    await account.broker().arn_for(a_template(tags={"team": "build"}), a_pool())
    tags = account.revisions()[1].tags
    assert tags["team"] == "build"
    assert (tags["agentbroker:installation"], tags["agentbroker:backend"]) == ("installation-1", "aws")
    assert len(tags[HASH]) == 32


async def test_a_launch_knows_what_its_definition_says(account: Account) -> None:
    logs = {"log_driver": "awslogs", "options": {"awslogs-group": "/ci", "awslogs-stream-prefix": "agent"}}
    ecs = {"sidecars": [{"name": "db", "image": "postgres", "memory": 512}], "log_configuration": logs}
    template = a_template(env={"TZ": "UTC"}, ecs=ecs, inject=Inject.SCRIPT)
    chosen = await account.broker().arn_for(template, a_pool(subnets=["subnet-1"]))
    assert (chosen.container, chosen.containers, chosen.ours) == ("agent", ("agent", "db"), True)
    assert (chosen.family, chosen.revision, chosen.network_mode) == ("agentbroker-java", 1, "awsvpc")
    assert chosen.environment == {"TZ": "UTC"}
    assert chosen.logs == {"awslogs-group": "/ci", "awslogs-stream-prefix": "agent"}
    assert chosen.entry_point[:2] == ("/bin/sh", "-c")
