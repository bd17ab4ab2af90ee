"""Amazon ECS goes wrong in every way that is known: never two tasks of a launch, never one that nobody ends.

Each test names its fault of the list that all backends are held to.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import pytest

from broker.demo.clouds.ecs import knobs
from broker.demo.clouds.ecs.knobs import Fate, Timing
from broker.demo.clouds.faults import Fault
from broker.domain.ids import InstanceRef
from broker.domain.instance import InstanceState
from broker.domain.reason import Reason
from broker.errors import BackendError, BackendRejected, InsufficientCapacity, OutcomeUnknown, Throttled
from broker.testing.clock import ManualClock, settle
from tests.contract.ecs_rig import EcsRig, ecs_rig


@pytest.fixture
async def rig() -> AsyncIterator[EcsRig]:
    """In real time."""
    async with ecs_rig() as rig:
        yield rig
        assert rig.fake.ledger.problems == []


@pytest.fixture
async def slow() -> AsyncIterator[EcsRig]:
    """In virtual time, in which calls take none: tasks take a minute, and looks are seconds apart."""
    clock = ManualClock(settle=partial(settle, 0.002))
    async with ecs_rig(clock, real=False) as rig:
        rig.fake.ecs.timing = Timing(provisioning_s=10, pending_s=40, activating_s=5, stopping_s=5, deprovisioning_s=10)
        yield rig
        assert rig.fake.ledger.problems == []


def clock_of(rig: EcsRig) -> ManualClock:
    assert isinstance(rig.clock, ManualClock)
    return rig.clock


async def refused(call: Awaitable[object]) -> BackendError:
    try:
        await call
    except BackendError as error:
        return error
    raise AssertionError("nothing was refused")


async def until(reached: Callable[[], Awaitable[bool]], rig: EcsRig) -> None:
    for _ in range(200):
        if await reached():
            return
        await rig.let_time_pass()
    raise AssertionError("not reached in 200 moments of the world")


async def launched(rig: EcsRig, n: int = 1) -> InstanceRef:
    """As the core does: the same key again, until there is an answer."""
    for _ in range(50):
        try:
            return await rig.backend.launch(rig.spec(n))
        except (Throttled, OutcomeUnknown):
            await rig.let_time_pass()
    raise AssertionError("never launched")


async def end(rig: EcsRig, ref: InstanceRef) -> None:
    async def gone() -> bool:
        try:
            await rig.backend.terminate(ref)
            return ref not in await rig.backend.describe([ref])
        except BackendError:
            return False

    await until(gone, rig)


@pytest.mark.parametrize("code", ["ServerException", "ServiceUnavailable", ""])
@pytest.mark.parametrize("after_effect", [False, True])
async def test_f1_a_failing_server_is_asked_again_with_the_same_token_and_there_is_one_task(
    code: str, after_effect: bool, rig: EcsRig
) -> None:
    rig.fake.faults.add(Fault(action="RunTask", code=code, html=not code, times=3, after_effect=after_effect))
    assert type(await refused(rig.backend.launch(rig.spec()))) is OutcomeUnknown
    ref = await launched(rig)
    assert [task.arn for task in rig.fake.ecs.living] == [ref]
    assert len({call.parameters["clientToken"] for call in rig.fake.ledger.of("RunTask")}) == 1


async def test_f1_a_server_that_always_fails_leaves_nothing_and_says_so_when_it_can_be_sure(slow: EcsRig) -> None:
    slow.fake.faults.add(Fault(action="RunTask", code="ServerException", times=None))
    assert type(await refused(slow.backend.launch(slow.spec()))) is OutcomeUnknown
    assert type(await refused(slow.backend.locate(slow.spec().key))) is OutcomeUnknown
    await clock_of(slow).advance(61)
    assert await slow.backend.locate(slow.spec().key) is None
    assert slow.fake.ecs.living == []


async def test_f2_a_throttled_launch_pauses_all_backends_of_the_account_and_region(slow: EcsRig) -> None:
    other = slow.open()
    try:
        slow.fake.faults.add(Fault(action="RunTask", code="ThrottlingException", message="Rate exceeded"))
        told = await refused(slow.backend.launch(slow.spec(1)))
        assert (type(told), told.reason) == (Throttled, Reason.THROTTLED)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(other.launch(slow.spec(n)), name=f"launch-{n}") for n in range(2, 12)]
            await clock_of(slow).advance(0.9)
            assert slow.fake.ledger.count("RunTask") == 1
            await clock_of(slow).advance_until(lambda: all(task.done() for task in tasks), step_s=0.2, limit_s=15)
        assert len(slow.fake.ecs.living) == 10
    finally:
        await other.close()


async def test_f2_throttled_looks_are_answered_by_what_is_known_and_not_asked_again_at_once(slow: EcsRig) -> None:
    ref = await slow.backend.launch(slow.spec())
    slow.fake.ledger.clear()
    slow.fake.faults.add(Fault(action="DescribeTasks", code="ThrottlingException", times=None))
    for _ in range(40):
        await clock_of(slow).advance(0.5)
        assert (await asked(slow, ref)) is InstanceState.PENDING
    assert 2 <= slow.fake.ledger.count("DescribeTasks") <= 8
    slow.fake.faults.clear()
    await clock_of(slow).advance(60)
    assert (await asked(slow, ref)) is InstanceState.RUNNING


async def asked(rig: EcsRig, ref: InstanceRef) -> InstanceState | None:
    """What is told of it, in virtual time."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(rig.backend.describe([ref]), name="describe")
        await clock_of(rig).advance_until(task.done, step_s=0.1, limit_s=5)
    seen = task.result().get(ref)
    return seen.state if seen is not None else None


async def test_f2_a_throttled_end_is_told_and_comes_with_a_later_call(rig: EcsRig) -> None:
    ref = await rig.backend.launch(rig.spec())
    rig.fake.faults.add(Fault(action="StopTask", code="ThrottlingException"))
    assert type(await refused(rig.backend.terminate(ref))) is Throttled
    await end(rig, ref)
    assert rig.fake.ecs.living == []


async def test_f3_a_line_that_breaks_after_the_task_was_made_gives_the_same_task_by_either_way(rig: EcsRig) -> None:
    rig.fake.faults.add(Fault(action="RunTask", drop=True, after_effect=True, times=2))
    for n in (1, 2):
        assert type(await refused(rig.backend.launch(rig.spec(n)))) is OutcomeUnknown
    made = [task.arn for task in rig.fake.ecs.living]
    assert [await rig.backend.launch(rig.spec(1)), await rig.backend.locate(rig.spec(2).key)] == made
    assert len(rig.fake.ecs.living) == 2


async def test_f3_a_restarted_broker_finds_the_task_whose_launch_nobody_has_answered(rig: EcsRig) -> None:
    rig.fake.faults.add(Fault(action="RunTask", drop=True, after_effect=True))
    await refused(rig.backend.launch(rig.spec()))
    backend = await rig.reopen()
    located = await backend.locate(rig.spec().key)
    assert located == await backend.launch(rig.spec())
    assert len(rig.fake.ecs.living) == 1


async def test_f4_a_line_that_breaks_before_gives_exactly_one(rig: EcsRig) -> None:
    rig.fake.faults.add(Fault(action="RunTask", drop=True))
    assert type(await refused(rig.backend.launch(rig.spec()))) is OutcomeUnknown
    assert type(await refused(rig.backend.locate(rig.spec().key))) is OutcomeUnknown
    assert await launched(rig) == rig.fake.ecs.living[0].arn
    assert len(rig.fake.ecs.living) == 1


async def test_f5_of_ten_launches_with_room_for_six_six_are_made_and_four_go_elsewhere_at_once(rig: EcsRig) -> None:
    rig.fake.ecs.failures_next("RESOURCE:MEMORY", times=4)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(outcome(rig, n), name=f"launch-{n}") for n in range(10)]
    failed = [task.result() for task in tasks if isinstance(task.result(), BackendError)]
    assert [type(error) for error in failed] == [InsufficientCapacity] * 4
    assert all("RESOURCE:MEMORY" in str(error) for error in failed)
    assert len(rig.fake.ecs.living) == 6
    located = [await rig.backend.locate(rig.spec(n).key) for n in range(10)]
    assert [ref is None for ref in located] == [isinstance(task.result(), BackendError) for task in tasks]


async def outcome(rig: EcsRig, n: int) -> InstanceRef | BackendError:
    try:
        return await rig.backend.launch(rig.spec(n))
    except BackendError as error:
        return error


@pytest.mark.parametrize(
    ("fate", "reason"),
    [
        (knobs.cannot_pull("jenkins/inbound-agent:jdk21"), Reason.IMAGE_PULL_FAILED),
        (knobs.no_interface(), Reason.NETWORK_UNAVAILABLE),
        (knobs.unreadable_secret("arn:aws:ssm:eu-west-1:111122223333:parameter/x"), Reason.SECRETS_UNAVAILABLE),
        (knobs.cannot_start(), Reason.INVALID_TEMPLATE),
        (knobs.exits(1), Reason.CONTAINER_EXITED),
        (knobs.out_of_memory(), Reason.CONTAINER_EXITED),
    ],
)
async def test_f7_a_task_that_dies_after_its_launch_is_seen_within_two_looks_with_its_reason(
    fate: Fate, reason: Reason, slow: EcsRig
) -> None:
    slow.fake.ecs.fate_next(fate)
    ref = await slow.backend.launch(slow.spec())
    died: float | None = None
    for _ in range(400):
        await clock_of(slow).advance(0.5)
        told = slow.fake.ecs.told(ref)
        died = died if died is not None else clock_of(slow).monotonic() if told["desiredStatus"] == "STOPPED" else None
        seen = (await slow.backend.describe([ref])).get(ref)
        assert seen is not None
        if seen.state is InstanceState.STOPPED:
            break
    else:
        raise AssertionError("never seen")
    assert died is not None
    assert clock_of(slow).monotonic() - died <= 6.0
    assert seen.reason is reason
    assert fate.reason in seen.message
    other = await slow.backend.launch(slow.spec(1, attempt=2))
    assert other != ref
    assert other in {task.arn for task in slow.fake.ecs.living}


async def test_f9_a_fresh_task_that_is_missing_for_a_minute_is_neither_made_again_nor_given_up(slow: EcsRig) -> None:
    slow.fake.ecs.visible_after_s = 55.0
    ref = await slow.backend.launch(slow.spec())
    for _ in range(9):
        await clock_of(slow).advance(6.0)
        assert (await asked(slow, ref)) is InstanceState.PENDING
        assert await slow.backend.locate(slow.spec().key) == ref
    assert await slow.backend.launch(slow.spec()) == ref
    await clock_of(slow).advance(6.0)
    assert (await asked(slow, ref)) is InstanceState.RUNNING
    assert len(slow.fake.ecs.living) == 1


async def test_f9_a_restarted_broker_waits_for_a_task_that_it_cannot_see_yet(slow: EcsRig) -> None:
    slow.fake.ecs.visible_after_s = 55.0
    ref = await slow.backend.launch(slow.spec())
    await slow.reopen()
    assert (await asked(slow, ref)) is InstanceState.PENDING
    await clock_of(slow).advance(58.0)
    assert (await asked(slow, ref)) is InstanceState.RUNNING
    seen = (await slow.backend.describe([ref]))[ref]
    assert seen.agent_id == slow.spec().key.agent_id


async def test_f9_one_that_is_to_end_before_it_can_be_seen_is_ended_once_it_can(slow: EcsRig) -> None:
    slow.fake.ecs.visible_after_s = 30.0
    ref = await slow.backend.launch(slow.spec())
    for _ in range(60):
        await slow.backend.terminate(ref)
        if await asked(slow, ref) is None:
            break
        await clock_of(slow).advance(2.0)
    assert await asked(slow, ref) is None
    assert slow.fake.ecs.living == []


async def test_f9_a_task_that_stays_missing_does_not_exist_after_a_minute(slow: EcsRig) -> None:
    ref = await slow.backend.launch(slow.spec())
    gone = InstanceRef(ref[:-4] + "0000")
    assert (await asked(slow, gone)) is InstanceState.PENDING
    await clock_of(slow).advance(61.0)
    assert await asked(slow, gone) is None
    await slow.backend.terminate(gone)


async def test_f9_one_that_has_ended_and_is_still_listed_is_ended_again_without_harm(rig: EcsRig) -> None:
    rig.fake.ecs.listed_after_end_s = 60.0
    ref = await rig.backend.launch(rig.spec())
    await end(rig, ref)
    listing = await rig.backend.list_owned()
    assert listing.complete
    for instance in listing.instances:
        await rig.backend.terminate(instance.ref)
    assert rig.fake.ecs.living == []


async def test_f10_a_listing_that_misses_a_page_is_not_complete(rig: EcsRig) -> None:
    refs = {await rig.backend.launch(rig.spec(n)) for n in (1, 2)}
    rig.fake.faults.add(Fault(action="ListTasks", code="ServerException"))
    assert not (await rig.backend.list_owned()).complete
    backend = await rig.reopen()
    rig.fake.faults.add(Fault(action="DescribeTasks", code="ServerException"))
    assert not (await backend.list_owned()).complete
    listing = await backend.list_owned()
    assert listing.complete
    assert {instance.ref for instance in listing.instances} == refs


async def test_a_listing_has_one_filter_and_shows_what_is_to_run(rig: EcsRig) -> None:
    """Amazon: "cannot specify startedBy with other arguments"."""
    ended, ref = await launched(rig, 1), await launched(rig, 2)
    await rig.backend.terminate(ended)
    assert [one.ref for one in (await rig.backend.list_owned()).instances] == [ref]
    await rig.reopen()
    assert [one.ref for one in (await rig.backend.list_owned()).instances] == [ref]
    asked = {name for call in rig.fake.ledger.of("ListTasks") for name in call.parameters}
    assert asked <= {"cluster", "startedBy", "maxResults", "nextToken"}


async def test_a_listing_asks_for_nothing_that_is_known(rig: EcsRig) -> None:
    refs = {await rig.backend.launch(rig.spec(n)) for n in (1, 2)}
    rig.fake.ledger.clear()
    assert {instance.ref for instance in (await rig.backend.list_owned()).instances} == refs
    assert "DescribeTasks" not in rig.calls()


async def test_f27_tasks_with_copied_or_stripped_marks_are_not_listed_and_one_on_record_still_ends(rig: EcsRig) -> None:
    ours, copied_from = await rig.backend.launch(rig.spec(1)), await rig.backend.launch(rig.spec(2))
    stripped = await rig.backend.launch(rig.spec(3))
    request = dict(next(call for call in rig.fake.ledger.of("RunTask")).parameters) | {"clientToken": "somebody"}
    request["tags"] = [{"key": k, "value": v} for k, v in rig.fake.ecs.tasks[copied_from].tags.items()]
    rig.fake.ecs.tasks[stripped].tags = {}
    backend = await rig.reopen()
    client = await backend.calls.client_of("ecs")
    copy = (await client.run_task(**request))["tasks"][0]["taskArn"]
    listing = await backend.list_owned()
    assert {instance.ref for instance in listing.instances} == {ours}
    await until(lambda: running(rig, copy), rig)
    assert {task.arn for task in rig.fake.ecs.living} == {ours, copied_from, stripped, copy}
    assert set(await backend.describe([stripped])) == {stripped}, (
        "its ARN is on record, so its end is the broker's care"
    )
    await until(partial(gone, rig, stripped), rig)
    assert {task.arn for task in rig.fake.ecs.living} == {ours, copied_from, copy}


async def gone(rig: EcsRig, ref: InstanceRef) -> bool:
    await rig.backend.terminate(ref)
    return ref not in await rig.backend.describe([ref])


async def running(rig: EcsRig, arn: str) -> bool:
    return str(rig.fake.ecs.told(arn)["lastStatus"]) == "RUNNING"


async def test_a_config_that_changed_between_two_calls_of_a_launch_gives_the_first_calls_task(rig: EcsRig) -> None:
    ref = await rig.backend.launch(rig.spec())
    changed = rig.spec_of(1, env={"NEW": "1"})
    backend = await rig.reopen()
    assert await backend.launch(changed) == ref
    assert len(rig.fake.ecs.living) == 1


async def test_a_definition_that_somebody_has_deregistered_is_registered_again(rig: EcsRig) -> None:
    first = await rig.backend.launch(rig.spec(1))
    definition = rig.fake.ecs.tasks[first].definition
    client = await rig.backend.calls.client_of("ecs")
    await client.deregister_task_definition(taskDefinition=definition.arn)
    second = await launched(rig, 2)
    assert rig.fake.ecs.tasks[second].definition.arn != definition.arn


async def test_a_denied_launch_is_refused_for_good_and_an_end_is_still_tried(rig: EcsRig) -> None:
    ref = await rig.backend.launch(rig.spec(1))
    rig.fake.rights.deny("ecs:RunTask")
    told = await refused(rig.backend.launch(rig.spec(2)))
    assert (type(told), told.reason) == (BackendRejected, Reason.ACCESS_DENIED)
    await end(rig, ref)
    assert rig.fake.ecs.living == []


async def test_a_refusal_of_the_keys_says_nothing_of_an_earlier_call_whose_answer_was_lost(slow: EcsRig) -> None:
    slow.fake.ecs.visible_after_s = 50.0
    slow.fake.faults.add(Fault(action="RunTask", drop=True, after_effect=True))
    await refused(slow.backend.launch(slow.spec()))
    slow.fake.rights.deny("ecs:RunTask")
    assert type(await refused(slow.backend.launch(slow.spec()))) is BackendRejected
    assert type(await refused(slow.backend.locate(slow.spec().key))) is OutcomeUnknown
    await clock_of(slow).advance(61)
    assert await slow.backend.locate(slow.spec().key) in slow.fake.ecs.tasks


@pytest.mark.parametrize("action", ["DescribeTaskDefinition", "RegisterTaskDefinition", "RunTask", "DescribeSubnets"])
async def test_a_launch_that_somebody_else_answers_is_made_once_by_a_later_call(action: str, rig: EcsRig) -> None:
    rig.fake.faults.add(Fault(action=action, html=True, status=200, times=2))
    ref = await launched(rig)
    assert [task.arn for task in rig.fake.ecs.living] == [ref]


async def test_an_answer_of_somebody_elses_is_no_empty_listing(rig: EcsRig) -> None:
    await rig.backend.launch(rig.spec())
    rig.fake.faults.add(Fault(action="ListTasks", html=True, status=200, times=2))
    listing = await rig.backend.list_owned()
    assert (listing.instances, listing.complete) == ((), False)
    assert type(await refused(rig.backend.locate(rig.spec(2).key))) is OutcomeUnknown
