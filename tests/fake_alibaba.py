"""The real SDK for the fake of Alibaba Cloud."""

import re
from collections.abc import Mapping
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

import pytest
from alibabacloud_ecs20140526.client import Client as EcsClient
from alibabacloud_tea_openapi.client import Client as OpenApiClient
from alibabacloud_tea_openapi.exceptions import AlibabaCloudException
from alibabacloud_tea_openapi.utils_models import Config, OpenApiRequest, Params
from alibabacloud_vpc20160428.client import Client as VpcClient
from darabonba.runtime import RuntimeOptions

from broker.demo.clouds.alibaba.cloud import FakeAlibaba
from broker.demo.clouds.alibaba.shapes import MODELS


def config_of(fake: FakeAlibaba, url: str, **other: str) -> Config:
    """What a client is made of; `other` goes in place of the fake's keys and region."""
    given = {
        "access_key_id": fake.access_key,
        "access_key_secret": fake.secret_key,
        "region_id": fake.region,
        **other,
    }
    parts = urlsplit(url)
    return Config(**given, endpoint=parts.netloc, protocol=parts.scheme, connect_timeout=5000, read_timeout=5000)


def ecs_client(fake: FakeAlibaba, url: str, **other: str) -> Any:
    """A client of ECS that tries once."""
    return EcsClient(config_of(fake, url, **other))


def vpc_client(fake: FakeAlibaba, url: str, **other: str) -> Any:
    """A client of VPC that tries once."""
    return VpcClient(config_of(fake, url, **other))


def keys_of(credentials: Mapping[str, str]) -> dict[str, str]:
    """What AssumeRole gave, as a client takes it."""
    return {
        "access_key_id": credentials["AccessKeyId"],
        "access_key_secret": credentials["AccessKeySecret"],
        "security_token": credentials["SecurityToken"],
    }


class Sdk:
    """Calls actions by the API's names with the SDK's own clients and models; replies by the API's names too."""

    def __init__(self, fake: FakeAlibaba, url: str, **other: str) -> None:
        """`other` goes in place of the fake's keys and region."""
        self.fake, self.url = fake, url
        self._clients = {"ecs": ecs_client(fake, url, **other), "vpc": vpc_client(fake, url, **other)}
        self._any = OpenApiClient(config_of(fake, url, **other))

    async def __call__(self, action: str, /, **parameters: Any) -> dict[str, Any]:
        """One action of ECS or VPC. `RegionId` is the fake's, unless it is given or the action has none."""
        service = "vpc" if action in self.fake.vpc.actions else "ecs"
        models = import_module(MODELS[service])
        request = getattr(models, f"{action}Request")()
        names = [name for name in ("region_id",) if hasattr(request, name)]
        given = {"RegionId": self.fake.region, **parameters} if names else parameters
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", action.replace("VSwitch", "Vswitch")).lower()
        answered = await getattr(self._clients[service], f"{name}_async")(request.from_map(given))
        told: dict[str, Any] = answered.body.to_map()
        return told

    async def refused(self, action: str, /, **parameters: Any) -> Any:
        """The refusal of an action that must be refused: its `code`, `message`, `status_code`."""
        with pytest.raises(AlibabaCloudException) as caught:
            await self(action, **parameters)
        return caught.value

    async def raw(self, action: str, version: str, **query: str) -> dict[str, Any]:
        """Any call with any parameters, signed by the SDK: what its models do not have."""
        asked = Params(
            action=action, version=version, protocol=self.url.partition(":")[0].upper(), pathname="/", method="POST",
            auth_type="AK", style="RPC", req_body_type="formData", body_type="json",
        )  # fmt: skip
        answered = await self._any.call_api_async(asked, OpenApiRequest(query=query), RuntimeOptions())
        told: dict[str, Any] = answered["body"]
        return told
