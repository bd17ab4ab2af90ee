"""When a schedule has fired and whether hours are open, also where the clocks are changed."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.config.cron import read_cron
from broker.domain.schedule import Cron, Hours, WarmChange, is_open, last_fire, min_idle_at, next_fire
from broker.testing.factories import make_policy

BERLIN, SHANGHAI, LORD_HOWE, APIA = (
    ZoneInfo(name) for name in ("Europe/Berlin", "Asia/Shanghai", "Australia/Lord_Howe", "Pacific/Apia")
)
ZONES = [ZoneInfo("UTC"), BERLIN, SHANGHAI, LORD_HOWE, APIA, ZoneInfo("America/New_York")]
MINUTE = timedelta(minutes=1)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "zone", "now", "last", "following"),
    [
        ("0 8 * * MON-FRI", SHANGHAI, "2026-11-23 00:00", "2026-11-23 00:00", "2026-11-24 00:00"),
        ("0 8 * * MON-FRI", SHANGHAI, "2026-11-22 12:00", "2026-11-20 00:00", "2026-11-23 00:00"),
        # spring in Berlin: the clocks go from 02:00 to 03:00 at 01:00 UTC
        ("30 2 * * *", BERLIN, "2026-03-29 00:59", "2026-03-28 01:30", "2026-03-29 01:00"),
        ("30 2 * * *", BERLIN, "2026-03-29 01:00", "2026-03-29 01:00", "2026-03-30 00:30"),
        ("0 3 * * *", BERLIN, "2026-03-29 01:00", "2026-03-29 01:00", "2026-03-30 01:00"),
        # autumn: 02:00 to 03:00 comes twice, from 00:00 and from 01:00 UTC
        ("30 2 * * *", BERLIN, "2026-10-25 00:29", "2026-10-24 00:30", "2026-10-25 00:30"),
        ("30 2 * * *", BERLIN, "2026-10-25 01:10", "2026-10-25 00:30", "2026-10-26 01:30"),
        ("30 2 * * *", BERLIN, "2026-10-25 01:40", "2026-10-25 00:30", "2026-10-26 01:30"),
        # half an hour on Lord Howe: 02:00 to 02:30 is skipped at 15:30 UTC, 01:30 to 02:00 comes twice from 14:30 UTC
        ("15 2 * * *", LORD_HOWE, "2026-10-03 15:30", "2026-10-03 15:30", "2026-10-04 15:15"),
        ("45 1 * * *", LORD_HOWE, "2026-04-04 15:20", "2026-04-04 14:45", "2026-04-05 15:15"),
        # a day that Samoa never had
        ("0 12 30 12 *", APIA, "2011-12-30 12:00", "2011-12-30 10:00", "2012-12-29 22:00"),
        ("0 0 29 2 *", BERLIN, "2027-06-01 00:00", "2024-02-28 23:00", "2028-02-28 23:00"),
        ("0 0 29 2 *", ZoneInfo("UTC"), "2103-01-01 00:00", "2096-02-29 00:00", "2104-02-29 00:00"),
        # both days restricted: one that fits is enough, unless a field begins with a star
        ("0 0 1 * MON", ZoneInfo("UTC"), "2026-11-05 00:00", "2026-11-02 00:00", "2026-11-09 00:00"),
        ("0 0 1 * */7", ZoneInfo("UTC"), "2026-11-05 00:00", "2026-11-01 00:00", "2027-08-01 00:00"),
    ],
)
def test_a_schedule_fires_once_for_each_time_of_its_zone(
    cron: str, zone: ZoneInfo, now: str, last: str, following: str
) -> None:
    assert last_fire(read_cron(cron), zone, utc(now)) == utc(last)
    assert next_fire(read_cron(cron), zone, utc(now)) == utc(following)


def test_a_schedule_that_no_calendar_has_never_fires() -> None:
    never = Cron(
        minutes=frozenset({0}),
        hours=frozenset({0}),
        days=frozenset({30}),
        months=frozenset({2}),
        weekdays=frozenset(range(7)),
    )
    assert last_fire(never, BERLIN, utc("2026-11-23 00:00")) is None
    assert next_fire(never, BERLIN, utc("2026-11-23 00:00")) is None


def some(first: int, last: int) -> st.SearchStrategy[frozenset[int]]:
    return st.frozensets(st.integers(first, last), min_size=1, max_size=4)


crons = st.builds(
    Cron,
    minutes=some(0, 59),
    hours=some(0, 23),
    days=some(1, 31),
    months=st.just(frozenset(range(1, 13))),
    weekdays=st.just(frozenset(range(7))) | some(0, 6),
    either_day=st.booleans(),
)
DAYS = [utc(f"{day} 00:00") for day in ("2026-03-29", "2026-10-25", "2026-04-05", "2026-10-04", "2026-11-01")]
moments = st.builds(
    lambda day, minutes, seconds: day + minutes * MINUTE + timedelta(seconds=seconds),
    st.sampled_from(DAYS),
    st.integers(-2000, 2000),
    st.integers(0, 59),
)


def walked(cron: Cron, zone: ZoneInfo, start: datetime, end: datetime) -> list[datetime]:
    """Every fire between two moments, by looking at a clock of the zone each minute."""
    fires, seen = [], (start - MINUTE).astimezone(zone).replace(tzinfo=None)
    at = start
    while at <= end:
        wall = at.astimezone(zone).replace(tzinfo=None)
        shown = seen + MINUTE
        while shown <= wall:
            day = shown.isoweekday() % 7 in cron.weekdays, shown.day in cron.days
            if shown.minute in cron.minutes and shown.hour in cron.hours and (any if cron.either_day else all)(day):
                fires.append(at)
            shown += MINUTE
        seen = max(seen, wall)
        at += MINUTE
    return fires


@given(crons, st.sampled_from(ZONES), moments)
def test_the_last_fire_is_that_of_a_clock_that_was_watched(cron: Cron, zone: ZoneInfo, now: datetime) -> None:
    start = now.replace(second=0) - timedelta(days=3)
    watched = walked(cron, zone, start, now + timedelta(days=1))
    last, following = last_fire(cron, zone, now), next_fire(cron, zone, now)
    before, after = [at for at in watched if at <= now], [at for at in watched if at > now]
    if before:
        assert last == before[-1]
    else:
        assert last is None or last < start
    if after:
        assert following == after[0]
    else:
        assert following is None or following > now + timedelta(days=1)


def hours(start: str, end: str, zone: ZoneInfo) -> Hours:
    def minutes(text: str) -> int:
        return int(text[:2]) * 60 + int(text[3:])

    return Hours(start=minutes(start), end=minutes(end), zone=zone)


@pytest.mark.parametrize(
    ("start", "end", "zone", "now", "opened", "until"),
    [
        ("20:00", "08:00", SHANGHAI, "2026-11-23 12:00", True, "2026-11-24 00:00"),
        ("20:00", "08:00", SHANGHAI, "2026-11-23 11:59", False, "2026-11-23 12:00"),
        ("20:00", "08:00", SHANGHAI, "2026-11-24 00:00", False, "2026-11-24 12:00"),
        ("08:00", "20:00", BERLIN, "2026-06-01 06:00", True, "2026-06-01 18:00"),
        ("08:00", "24:00", BERLIN, "2026-06-01 22:00", False, "2026-06-02 06:00"),
        # in autumn the hour that comes twice is one time: what was opened or closed in it stays so
        ("00:00", "02:30", BERLIN, "2026-10-25 01:15", False, "2026-10-25 23:00"),
        ("02:30", "05:00", BERLIN, "2026-10-25 01:15", True, "2026-10-25 04:00"),
        # in spring what lies in the hour that is skipped does not come
        ("02:10", "02:40", BERLIN, "2026-03-29 01:05", False, "2026-03-30 00:10"),
        ("02:10", "02:40", BERLIN, "2026-03-29 00:05", False, "2026-03-30 00:10"),
        ("02:40", "02:10", BERLIN, "2026-03-29 01:05", True, "2026-03-30 00:10"),
        ("02:30", "05:00", BERLIN, "2026-03-29 01:00", True, "2026-03-29 03:00"),
    ],
)
def test_hours_are_open_by_the_clock_of_their_zone(
    start: str, end: str, zone: ZoneInfo, now: str, opened: bool, until: str
) -> None:
    assert is_open(hours(start, end, zone), utc(now)) == (opened, utc(until))


def test_a_whole_day_is_always_open() -> None:
    opened, until = is_open(hours("00:00", "24:00", BERLIN), utc("2026-03-29 00:30"))
    assert opened
    assert until >= utc("2026-03-29 22:00")


@given(st.integers(0, 1439), st.integers(1, 1440), st.sampled_from(ZONES), moments)
def test_hours_stay_as_they_are_until_the_time_that_they_say_and_no_longer(
    start: int, end: int, zone: ZoneInfo, now: datetime
) -> None:
    daily = Hours(start=start, end=end, zone=zone)
    opened, until = is_open(daily, now)
    assert now < until
    whole_day = start % 1440 == end % 1440
    assert is_open(daily, until)[0] != opened or whole_day
    for part in range(1, 8):
        assert is_open(daily, now + (until - now) * part / 8)[0] == opened


def change(cron: str, min_idle: int, zone: ZoneInfo = SHANGHAI) -> WarmChange:
    return WarmChange(cron=read_cron(cron), zone=zone, min_idle=min_idle)


WORKDAYS = (change("0 8 * * MON-FRI", 10), change("0 20 * * MON-FRI", 0))


@pytest.mark.parametrize(
    ("now", "kept", "until"),
    [
        ("2026-11-23 00:00", 10, "2026-11-23 12:00"),  # Monday 08:00 in Shanghai
        ("2026-11-23 12:00", 0, "2026-11-24 00:00"),
        ("2026-11-28 05:00", 0, "2026-11-30 00:00"),  # Saturday
        ("2026-11-22 23:59", 0, "2026-11-23 00:00"),
    ],
)
def test_the_change_that_came_last_says_how_many_are_kept(now: str, kept: int, until: str) -> None:
    assert min_idle_at(make_policy(min_idle=2, warm_changes=WORKDAYS), utc(now)) == (kept, utc(until))


def test_of_two_changes_at_one_time_the_later_in_the_file_holds() -> None:
    both = (change("0 8 * * *", 5), change("0 8 * * MON", 9))
    assert min_idle_at(make_policy(warm_changes=both), utc("2026-11-23 01:00"))[0] == 9
    assert min_idle_at(make_policy(warm_changes=both[::-1]), utc("2026-11-23 01:00"))[0] == 5


def test_without_changes_the_number_is_the_same_for_ever() -> None:
    assert min_idle_at(make_policy(min_idle=3), utc("2026-11-23 01:00")) == (3, None)


@given(moments, st.sampled_from([timedelta(hours=1), timedelta(days=1), timedelta(days=-1), timedelta(hours=-1)]))
def test_a_clock_that_jumps_leaves_nothing_behind(now: datetime, jump: timedelta) -> None:
    policy = make_policy(min_idle=2, warm_changes=WORKDAYS)
    first = min_idle_at(policy, now)
    min_idle_at(policy, now + jump)
    assert min_idle_at(policy, now) == first
