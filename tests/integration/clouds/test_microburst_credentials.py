"""Roles whose STS throttles, breaks off and comes back: microburst before moto, which others wrote both."""

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from broker.backends.aws_ecs.options import AssumeRole, BackendOptions
from broker.backends.aws_ecs.session import Sessions
from broker.errors import BackendError, Throttled
from broker.testing.clock import ManualClock
from tests.emulators import Microburst, microburst_proxy, version_of

pytestmark = [pytest.mark.component("moto"), pytest.mark.component("microburst")]

ROLE = "arn:aws:iam::111122223333:role/builder"


@pytest.fixture(scope="module")
def one_proxy(
    moto: str, tmp_path_factory: pytest.TempPathFactory, record_component: Callable[[str, str], None]
) -> Iterator[Microburst]:
    record_component("microburst", version_of("microburst"))
    with microburst_proxy(tmp_path_factory.mktemp("microburst"), moto) as opened:
        yield opened


@pytest.fixture
def proxy(one_proxy: Microburst) -> Microburst:
    """With no faults yet."""
    one_proxy.forget()
    return one_proxy


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(start=datetime.now(UTC))


@pytest.fixture
async def sessions(proxy: Microburst, clock: ManualClock) -> AsyncIterator[Sessions]:
    options = BackendOptions(
        region="eu-west-1",
        access_key_id="AKIAIOSFODNN7EXAMPLE",
        secret_access_key="secret",
        endpoint_url=proxy.url,
        assume_role_arn=(AssumeRole(role_arn=ROLE),),
    )
    opened = Sessions(options, clock, "ecs-main")
    yield opened
    await opened.close()


async def test_a_throttled_role_is_asked_for_once_and_again_after_a_pause(
    sessions: Sessions, proxy: Microburst, clock: ManualClock
) -> None:
    proxy.rules({"service": "sts", "operation": "AssumeRole", "times": 1, "error": {"code": "Throttling"}})
    for _ in range(5):
        with pytest.raises(Throttled, match="AssumeRole"):
            await sessions.identity()
    assert proxy.fired() == [("AssumeRole", "error:Throttling")]
    await clock.advance(10)
    assert (await sessions.identity()).arn.startswith("arn:aws:sts::111122223333:assumed-role/builder/")
    assert len(proxy.fired()) == 1


async def test_a_connection_that_breaks_off_is_told_and_had_anew(
    sessions: Sessions, proxy: Microburst, clock: ManualClock
) -> None:
    proxy.rules({"service": "sts", "operation": "AssumeRole", "times": 1, "reset": True})
    with pytest.raises(BackendError, match="AssumeRole"):
        await sessions.identity()
    await clock.advance(10)
    assert (await sessions.identity()).account == "111122223333"
    assert proxy.fired() == [("AssumeRole", "reset")]


async def test_a_renewal_that_is_throttled_disturbs_nobody(
    sessions: Sessions, proxy: Microburst, clock: ManualClock
) -> None:
    await sessions.identity()
    proxy.rules({"service": "sts", "operation": "AssumeRole", "error": {"code": "Throttling"}})
    expires = await sessions.expires()
    assert expires is not None
    await clock.advance((expires - clock.now() - timedelta(minutes=5)).total_seconds())
    ecs = await sessions.client("ecs")
    assert await ecs.list_clusters()
    assert ("AssumeRole", "error:Throttling") in proxy.fired()
