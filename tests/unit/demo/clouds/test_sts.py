"""Roles: whom they trust, external ids, chains and the length of sessions."""

import pytest
from botocore.exceptions import ClientError

from broker.demo.clouds.aws import FakeAws
from broker.demo.clouds.serving import serving
from tests.fake_aws import a_client, keys_of

USER = "arn:aws:iam::111122223333:user/broker"


async def test_a_role_is_assumed_by_those_whom_it_trusts_alone() -> None:
    fake = FakeAws()
    ours = fake.sts.add_role("ours", trusts=[USER])
    others = fake.sts.add_role("others", trusts=["arn:aws:iam::111122223333:user/somebody"])
    async with serving(fake) as url, a_client(fake, url, "sts") as sts:
        await sts.assume_role(RoleArn=ours.arn, RoleSessionName="broker")
        for arn in (others.arn, "arn:aws:iam::111122223333:role/missing"):
            with pytest.raises(ClientError, match=r"AccessDenied.*sts:AssumeRole on resource") as refused:
                await sts.assume_role(RoleArn=arn, RoleSessionName="broker")
            assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


async def test_a_role_with_an_external_id_wants_just_that_one() -> None:
    fake = FakeAws()
    role = fake.sts.add_role("shared", trusts=[USER], external_id="ticket-7", account="444455556666")
    async with serving(fake) as url, a_client(fake, url, "sts") as sts:
        for wrong in ({}, {"ExternalId": "ticket-8"}):
            with pytest.raises(ClientError, match="AccessDenied"):
                await sts.assume_role(RoleArn=role.arn, RoleSessionName="broker", **wrong)
        given = await sts.assume_role(RoleArn=role.arn, RoleSessionName="broker", ExternalId="ticket-7")
    assert given["AssumedRoleUser"]["Arn"] == "arn:aws:sts::444455556666:assumed-role/shared/broker"


async def test_a_chain_of_roles_has_an_hour_at_most() -> None:
    fake = FakeAws()
    first = fake.sts.add_role("first", trusts=[USER], max_duration_s=43200)
    second = fake.sts.add_role("second", trusts=[first.arn], account="444455556666", max_duration_s=43200)
    async with serving(fake) as url:
        async with a_client(fake, url, "sts") as sts:
            with pytest.raises(ClientError, match="AccessDenied"):
                await sts.assume_role(RoleArn=second.arn, RoleSessionName="broker")
            given = await sts.assume_role(RoleArn=first.arn, RoleSessionName="broker", DurationSeconds=43200)
        async with a_client(fake, url, "sts", **keys_of(given["Credentials"])) as sts:
            with pytest.raises(ClientError, match=r"ValidationError.*role chaining"):
                await sts.assume_role(RoleArn=second.arn, RoleSessionName="broker", DurationSeconds=7200)
            given = await sts.assume_role(RoleArn=second.arn, RoleSessionName="broker")
        async with a_client(fake, url, "sts", **keys_of(given["Credentials"])) as sts:
            assert (await sts.get_caller_identity())["Account"] == "444455556666"


async def test_a_session_is_no_longer_than_its_role_allows() -> None:
    fake = FakeAws()
    role = fake.sts.add_role("short", trusts=[USER], max_duration_s=3600)
    async with serving(fake) as url, a_client(fake, url, "sts") as sts:
        with pytest.raises(ClientError, match="MaxSessionDuration"):
            await sts.assume_role(RoleArn=role.arn, RoleSessionName="broker", DurationSeconds=7200)


async def test_what_a_principal_may_do_is_what_the_front_lets_it_do() -> None:
    fake = FakeAws()
    fake.rights.deny("ecs:StopTask")
    async with serving(fake) as url, a_client(fake, url, "iam") as iam:
        said = await iam.simulate_principal_policy(
            PolicySourceArn=USER, ActionNames=["ecs:RunTask", "ecs:StopTask"], ResourceArns=["*"]
        )
    decisions = {one["EvalActionName"]: one["EvalDecision"] for one in said["EvaluationResults"]}
    assert decisions == {"ecs:RunTask": "allowed", "ecs:StopTask": "implicitDeny"}
    assert not fake.ledger.problems


async def test_decisions_come_in_pages_and_for_principals_that_have_policies_alone() -> None:
    fake = FakeAws()
    actions = [f"ecs:Action{number}" for number in range(25)]
    async with serving(fake) as url, a_client(fake, url, "iam") as iam:
        pages = iam.get_paginator("simulate_principal_policy").paginate(
            PolicySourceArn=USER, ActionNames=actions, PaginationConfig={"PageSize": 10}
        )
        found = [one["EvalActionName"] async for page in pages for one in page["EvaluationResults"]]
        assert found == actions
        with pytest.raises(ClientError, match="InvalidInput"):
            await iam.simulate_principal_policy(
                PolicySourceArn="arn:aws:sts::111122223333:assumed-role/ours/broker", ActionNames=["ecs:RunTask"]
            )
    assert len(fake.ledger) == 4
