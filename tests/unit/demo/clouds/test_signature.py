"""Who may call the fake: signatures, dates, keys and sessions, with the real signer."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import ClientSession
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from broker.demo.clouds.aws import FakeAws
from broker.demo.clouds.serving import serving
from broker.testing.clock import ManualClock
from tests.fake_aws import a_client, keys_of


@pytest.mark.parametrize(
    ("other", "json", "query", "ec2"),
    [
        (
            {"aws_secret_access_key": "wrong"},
            ("InvalidSignatureException", 400),
            ("SignatureDoesNotMatch", 403),
            ("SignatureDoesNotMatch", 403),
        ),
        (
            {"aws_access_key_id": "AKIANOBODY"},
            ("UnrecognizedClientException", 400),
            ("InvalidClientTokenId", 403),
            ("AuthFailure", 401),
        ),
        (
            {"aws_session_token": "made up"},
            ("UnrecognizedClientException", 400),
            ("InvalidClientTokenId", 403),
            ("AuthFailure", 401),
        ),
        (
            {"region_name": "xx-nowhere-1"},
            ("InvalidSignatureException", 400),
            ("SignatureDoesNotMatch", 403),
            ("SignatureDoesNotMatch", 403),
        ),
    ],
)
async def test_a_request_that_nobody_known_signed_is_refused(
    other: dict[str, str], json: tuple[str, int], query: tuple[str, int], ec2: tuple[str, int]
) -> None:
    fake, refusals = FakeAws(), []
    async with serving(fake) as url:
        for service, action in (
            ("ssm", "describe_parameters"),
            ("sts", "get_caller_identity"),
            ("ec2", "describe_subnets"),
        ):
            async with a_client(fake, url, service, **other) as client:
                with pytest.raises(ClientError) as refused:
                    await getattr(client, action)()
            said = refused.value.response
            refusals.append((said["Error"]["Code"], said["ResponseMetadata"]["HTTPStatusCode"]))
    assert refusals == [json, query, ec2]
    assert len(fake.ledger) == 0


@pytest.mark.parametrize("minutes", [-16, 16])
async def test_a_signature_of_another_quarter_of_an_hour_is_refused(minutes: int) -> None:
    fake = FakeAws(wall=ManualClock(datetime.now(UTC) + timedelta(minutes=minutes)))
    async with serving(fake) as url, a_client(fake, url, "ssm") as ssm:
        with pytest.raises(ClientError, match=r"InvalidSignatureException.*Signature expired"):
            await ssm.describe_parameters()


async def _refusal(fake: FakeAws, url: str, headers: Mapping[str, str], body: bytes = b"{}") -> str:
    async with ClientSession() as session, session.post(url, data=body, headers=headers) as answer:
        said = await answer.json(content_type=None)
        return str(said.get("__type", "taken"))


def _signed(fake: FakeAws, url: str, **other: str) -> dict[str, str]:
    request = AWSRequest(
        method="POST",
        url=url + "/",
        data=b"{}",
        headers={"X-Amz-Target": "AmazonSSM.DescribeParameters", "Content-Type": "application/x-amz-json-1.1"} | other,
    )
    SigV4Auth(Credentials(fake.access_key, fake.secret_key), "ssm", fake.region).add_auth(request)
    return dict(request.headers)


async def test_what_was_changed_after_it_was_signed_is_refused() -> None:
    fake = FakeAws()
    async with serving(fake) as url:
        headers = _signed(fake, url)
        assert await _refusal(fake, url, headers) == "taken"
        assert await _refusal(fake, url, headers, b'{"MaxResults": 1}') == "InvalidSignatureException"
        assert (
            await _refusal(fake, url, headers | {"X-Amz-Target": "AmazonSSM.GetParameters"})
            == "InvalidSignatureException"
        )
        assert await _refusal(fake, url, headers | {"X-Amz-Extra": "unsigned"}) == "InvalidSignatureException"
        assert await _refusal(fake, url + "/elsewhere", headers) == "InvalidSignatureException"


async def test_a_request_without_a_signature_or_with_half_of_one_is_refused() -> None:
    fake = FakeAws()
    async with serving(fake) as url:
        headers = _signed(fake, url)
        without = {name: value for name, value in headers.items() if name != "Authorization"}
        assert await _refusal(fake, url, without) == "MissingAuthenticationTokenException"
        half = headers | {"Authorization": headers["Authorization"].partition(", Signature")[0]}
        assert await _refusal(fake, url, half) == "IncompleteSignatureException"
        undated = {name: value for name, value in headers.items() if name != "X-Amz-Date"}
        assert await _refusal(fake, url, undated) == "IncompleteSignatureException"


async def test_a_signature_for_one_service_does_not_open_another() -> None:
    fake = FakeAws()
    async with serving(fake) as url:
        request = AWSRequest(method="POST", url=url + "/", data=b"{}", headers=_target("secretsmanager.ListSecrets"))
        SigV4Auth(Credentials(fake.access_key, fake.secret_key), "ssm", fake.region).add_auth(request)
        assert await _refusal(fake, url, dict(request.headers)) == "InvalidSignatureException"


async def test_an_action_that_nobody_knows_is_refused() -> None:
    fake = FakeAws()
    async with serving(fake) as url:
        request = AWSRequest(method="POST", url=url + "/", data=b"{}", headers=_target("AmazonSSM.LaunchRocket"))
        SigV4Auth(Credentials(fake.access_key, fake.secret_key), "ssm", fake.region).add_auth(request)
        assert await _refusal(fake, url, dict(request.headers)) == "UnknownOperationException"


async def test_a_misspelt_member_is_refused_though_aws_would_overlook_it() -> None:
    fake = FakeAws()
    async with serving(fake) as url:
        request = AWSRequest(
            method="POST", url=url + "/", data=b'{"MaxResult": 1}', headers=_target("AmazonSSM.DescribeParameters")
        )
        SigV4Auth(Credentials(fake.access_key, fake.secret_key), "ssm", fake.region).add_auth(request)
        assert await _refusal(fake, url, dict(request.headers), b'{"MaxResult": 1}') == "SerializationException"


def _target(action: str) -> dict[str, str]:
    return {"X-Amz-Target": action, "Content-Type": "application/x-amz-json-1.1"}


async def test_a_session_of_a_role_calls_as_that_role_until_its_time_is_over() -> None:
    wall = ManualClock(datetime.now(UTC))
    fake = FakeAws(wall=wall)
    role = fake.sts.add_role("ci/agentbroker", trusts=[f"arn:aws:iam::{fake.account}:root"])
    async with serving(fake) as url:
        async with a_client(fake, url, "sts") as sts:
            given = await sts.assume_role(RoleArn=role.arn, RoleSessionName="broker", DurationSeconds=900)
        assert given["Credentials"]["Expiration"] == wall.now().replace(microsecond=0) + timedelta(seconds=900)
        async with a_client(fake, url, "sts", **keys_of(given["Credentials"])) as sts:
            who = await sts.get_caller_identity()
            assert who["Arn"] == f"arn:aws:sts::{fake.account}:assumed-role/agentbroker/broker"
        wall.jump(timedelta(minutes=14))
        async with a_client(fake, url, "ssm", **keys_of(given["Credentials"])) as ssm:
            await ssm.describe_parameters()
            fake.sts.end_sessions()
            with pytest.raises(ClientError, match="ExpiredTokenException"):
                await ssm.describe_parameters()
        async with a_client(fake, url, "sts", **keys_of(given["Credentials"])) as sts:
            with pytest.raises(ClientError, match="ExpiredToken"):
                await sts.get_caller_identity()
