"""A fake of Alibaba Cloud in virtual time, called by the vendor's SDK over HTTP."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from broker.demo.clouds.alibaba.cloud import FakeAlibaba
from broker.demo.clouds.alibaba.knobs import Timing
from broker.demo.clouds.serving import serving
from broker.testing.clock import ManualClock
from tests.fake_alibaba import Sdk

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl someone@somewhere"


@pytest.fixture
def clock() -> ManualClock:
    """Virtual time."""
    return ManualClock()


@pytest.fixture
def fake(clock: ManualClock) -> FakeAlibaba:
    """One account with a network and a key pair `kp`; instances take 10 s to come up."""
    fake = FakeAlibaba(clock)
    fake.ecs.timing = Timing(pending_s=2, starting_s=8)
    fake.ecs.add_key_pair("kp", KEY)
    return fake


@pytest.fixture
async def api(fake: FakeAlibaba) -> AsyncIterator[Sdk]:
    """The SDK with the account's keys; what the fake itself got wrong fails the test."""
    async with serving(fake) as url:
        yield Sdk(fake, url)
    assert fake.ledger.problems == []


def an_order(**other: Any) -> dict[str, Any]:
    """Parameters of RunInstances that are right; None takes one out."""
    usual = {
        "ImageId": "debian_12_12_x64_20G_alibase_20260630.vhd",
        "InstanceType": "ecs.g7.large",
        "VSwitchId": "vsw-bp1agentsh",
        "SecurityGroupId": "sg-bp1agents",
        "KeyPairName": "kp",
        **other,
    }
    return {name: value for name, value in usual.items() if value is not None}


async def launched(api: Sdk, **other: Any) -> list[str]:
    """The ids that a launch made."""
    answered = await api("RunInstances", **an_order(**other))
    ids: list[str] = answered["InstanceIdSets"]["InstanceIdSet"]
    return ids


async def seen(api: Sdk, **query: Any) -> list[dict[str, Any]]:
    """What DescribeInstances tells, of one page of a hundred."""
    answered = await api("DescribeInstances", MaxResults=100, **query)
    found: list[dict[str, Any]] = answered["Instances"]["Instance"]
    return found
