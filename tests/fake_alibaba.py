"""The real SDK for the fake of Alibaba Cloud."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from alibabacloud_ecs20140526.client import Client as EcsClient
from alibabacloud_tea_openapi.utils_models import Config
from alibabacloud_vpc20160428.client import Client as VpcClient

from broker.demo.clouds.alibaba.cloud import FakeAlibaba


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
