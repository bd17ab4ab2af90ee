"""An account of the fake, for each test."""

from collections.abc import AsyncIterator

import pytest

from tests.unit.backends.aws_ecs.account import Account, an_account


@pytest.fixture
async def account() -> AsyncIterator[Account]:
    """One without request limits, over the real SDK."""
    async with an_account() as found:
        yield found
