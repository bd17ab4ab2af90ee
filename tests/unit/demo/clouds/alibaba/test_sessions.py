"""Sessions of roles: by AssumeRole, and by the metadata of an instance, as the SDK's credentials take them."""

from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from alibabacloud_credentials.http import HttpOptions
from alibabacloud_credentials.provider import EcsRamRoleCredentialsProvider
from alibabacloud_tea_openapi.exceptions import AlibabaCloudException

from broker.demo.clouds.alibaba.cloud import ACCOUNT, FakeAlibaba
from broker.demo.clouds.alibaba.roles import ECS
from broker.demo.clouds.serving import serving
from tests.fake_alibaba import Sdk, keys_of

STS = "2015-04-01"
USER = f"acs:ram::{ACCOUNT}:user/broker"
ROLE = f"acs:ram::{ACCOUNT}:role/builder"


async def assumed(api: Sdk, **other: str) -> dict[str, Any]:
    """What AssumeRole gave."""
    return await api.raw("AssumeRole", STS, **{"RoleArn": ROLE, "RoleSessionName": "broker", **other})


async def refused(api: Sdk, **other: str) -> tuple[str, int]:
    """With what AssumeRole was refused."""
    with pytest.raises(AlibabaCloudException) as caught:
        await assumed(api, **other)
    return caught.value.code, caught.value.status_code


async def test_a_user_is_told_who_it_is(api: Sdk) -> None:
    told = await api.raw("GetCallerIdentity", STS)
    assert (told["Arn"], told["AccountId"], told["IdentityType"]) == (USER, ACCOUNT, "RAMUser")


async def test_a_session_signs_with_its_token_until_it_ends(fake: FakeAlibaba, api: Sdk) -> None:
    fake.sts.add_role("Builder", trusts=[f"acs:ram::{ACCOUNT}:root"])
    given = await assumed(api, DurationSeconds="900")
    keys = keys_of(given["Credentials"])
    ends = datetime.fromisoformat(given["Credentials"]["Expiration"])
    assert 890 < (ends - datetime.now(UTC)).total_seconds() <= 900
    session = Sdk(fake, api.url, **keys)
    assert await session("DescribeRegions")
    told = await session.raw("GetCallerIdentity", STS)
    assert (told["Arn"], told["IdentityType"]) == (f"acs:ram::{ACCOUNT}:assumed-role/builder/broker", "AssumedRoleUser")
    without = Sdk(fake, api.url, access_key_id=keys["access_key_id"], access_key_secret=keys["access_key_secret"])
    assert (await without.refused("DescribeRegions")).code == "MissingSecurityToken"
    other = Sdk(fake, api.url, **{**keys, "security_token": "other"})
    assert (await other.refused("DescribeRegions")).code == "InvalidSecurityToken.MismatchWithAccessKey"
    fake.sts.end_sessions()
    assert (await session.refused("DescribeRegions")).code == "InvalidSecurityToken.Expired"


async def test_a_role_is_taken_on_by_those_whom_it_trusts(fake: FakeAlibaba, api: Sdk) -> None:
    assert await refused(api) == ("EntityNotExist.Role", 404)
    fake.sts.add_role("builder", trusts=[f"acs:ram::{ACCOUNT}:user/other"])
    assert await refused(api) == ("NoPermission", 403)
    fake.sts.add_role("builder", trusts=[USER], external_id="secret", max_duration_s=1800)
    assert await refused(api) == ("NoPermission", 403)
    assert await refused(api, ExternalId="secret") == ("InvalidParameter.DurationSeconds", 400)
    assert await refused(api, ExternalId="secret", DurationSeconds="899") == ("InvalidParameter.DurationSeconds", 400)
    assert await refused(api, ExternalId="secret", RoleSessionName="a b") == ("InvalidParameter.RoleSessionName", 400)
    assert await refused(api, ExternalId="secret", RoleSessionName="") == ("MissingParameter", 400)
    assert (await assumed(api, ExternalId="secret", DurationSeconds="1800"))["AssumedRoleUser"]


def provider_of(url: str, monkeypatch: pytest.MonkeyPatch, role: str | None) -> EcsRamRoleCredentialsProvider:
    """The SDK's own, whose address of the metadata is that of the fake."""
    provider = EcsRamRoleCredentialsProvider(
        role_name=role, disable_imds_v1=True, http_options=HttpOptions(), async_update_enabled=False
    )
    name = "_EcsRamRoleCredentialsProvider__metadata_service_host"
    monkeypatch.setattr(provider, name, url.removeprefix("http://"))
    return provider


async def test_the_sdk_gets_the_keys_of_an_instances_role(fake: FakeAlibaba, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.sts.add_role("BrokerRole", trusts=[ECS])
    fake.metadata.role = "BrokerRole"
    async with serving(fake) as url:
        for named in ("BrokerRole", None):
            keys = await provider_of(url, monkeypatch, named).get_credentials_async()
            session = Sdk(
                fake, url, access_key_id=keys.get_access_key_id(), access_key_secret=keys.get_access_key_secret(),
                security_token=keys.get_security_token(),
            )  # fmt: skip
            assert (await session.raw("GetCallerIdentity", STS))["Arn"].startswith(
                f"acs:ram::{ACCOUNT}:assumed-role/brokerrole/"
            )
    assert "PUT /latest/api/token" in fake.metadata.requests


async def test_the_metadata_wants_a_token(fake: FakeAlibaba) -> None:
    fake.sts.add_role("BrokerRole", trusts=[ECS])
    path = "latest/meta-data/ram/security-credentials/"
    async with serving(fake) as url, aiohttp.ClientSession() as session:

        async def got(path: str, token: str | None = None) -> tuple[int, str]:
            headers = {} if token is None else {"X-aliyun-ecs-metadata-token": token}
            async with session.get(f"{url}/{path}", headers=headers) as answer:
                return answer.status, await answer.text()

        ttl = {"X-aliyun-ecs-metadata-token-ttl-seconds": "60"}
        async with session.put(f"{url}/latest/api/token", headers=ttl) as answer:
            token = await answer.text()
        async with session.put(f"{url}/latest/api/token") as answer:
            assert answer.status == 400
        assert (await got(path))[0] == (await got(path, "other"))[0] == 403
        assert (await got(path, token))[0] == 404  # the instance has no role
        fake.metadata.role = "BrokerRole"
        assert await got(path, token) == (200, "BrokerRole")
        assert (await got(f"{path}Other", token))[0] == 404
        assert await got("latest/meta-data/region-id", token) == (200, "cn-hangzhou")
        fake.metadata.tokens_required = False
        assert await got(path) == (200, "BrokerRole")
