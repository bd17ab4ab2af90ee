"""Listings are whole or an error: no page is missed, none is asked for without end, each page of the right region."""

from collections.abc import Mapping
from typing import Any

import pytest

from broker.backends.alibaba_ecs.asking import pages
from broker.backends.alibaba_ecs.session import Undeclared
from broker.demo.clouds.alibaba.networks import SecurityGroup
from broker.demo.clouds.faults import Fault
from broker.doctor.alibaba_ask import Refused
from broker.doctor.alibaba_found import KINDS
from broker.errors import OutcomeUnknown
from tests.integration.clouds.alibaba_account import an_account


async def test_security_groups_beyond_the_first_page_are_found() -> None:
    async with an_account(bare=False) as account:
        account.fake.ecs.quotas.security_groups = 1000
        for index in range(257):
            name = f"sg-bp1{index:04}"
            account.fake.vpc.add(SecurityGroup(id=name, name=name, vpc="vpc-bp1agents", created_at=float(index)))
        found = await KINDS["security-groups"].find(account.cloud(), "")
        assert len(found) == 258


async def test_a_page_that_fails_ends_with_an_error_that_says_how_far_it_came() -> None:
    async with an_account(bare=False) as account:
        for index in range(150):
            name = f"sg-bp1{index:04}"
            account.fake.vpc.add(SecurityGroup(id=name, name=name, vpc="vpc-bp1agents", created_at=float(index)))

        def second(parameters: Mapping[str, Any]) -> bool:
            return bool(parameters.get("NextToken"))

        account.fake.faults.add(Fault(action="DescribeSecurityGroups", code="InternalError", where=second, times=None))
        with pytest.raises(Refused, match="page 2 failed after 100 items"):
            await KINDS["security-groups"].find(account.cloud(), "")
        assert account.fake.ledger.count("DescribeSecurityGroups") == 2


async def test_a_token_that_comes_again_is_no_endless_loop() -> None:
    asked = []

    async def ask(action: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
        asked.append(request)
        return {"SecurityGroups": {"SecurityGroup": [{"SecurityGroupId": "sg-1"}]}, "NextToken": "again"}

    with pytest.raises(OutcomeUnknown, match="given up at page"):
        await pages(ask, "ecs:DescribeSecurityGroups", {})
    assert len(asked) == 2


async def test_a_total_that_is_never_reached_is_no_endless_loop() -> None:
    asked = []

    async def ask(action: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
        asked.append(request)
        return {"Vpcs": {"Vpc": [{"VpcId": "vpc-1"}]}, "TotalCount": 3}

    with pytest.raises(OutcomeUnknown, match="given up at page"):
        await pages(ask, "vpc:DescribeVpcs", {})
    assert len(asked) == 2


@pytest.mark.parametrize("kind", KINDS)
async def test_every_kind_is_found_and_has_its_columns(kind: str) -> None:
    async with an_account(bare=False) as account:
        found = await KINDS[kind].find(account.cloud(), "")
        assert found or kind == "key-pairs"
        for item in found:
            assert set(KINDS[kind].columns) <= set(item)


async def test_a_call_that_nobody_was_told_to_allow_is_refused_before_it_is_made() -> None:
    async with an_account() as account:
        with pytest.raises(Undeclared, match="ecs:StopInstance"):
            await account.cloud().call("ecs:StopInstance", {})
        assert len(account.fake.ledger) == 0
