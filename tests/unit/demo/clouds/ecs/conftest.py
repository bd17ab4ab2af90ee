"""A fake of AWS in virtual time, and ECS called as the front calls it."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import pytest

from broker.demo.clouds.aws import FakeAws
from broker.demo.clouds.ecs.service import FakeEcs
from broker.demo.clouds.front import service_model
from broker.demo.clouds.model import ApiError, Call, Identity
from broker.demo.clouds.shapes import misfits
from broker.testing.clock import ManualClock


class Api(Protocol):
    """Calls an action with parameters; the reply, held to the service's model, or ApiError."""

    def __call__(self, action: str, /, **parameters: Any) -> Awaitable[dict[str, Any]]: ...


@pytest.fixture
def clock() -> ManualClock:
    """Virtual time."""
    return ManualClock()


@pytest.fixture
def fake(clock: ManualClock) -> FakeAws:
    """One account without request limits."""
    fake = FakeAws(clock)
    fake.throttles.unlimited()
    return fake


@pytest.fixture
def ecs(fake: FakeAws) -> FakeEcs:
    """Its ECS."""
    return fake.ecs


@pytest.fixture
def api(fake: FakeAws, ecs: FakeEcs, clock: ManualClock) -> Api:
    """Calls of its user; requests and replies must fit the service's model."""

    async def call(action: str, /, **parameters: Any) -> dict[str, Any]:
        model = service_model("ecs").operation_model(action)
        assert list(misfits(parameters, model.input_shape)) == []
        handler = ecs.handler(action)
        assert handler
        who = Identity(account=fake.account, arn=f"arn:aws:iam::{fake.account}:user/broker", user_id="AIDA")
        made = Call(
            service="ecs", action=action, parameters=parameters, identity=who, region=fake.region, at=clock.now()
        )
        reply = await handler(made)
        assert list(misfits(reply, model.output_shape)) == []
        return reply

    return call


@pytest.fixture
def refusal(api: Api) -> Callable[..., Awaitable[ApiError]]:
    """Calls what must be refused; gives the refusal."""

    async def refused(action: str, /, **parameters: Any) -> ApiError:
        with pytest.raises(ApiError) as caught:
            await api(action, **parameters)
        return caught.value

    return refused
