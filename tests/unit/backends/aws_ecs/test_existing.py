"""Definitions that the config names: looked up on a strict fake of ECS, never registered, never deregistered."""

from typing import Any

import pytest

from broker.demo.clouds.faults import Fault
from broker.domain.reason import Reason
from broker.domain.template import Template
from broker.errors import BackendRejected, Throttled
from tests.unit.backends.aws_ecs.account import Account
from tests.unit.backends.aws_ecs.bodies import a_pool, a_template

ARN = "arn:aws:ecs:eu-west-1:111122223333:task-definition/builds"
LOOK = "DescribeTaskDefinition"


def naming(name: str, container: str = "") -> Template:
    return a_template(image=None, options={"task_definition": name, "agent_container": container})


async def registered(account: Account, *names: str, **essential: bool) -> None:
    """A revision of the family `builds` with these containers."""
    containers = [
        {"name": name, "image": "jenkins/inbound-agent", "memory": 512, "essential": essential.get(name, True)}
        for name in names
    ]
    body: dict[str, Any] = {"family": "builds", "containerDefinitions": containers, "networkMode": "bridge"}
    await account.ask("RegisterTaskDefinition", body)
    account.fake.ledger.clear()


@pytest.mark.parametrize(
    ("name", "revision"), [("builds", 2), ("builds:1", 1), (f"{ARN}:1", 1), (f"{ARN}:2", 2)], ids=str
)
async def test_a_family_a_revision_or_an_arn_is_run_by_its_revision(account: Account, name: str, revision: int) -> None:
    await registered(account, "agent")
    await registered(account, "agent")
    chosen = await account.broker().arn_for(naming(name), a_pool())
    assert (chosen.arn, chosen.ours) == (f"{ARN}:{revision}", False)
    assert chosen.network_mode == "bridge"
    assert account.fake.ledger.by_action() == {LOOK: 1}


async def test_the_agent_is_the_first_essential_container(account: Account) -> None:
    await registered(account, "init", "worker", "db", init=False)
    assert (await account.broker().arn_for(naming("builds"), a_pool())).container == "worker"


async def test_the_agents_container_can_be_named(account: Account) -> None:
    await registered(account, "agent", "worker")
    assert (await account.broker().arn_for(naming("builds", "worker"), a_pool())).container == "worker"


async def test_an_unknown_container_is_told_with_those_that_there_are(account: Account) -> None:
    await registered(account, "agent", "db")
    words = rf"templates\.java\.agent_container is 'worker', which is no container of {ARN}:1: it has agent, db"
    with pytest.raises(BackendRejected, match=words) as told:
        await account.broker().arn_for(naming("builds", "worker"), a_pool())
    assert told.value.reason is Reason.INVALID_TEMPLATE


async def test_one_that_is_not_there_is_told_with_the_clouds_words_and_the_key(account: Account) -> None:
    words = r"Unable to describe task definition\. templates\.java\.task_definition names 'builds:9': register it"
    with pytest.raises(BackendRejected, match=words) as told:
        await account.broker().arn_for(naming("builds:9"), a_pool())
    assert (told.value.code, told.value.reason) == ("ClientException", Reason.INVALID_TEMPLATE)


async def test_one_that_was_deregistered_is_told(account: Account) -> None:
    await registered(account, "agent")
    await account.ask("DeregisterTaskDefinition", {"taskDefinition": "builds:1"})
    with pytest.raises(BackendRejected, match=r"builds:1 is INACTIVE: name an active one in templates\.java\.task_def"):
        await account.broker().arn_for(naming("builds:1"), a_pool())


async def test_a_new_revision_of_a_family_is_picked_up_within_five_minutes(account: Account) -> None:
    ours = account.broker()
    await registered(account, "agent")
    assert (await ours.arn_for(naming("builds"), a_pool())).revision == 1
    await registered(account, "agent")
    await account.clock.advance(299)
    assert (await ours.arn_for(naming("builds"), a_pool())).revision == 1
    await account.clock.advance(1)
    assert (await ours.arn_for(naming("builds"), a_pool())).revision == 2
    assert account.calls(LOOK) == 1


async def test_one_that_cannot_be_run_any_more_is_looked_up_at_once(account: Account) -> None:
    ours = account.broker()
    await registered(account, "agent")
    first = await ours.arn_for(naming("builds"), a_pool())
    await registered(account, "agent")
    await account.ask("DeregisterTaskDefinition", {"taskDefinition": first.arn})
    await ours.forget(first.arn)
    assert (await ours.arn_for(naming("builds"), a_pool())).revision == 2


async def test_nothing_is_registered_or_deregistered_whatever_happens(account: Account) -> None:
    ours = account.broker(keep=0)
    for _ in range(4):
        await registered(account, "agent")
    await ours.arn_for(naming("builds"), a_pool())
    await account.clock.advance(48 * 3600)
    await ours.prune([])
    assert account.active("builds") == [1, 2, 3, 4]
    assert account.fake.ledger.by_action() == {LOOK: 1}


async def test_a_look_that_is_not_answered_is_tried_again_later(account: Account) -> None:
    await registered(account, "agent")
    account.fake.faults.add(Fault(action=LOOK, drop=True))
    with pytest.raises(Throttled):
        await account.broker().arn_for(naming("builds"), a_pool())
