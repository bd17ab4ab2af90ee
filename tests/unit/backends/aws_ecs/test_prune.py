"""The end of old revisions, on a strict fake of ECS: ours alone, unused alone, a few at a time."""

from typing import Any

from broker.backends.aws_ecs.register import Definitions
from broker.demo.clouds.faults import Fault
from broker.testing.memory import FakeMemory
from tests.unit.backends.aws_ecs.account import Account
from tests.unit.backends.aws_ecs.bodies import a_pool, a_template

DAY_S = 24 * 3600
END, LIST, LOOK = "DeregisterTaskDefinition", "ListTaskDefinitions", "DescribeTaskDefinition"


async def images(ours: Definitions, *tags: int) -> list[str]:
    """Launches of one template with these images; the revisions."""
    return [(await ours.arn_for(a_template(image=f"registry.example.com/x:{tag}"), a_pool())).arn for tag in tags]


async def rounds(account: Account, ours: Definitions, times: int, *living: str) -> None:
    """So many looks, ten minutes apart."""
    for _ in range(times):
        await ours.prune(living)
        await account.clock.advance(600)


async def test_the_oldest_that_nothing_uses_go_and_the_newest_stay(account: Account) -> None:
    ours = account.broker()
    await images(ours, 1, 2, 3, 4, 5)
    await account.clock.advance(2 * DAY_S)
    account.fake.ledger.clear()
    await ours.prune([])
    assert account.active() == [4, 5]
    assert account.fake.ledger.by_action() == {LIST: 1, END: 3}


async def test_what_a_task_runs_stays(account: Account) -> None:
    ours = account.broker(keep=0)
    first, *_ = await images(ours, 1, 2, 3)
    await account.clock.advance(2 * DAY_S)
    await ours.prune([first])
    assert account.active() == [1]


async def test_what_a_launch_has_chosen_within_a_day_stays(account: Account) -> None:
    ours = account.broker(keep=0)
    await images(ours, 1, 2, 3)
    await account.clock.advance(DAY_S + 1)
    await images(ours, 2)
    await ours.prune([])
    assert account.active() == [2]


async def test_what_was_used_is_remembered_over_a_restart(account: Account) -> None:
    await images(account.broker(), 1, 2)
    await account.clock.advance(DAY_S + 1)
    await images(account.broker(), 1)
    await account.broker(keep=0).prune([])
    assert account.active() == [1]


async def test_what_has_gone_is_registered_anew_when_it_is_wanted_again(account: Account) -> None:
    ours = account.broker(keep=0)
    await images(ours, 1)
    await account.clock.advance(2 * DAY_S)
    await ours.prune([])
    assert (await images(ours, 1))[0].endswith(":2")


async def test_the_families_of_others_are_not_looked_at(account: Account) -> None:
    await _register(account, "agentbroker-else")
    ours = account.broker(keep=0)
    await images(ours, 1)
    await account.clock.advance(2 * DAY_S)
    await ours.prune([])
    assert account.active("agentbroker-else") == [1]
    assert [call.parameters["familyPrefix"] for call in account.fake.ledger.of(LIST)] == ["agentbroker-java"]


async def test_revisions_of_others_in_a_family_of_ours_stay(account: Account) -> None:
    """Those without tags, with tags copied of ours, of another backend and of another installation."""
    ours = account.broker(keep=0)
    await images(ours, 1)
    copied = [{"key": key, "value": value} for key, value in account.revisions()[1].tags.items()]
    await _register(account, "agentbroker-java")
    await _register(account, "agentbroker-java", tags=[{**one, "value": f"{one['value']}x"} for one in copied])
    await images(account.broker(memory=FakeMemory(), backend="other"), 7)
    await images(account.broker(memory=FakeMemory(), installation="other"), 8)
    await account.clock.advance(2 * DAY_S)
    await rounds(account, ours, 3)
    assert account.active() == [2, 3, 4, 5]


async def test_tags_that_are_copied_to_another_family_make_it_nobodys(account: Account) -> None:
    ours = account.broker(keep=0)
    await images(ours, 1)
    copied = [{"key": key, "value": value} for key, value in account.revisions()[1].tags.items()]
    await _register(account, "agentbroker-x", tags=copied)
    other = account.broker(keep=0, memory=FakeMemory())
    await other.arn_for(a_template(name="x"), a_pool())
    await account.clock.advance(2 * DAY_S)
    await other.prune([])
    assert account.active("agentbroker-x") == [1]


async def test_revisions_of_ours_that_the_store_has_forgotten_go_too(account: Account) -> None:
    await images(account.broker(), 1, 2, 3)
    ours = account.broker(keep=0, memory=FakeMemory())
    await images(ours, 4)
    await ours.prune([])
    assert account.active() == [4]


async def test_one_that_was_adopted_from_another_broker_stays(account: Account) -> None:
    await images(account.broker(), 1)
    ours = account.broker(keep=0, memory=FakeMemory(), installation="restored")
    assert (await images(ours, 1))[0].endswith(":1")
    await account.clock.advance(2 * DAY_S)
    await ours.prune([])
    assert account.active() == [1]


async def test_a_round_ends_ten_and_the_next_comes_in_five_minutes(account: Account) -> None:
    ours = account.broker(keep=0)
    await images(ours, *range(25))
    await account.clock.advance(2 * DAY_S)
    await ours.prune([])
    assert len(account.active()) == 15
    await ours.prune([])
    assert len(account.active()) == 15
    await rounds(account, ours, 3)
    assert account.active() == []


async def test_it_looks_once_in_an_hour(account: Account) -> None:
    ours = account.broker()
    await images(ours, 1)
    for _ in range(60):
        await ours.prune([])
        await account.clock.advance(60)
    assert account.calls(LIST) == 1
    await ours.prune([])
    assert account.calls(LIST) == 2


async def test_many_pages_are_read_and_the_newest_kept(account: Account) -> None:
    for _ in range(130):
        await _register(account, "agentbroker-java")
    ours = account.broker(keep=0)
    await images(ours, 1, 2)
    await account.clock.advance(2 * DAY_S)
    await rounds(account, ours, 10)
    assert account.active() == list(range(1, 131)), "those of others stay, however many"


async def test_an_error_of_the_cloud_is_not_raised_and_what_was_ended_is_forgotten(account: Account) -> None:
    ours = account.broker(keep=0)
    await images(ours, 1, 2, 3)
    await account.clock.advance(2 * DAY_S)
    throttled = {"taskDefinition": account.revisions()[2].arn}
    account.fake.faults.add(Fault(action=END, code="ThrottlingException", where=lambda asked: asked == throttled))
    await ours.prune([])
    assert account.active() == [2, 3]
    assert (await images(ours, 1))[0].endswith(":4")
    await account.clock.advance(2 * DAY_S)
    await ours.prune([])
    assert account.active() == []


async def test_a_broker_that_may_not_deregister_goes_on(account: Account) -> None:
    ours = account.broker(keep=0)
    await images(ours, 1)
    await account.clock.advance(2 * DAY_S)
    account.fake.rights.deny(f"ecs:{END}")
    await ours.prune([])
    assert account.active() == [1]
    assert (await images(ours, 1))[0].endswith(":1")


async def _register(account: Account, family: str, **more: Any) -> None:
    container = {"name": "agent", "image": "registry.example.com/theirs:1", "memory": 512}
    await account.ask("RegisterTaskDefinition", {"family": family, "containerDefinitions": [container], **more})
