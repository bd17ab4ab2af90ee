"""Keys that are had once, kept while they stand, and renewed without a burst."""

import asyncio
import itertools
from datetime import timedelta
from pathlib import Path

import pytest

from broker.backends.aws_ecs.calls import CALL_S
from broker.backends.aws_ecs.session import ASSUME_S
from broker.backends.aws_ecs.session_errors import STALE
from broker.backends.keys import FileKeys, Keys, RoleKeys, Source
from broker.domain.reason import Reason
from broker.errors import BackendError, BackendRejected, Throttled
from broker.testing.clock import ManualClock, settle

HOUR = timedelta(hours=1)


class Fixed:
    """Keys that never change; counts how often they were to be had anew."""

    told = "fixed keys"

    def __init__(self) -> None:
        self.forgotten = 0

    async def keys(self) -> Keys:
        return Keys(access_key="base", secret_key="s")

    def forget(self) -> None:
        self.forgotten += 1


class Sts:
    """Gives the role's keys for an hour, when it is let."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.asked = 0
        self.open = asyncio.Event()
        self.open.set()
        self.error: BackendError | None = None

    async def assume(self, source: Source) -> Keys:
        self.asked += 1
        number = self.asked
        await self.open.wait()
        if self.error is not None:
            raise self.error
        return Keys(access_key=f"key{number}", secret_key="s", token="t", expires=self.clock.now() + HOUR)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def sts(clock: ManualClock) -> Sts:
    return Sts(clock)


@pytest.fixture
def base() -> Fixed:
    return Fixed()


@pytest.fixture
def role(base: Fixed, sts: Sts, clock: ManualClock) -> RoleKeys:
    return RoleKeys("arn:aws:iam::111122223333:role/x", base, sts.assume, clock, STALE)


async def many(role: RoleKeys, count: int = 50) -> list[str | BackendError]:
    """The keys, or the errors, that so many callers get at once."""

    async def one() -> str | BackendError:
        try:
            return (await role.keys()).access_key
        except BackendError as error:
            return error

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(), name=f"caller {n}") for n in range(count)]
    return [task.result() for task in tasks]


async def test_a_role_is_taken_once_for_all_who_wait(role: RoleKeys, sts: Sts) -> None:
    sts.open.clear()
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(many(role), name="callers")
        await settle()
        sts.open.set()
    assert waiting.result() == ["key1"] * 50
    assert sts.asked == 1


async def test_a_role_is_renewed_a_quarter_of_an_hour_before_its_end_at_the_latest(
    role: RoleKeys, sts: Sts, clock: ManualClock
) -> None:
    await role.keys()
    await clock.advance(29 * 60)
    assert (await role.keys()).access_key == "key1"
    await clock.advance(17 * 60)
    assert (await role.keys()).access_key == "key2"


async def test_brokers_that_began_together_renew_at_different_times(base: Fixed, clock: ManualClock) -> None:
    stses = [Sts(clock) for _ in range(40)]
    roles = [RoleKeys("arn", base, sts.assume, clock, STALE) for sts in stses]
    renewed = []
    for _ in range(60):
        for one in roles:
            await one.keys()
        renewed.append(sum(sts.asked == 2 for sts in stses))
        await clock.advance(60)
    assert max(after - before for before, after in itertools.pairwise(renewed)) <= 15


async def test_nobody_waits_for_a_renewal_but_the_one_who_makes_it(
    role: RoleKeys, sts: Sts, clock: ManualClock
) -> None:
    await role.keys()
    await clock.advance(46 * 60)
    sts.open.clear()
    async with asyncio.TaskGroup() as group:
        renewing = group.create_task(role.keys(), name="renews")
        await settle()
        assert await many(role) == ["key1"] * 50
        sts.open.set()
    assert renewing.result().access_key == "key2"
    assert sts.asked == 2


async def test_a_renewal_that_fails_leaves_the_keys_that_still_stand(
    role: RoleKeys, sts: Sts, clock: ManualClock
) -> None:
    await role.keys()
    await clock.advance(46 * 60)
    sts.error = Throttled("Throttling", "Rate exceeded")
    assert await many(role) == ["key1"] * 50
    assert sts.asked == 2
    sts.error = None
    await clock.advance(60)
    assert (await role.keys()).access_key == "key3"


async def test_keys_in_their_last_minute_are_not_used(role: RoleKeys, sts: Sts, clock: ManualClock) -> None:
    await role.keys()
    sts.error = BackendRejected("AccessDenied", "no more", Reason.ACCESS_DENIED)
    await clock.advance(59 * 60 + 1)
    with pytest.raises(BackendRejected, match="no more"):
        await role.keys()


async def test_a_role_that_is_refused_is_asked_for_again_only_after_a_pause_that_grows(
    role: RoleKeys, sts: Sts, clock: ManualClock
) -> None:
    sts.error = BackendRejected("AccessDenied", "not authorized to perform: sts:AssumeRole", Reason.ACCESS_DENIED)
    told = await many(role)
    assert {str(error) for error in told} == {str(sts.error)}
    assert sts.asked == 1
    for _ in range(300):
        await many(role, 2)
        await clock.advance(1)
    assert 5 <= sts.asked <= 11


async def test_who_is_cancelled_in_a_renewal_leaves_it_to_the_next(role: RoleKeys, sts: Sts) -> None:
    sts.open.clear()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(role.keys(), name="first")
        await settle()
        second = group.create_task(role.keys(), name="second")
        await settle()
        first.cancel()
        await settle()
        sts.open.set()
    assert second.result().access_key == "key2"


async def test_a_role_that_expired_keys_ask_for_has_those_renewed(
    role: RoleKeys, sts: Sts, base: Fixed, clock: ManualClock
) -> None:
    sts.error = BackendRejected("ExpiredToken", "The security token included in the request is expired")
    with pytest.raises(BackendRejected):
        await role.keys()
    assert base.forgotten == 1


async def test_a_role_that_the_cloud_takes_no_more_is_taken_anew(role: RoleKeys, sts: Sts, base: Fixed) -> None:
    await role.keys()
    role.forget()
    assert (await role.keys()).access_key == "key2"
    assert base.forgotten == 1


def files(tmp_path: Path) -> dict[str, str]:
    for name, text in (("access_key_id", "AKIDOLD\n"), ("secret_access_key", "old\n")):
        (tmp_path / name).write_text(text)
    return {name: str(tmp_path / name) for name in ("access_key_id", "secret_access_key")}


async def test_files_with_keys_are_read_again_when_they_have_changed(tmp_path: Path, clock: ManualClock) -> None:
    keys = FileKeys({}, files(tmp_path), clock, "aws")
    assert await keys.keys() == Keys(access_key="AKIDOLD", secret_key="old")
    (tmp_path / "access_key_id").write_text("AKIDNEWER\n")
    (tmp_path / "secret_access_key").write_text("newer\n")
    await clock.advance(3)
    assert await keys.keys() == Keys(access_key="AKIDNEWER", secret_key="newer")


async def test_files_with_refused_keys_are_read_again_at_once(tmp_path: Path, clock: ManualClock) -> None:
    keys = FileKeys({}, files(tmp_path), clock, "aws")
    await keys.keys()
    (tmp_path / "secret_access_key").write_text("new\n")
    keys.forget()
    assert (await keys.keys()).secret_key == "new"


async def test_a_missing_file_with_keys_is_named_with_its_config_key(tmp_path: Path, clock: ManualClock) -> None:
    keys = FileKeys({}, files(tmp_path) | {"session_token": str(tmp_path / "gone")}, clock, "aws")
    with pytest.raises(BackendRejected, match=r"No such file.*gone.*backends\.aws\.session_token_file") as raised:
        await keys.keys()
    assert raised.value.reason is Reason.CREDENTIALS_INVALID


async def test_an_empty_key_is_named(tmp_path: Path, clock: ManualClock) -> None:
    named = files(tmp_path)
    (tmp_path / "secret_access_key").write_text("\n")
    with pytest.raises(BackendRejected, match=r"backends\.aws\.secret_access_key is empty"):
        await FileKeys({}, named, clock, "aws").keys()


async def test_keys_are_told_without_their_secret(tmp_path: Path, clock: ManualClock) -> None:
    keys = FileKeys({}, files(tmp_path), clock, "aws")
    assert "old" not in repr(await keys.keys())
    assert keys.told == f"keys of {tmp_path / 'access_key_id'}, {tmp_path / 'secret_access_key'}"


def test_a_renewal_that_hangs_is_given_up_within_the_call_that_waits_for_it() -> None:
    """Else that call fails though the keys that there are still stand, and so does the next one."""
    assert CALL_S >= 2 * ASSUME_S
