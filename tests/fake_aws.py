"""The real SDK for the fake of AWS."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from typing import Any, Final

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession, get_session

from broker.demo.clouds.aws import FakeAws

_ONCE: Final = {"total_max_attempts": 1}


@asynccontextmanager
async def a_client(fake: FakeAws, url: str, service: str = "ecs", **other: str) -> AsyncIterator[Any]:
    """A client that tries once and checks no parameter itself; `other` goes in place of the fake's keys and region."""
    given = {
        "aws_access_key_id": fake.access_key,
        "aws_secret_access_key": fake.secret_key,
        "region_name": fake.region,
        **other,
    }
    config = AioConfig(retries=_ONCE, parameter_validation=False, connect_timeout=5, read_timeout=5)
    async with _session().create_client(service, endpoint_url=url, config=config, **given) as client:
        yield client


@cache
def _session() -> AioSession:
    """One for all tests: it reads the services' descriptions once."""
    return get_session()


def keys_of(credentials: Mapping[str, str]) -> dict[str, str]:
    """What AssumeRole gave, as a client takes it."""
    return {
        "aws_access_key_id": credentials["AccessKeyId"],
        "aws_secret_access_key": credentials["SecretAccessKey"],
        "aws_session_token": credentials["SessionToken"],
    }
