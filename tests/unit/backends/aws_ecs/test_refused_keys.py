"""A backend whose keys are refused, wholly or for one action: what is told, what goes on, and what heals by itself."""

from collections.abc import AsyncIterator, Callable

import pytest

from broker.demo.clouds.faults import Fault
from broker.domain.ids import InstanceRef
from broker.domain.instance import InstanceState
from broker.domain.reason import Reason
from broker.errors import BackendError, BackendRejected
from tests.contract.ecs_rig import EcsRig, ecs_rig

ROLE = "arn:aws:iam::111122223333:role/agentbroker"
USER = "arn:aws:iam::111122223333:user/broker"
Harm = Callable[[EcsRig], None]


@pytest.fixture
async def rig() -> AsyncIterator[EcsRig]:
    """One with the keys of a role."""
    async with ecs_rig(assume_role_arn=({"role_arn": ROLE},)) as rig:
        rig.fake.sts.add_role("agentbroker", trusts=[USER])
        yield rig


def deny(action: str) -> Harm:
    return lambda rig: rig.fake.rights.deny(action)


def answer(code: str, message: str) -> Harm:
    return lambda rig: _fault(rig, code, message)


def _fault(rig: EcsRig, code: str, message: str) -> None:
    rig.fake.faults.add(Fault(service="ecs", action="RunTask", code=code, message=message, times=None))


async def _gone(rig: EcsRig, ref: InstanceRef) -> None:
    """Asked again until nothing is left of it, as the core does."""
    for _ in range(200):
        await rig.backend.terminate(ref)
        if await rig.instance(ref) is None and not await rig.count_running():
            return
        await rig.let_time_pass()
    raise AssertionError(f"{ref} is still there")


HARMS = {
    "denied": (deny("ecs:RunTask"), Reason.ACCESS_DENIED, "is not authorized to perform: ecs:RunTask"),
    "expired": (
        answer("ExpiredTokenException", "The security token included in the request is expired"),
        Reason.CREDENTIALS_INVALID,
        "ExpiredTokenException: The security token included in the request is expired",
    ),
    "revoked": (
        answer("UnrecognizedClientException", "The security token included in the request is invalid."),
        Reason.CREDENTIALS_INVALID,
        "The security token included in the request is invalid",
    ),
    "wrong region": (
        answer("InvalidSignatureException", "Credential should be scoped to a valid region."),
        Reason.CREDENTIALS_INVALID,
        "scoped to a valid region",
    ),
}


@pytest.mark.parametrize("kind", HARMS)
async def test_a_refused_launch_is_final_and_tells_the_clouds_words_while_tasks_are_still_ended(
    rig: EcsRig, kind: str
) -> None:
    harm, reason, words = HARMS[kind]
    ref = await rig.backend.launch(rig.spec())
    await rig.wait_for(ref, InstanceState.RUNNING)
    harm(rig)
    with pytest.raises(BackendRejected, match=words) as refused:
        await rig.backend.launch(rig.spec(2))
    assert refused.value.reason is reason
    await _gone(rig, ref)


async def test_a_revoked_session_costs_one_call_and_is_then_had_anew(rig: EcsRig) -> None:
    await rig.backend.launch(rig.spec())
    rig.fake.sts.end_sessions()
    with pytest.raises(BackendRejected) as refused:
        await rig.backend.launch(rig.spec(2))
    assert refused.value.reason is Reason.CREDENTIALS_INVALID
    await rig.backend.launch(rig.spec(2))
    assert await rig.count_running() == 2
    assert len(rig.calls("AssumeRole")) == 2


async def test_a_role_that_may_no_longer_be_taken_is_not_asked_for_at_each_call(rig: EcsRig) -> None:
    rig.fake.sts.roles[ROLE].trusts.clear()
    for n in range(1, 20):
        with pytest.raises(BackendRejected, match="not authorized to perform: sts:AssumeRole") as refused:
            await rig.backend.launch(rig.spec(n))
        assert refused.value.reason is Reason.ACCESS_DENIED
    assert len(rig.calls("AssumeRole")) <= 2
    assert not rig.calls("RunTask")


async def test_a_listing_without_keys_is_no_empty_listing(rig: EcsRig) -> None:
    await rig.backend.launch(rig.spec())
    rig.fake.rights.deny("ecs:ListTasks")
    try:
        listing = await rig.backend.list_owned()
    except BackendError:
        return
    assert not listing.complete
