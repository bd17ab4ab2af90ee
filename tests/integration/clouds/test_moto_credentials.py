"""Whose calls ours are, told by an STS that others wrote: moto.

It checks neither signatures nor that a role exists, trusts the caller or wants an external id, and its keys never end.
What it shows is that our requests are what an STS understands, and that the keys it gives out sign the calls after.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from broker.backends.aws_ecs.options import AssumeRole, BackendOptions
from broker.backends.aws_ecs.session import Sessions
from broker.clock import SystemClock

pytestmark = pytest.mark.component("moto")

ROLE = "arn:aws:iam::111122223333:role/{}"
Open = Callable[..., Any]


@pytest.fixture
def sessions(moto: str) -> Open:
    """Opens sessions of a backend with these roles; `async with`."""

    @asynccontextmanager
    async def open_sessions(*roles: AssumeRole, **more: str) -> AsyncIterator[Sessions]:
        options = BackendOptions(
            region="eu-west-1",
            access_key_id="AKIAIOSFODNN7EXAMPLE",
            secret_access_key="secret",
            endpoint_url=moto,
            assume_role_arn=roles,
            **more,  # type: ignore[arg-type]
        )
        opened = Sessions(options, SystemClock(), "ecs-main")
        try:
            yield opened
        finally:
            await opened.close()

    return open_sessions


async def test_keys_of_the_config_are_somebody(sessions: Open) -> None:
    async with sessions() as opened:
        identity = await opened.identity()
    assert identity.arn == f"arn:aws:sts::{identity.account}:user/moto"


async def test_a_role_is_taken_and_its_keys_sign_what_follows(sessions: Open) -> None:
    async with sessions(AssumeRole(role_arn=ROLE.format("builder"), external_id="of-ours")) as opened:
        identity = await opened.identity()
        expires = await opened.expires()
    assert identity.account == "111122223333"
    assert identity.arn == "arn:aws:sts::111122223333:assumed-role/builder/agentbroker-ecs-main"
    assert timedelta(minutes=50) < expires - datetime.now(UTC) <= timedelta(hours=1)


async def test_a_chain_of_roles_ends_in_the_last_one(sessions: Open) -> None:
    first = AssumeRole(role_arn=ROLE.format("hub"))
    last = AssumeRole(role_arn="arn:aws:iam::444455556666:role/spoke", session_name="from-hub")
    async with sessions(first, last, sts_region="eu-central-1") as opened:
        identity = await opened.identity()
    assert (identity.account, identity.arn) == (
        "444455556666",
        "arn:aws:sts::444455556666:assumed-role/spoke/from-hub",
    )
