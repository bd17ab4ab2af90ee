"""The rights that are printed are those that the calls need: none is missing, none is too many."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from broker.backends.alibaba_ecs.iam import (
    CALLS,
    CLEANUP,
    EVERYBODY,
    PEOPLE,
    Place,
    Statement,
    document,
    needed,
    taking,
)
from broker.backends.alibaba_ecs.used import Used
from broker.demo.clouds.model import Call
from broker.domain.pool import BackendDefinition, Pool
from tests.integration.clouds.alibaba_account import an_account, pool

PLACE = Place(region="cn-hangzhou", account="1234567890123456")
WHOLE: dict[str, Any] = {
    "vswitches": ["vsw-bp1h"],
    "security_groups": ["sg-bp1"],
    "instance_types": ["ecs.g7.large"],
    "image_id": "m-bp1agents",
    "ssh": {"host_key": "accept-new"},
}


def used(*pools: Pool, **options: Any) -> Used:
    """What the config would say."""
    definition = BackendDefinition(
        name=pools[0].backend, type="alibaba-ecs", options={"region": "cn-hangzhou", **options}
    )
    return Used(definition=definition, pools={one.name: one for one in pools})


def actions(statements: Iterable[Statement]) -> set[str]:
    return {action for one in statements for action in one.actions}


def exercised(calls: Iterable[Call]) -> set[str]:
    """The rights that calls have used: those of their names, and of the tags that they hand on."""
    made = [call for call in calls if call.code == ""]
    found = {f"{call.service}:{call.action}" for call in made}
    found |= {f"{call.service}:TagResources" for call in made if "Tag" in call.parameters and call.action[:3] == "Cre"}
    return found - EVERYBODY


async def test_what_auto_network_calls_is_what_it_is_given_and_no_more() -> None:
    async with an_account() as account:
        await account.network().complete(pool())
        await account.network(ssh_from=["203.0.113.99/32"]).complete(pool())
        asked = exercised(account.fake.ledger)
        makes = used(pool(), auto_network=True)
        given = actions(needed(makes, PLACE, doctor=False))
        assert asked <= given
        of_network = given - actions(needed(used(pool(**WHOLE)), PLACE, doctor=False))
        assert of_network <= asked


async def test_what_cleanup_calls_is_given_only_where_it_is_asked_for() -> None:
    async with an_account() as account:
        await account.network().complete(pool())
        account.fake.ledger.clear()
        cleanup = account.cleanup()
        async for _ in cleanup.remove(await cleanup.find()):
            pass
        asked = exercised(account.fake.ledger)
        makes = used(pool(), auto_network=True)
        assert asked <= actions(needed(makes, PLACE, cleanup=True))
        assert asked & CLEANUP == CLEANUP
        assert not actions(needed(makes, PLACE)) & CLEANUP


async def test_each_action_that_is_taken_away_is_missed_by_what_needs_it() -> None:
    for action in ("vpc:CreateVpc", "vpc:CreateVSwitch", "ecs:CreateSecurityGroup", "ecs:AuthorizeSecurityGroup"):
        async with an_account() as account:
            account.fake.rights.deny(action)
            with pytest.raises(Exception, match="not authorized"):
                await account.network().complete(pool())


def test_every_action_that_is_granted_is_one_that_is_called_or_handed_on() -> None:
    everything = used(
        pool(**WHOLE, key_pair={"name": "agents", "import": True}, vm_ram_role="builds", data_disk_ids=["d-bp1"]),
        replace(pool("spot", image_family="acs:debian", charge={"spot_strategy": "SpotAsPriceGo"})),
        pool("assistant", **WHOLE, start_by="cloud-assistant"),
        pool("console", **{**WHOLE, "ssh": {"host_key": "from-console"}}),
        auto_network=True,
        auto_release=3600.0,
    )
    handed_on = {"ecs:TagResources", "vpc:TagResources", "ram:PassRole"}
    granted = actions(needed(everything, PLACE, cleanup=True))
    assert granted - handed_on <= CALLS
    assert CALLS - granted == EVERYBODY | (PEOPLE - {"ecs:DescribeRegions"}) | {"sts:AssumeRole"}


def test_hosts_are_made_only_with_our_tag_and_of_what_the_config_names() -> None:
    policy = document(needed(used(pool(**WHOLE, key_pair={"name": "agents"})), PLACE))
    assert policy["Version"] == "1"
    first, second = policy["Statement"][:2]
    assert first["Condition"] == {"StringEquals": {"acs:RequestTag/managed-by": ["agentbroker"]}}
    assert second["Action"] == ["ecs:RunInstances"]
    assert second["Resource"] == [
        "acs:ecs:cn-hangzhou:1234567890123456:image/m-bp1agents",
        "acs:ecs:cn-hangzhou:1234567890123456:keypair/agents",
        "acs:ecs:cn-hangzhou:1234567890123456:securitygroup/sg-bp1",
        "acs:vpc:cn-hangzhou:1234567890123456:vswitch/vsw-bp1h",
    ]


def test_only_instances_with_our_tag_are_ended() -> None:
    (ending,) = [one for one in needed(used(pool(**WHOLE)), PLACE) if "ecs:DeleteInstances" in one.actions]
    assert ending.json["Condition"] == {"StringEquals": {"acs:ResourceTag/managed-by": ["agentbroker"]}}


@pytest.mark.parametrize(
    ("options", "action"),
    [
        ({"auto_release": 3600.0}, "ecs:ModifyInstanceAutoReleaseTime"),
        ({"auto_network": True}, "vpc:CreateVpc"),
    ],
)
def test_a_right_that_the_config_does_not_use_is_not_given(options: dict[str, Any], action: str) -> None:
    assert action in actions(needed(used(pool(), **options), PLACE))
    assert action not in actions(needed(used(pool(**WHOLE)), PLACE))


@pytest.mark.parametrize(
    ("said", "action"),
    [
        ({"key_pair": {"name": "a", "import": True}}, "ecs:ImportKeyPair"),
        ({"vm_ram_role": "builds"}, "ram:PassRole"),
        ({"data_disk_ids": ["d-1"]}, "ecs:AttachDisk"),
        ({"start_by": "cloud-assistant"}, "ecs:RunCommand"),
        ({"ssh": {"host_key": "from-console"}}, "ecs:GetInstanceConsoleOutput"),
        ({"charge": {"spot_strategy": "SpotAsPriceGo"}}, "ecs:DescribeSpotPriceHistory"),
    ],
)
def test_a_right_that_no_pool_uses_is_not_given(said: dict[str, Any], action: str) -> None:
    assert action in actions(needed(used(pool(**{**WHOLE, **said})), PLACE))
    assert action not in actions(needed(used(pool(**WHOLE)), PLACE))


def test_whoever_takes_the_role_may_take_just_that() -> None:
    role = "acs:ram::1234567890123456:role/agentbroker"
    assert document(taking(role))["Statement"] == [{"Effect": "Allow", "Action": ["sts:AssumeRole"], "Resource": role}]
