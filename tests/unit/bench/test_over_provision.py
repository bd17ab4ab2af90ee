"""Who counts in which way launches how many agents: what was published of others, and what ours keeps."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import spare_cases
from tests.benchmarks import traces
from tests.benchmarks.ours import Ours
from tests.benchmarks.over_provision import published
from tests.benchmarks.plugins import PLUGINS, Counts, averaged, ec2_with_gap, no_delay, with_offline, without_planned
from tests.benchmarks.replay import Theirs, replay
from tests.benchmarks.traces import Arrival, Trace

LINUX = frozenset({"linux"})
ARRIVALS = st.lists(
    st.builds(
        Arrival,
        at_ms=st.integers(0, 60_000),
        wants=st.sampled_from([LINUX, frozenset({"linux", "docker"}), frozenset({"gpu"})]),
        runs_ms=st.integers(1000, 60_000),
    ),
    min_size=1,
    max_size=25,
)


def snapshot(**counts: float) -> Counts:
    nothing = {"queue": 0, "available": 0, "connecting": 0, "planned": 0, "online": 0}
    return Counts(**(nothing | counts))  # type: ignore[arg-type]  # whole numbers where they belong


@pytest.mark.parametrize(("gap_s", "ratio"), [(0, 1.0), (1, 2.0), (2, 3.0), (5, 6.0)])
def test_every_second_in_which_an_agent_counts_for_nothing_launches_all_of_them_once_more(
    gap_s: int, ratio: float
) -> None:
    assert replay(traces.step(), Theirs(ec2_with_gap(gap_s * 1000))).ratio == ratio


def test_what_was_seen_of_ec2_fleet_is_had_again_by_the_fitted_boot() -> None:
    (launched,) = published().values()
    assert (launched, round(launched / 96, 2)) == (142, 1.48)


def test_each_rule_leaves_out_what_its_plugin_leaves_out() -> None:
    seen = snapshot(queue=10, available=1, connecting=2, planned=3, offline=4)
    assert [rule(seen) for rule in (no_delay, without_planned, with_offline)] == [4, 7, 0]


def test_cores_average_starts_one_at_once_and_the_others_as_its_average_of_the_queue_grows() -> None:
    assert averaged(snapshot(queue=100)) == 1
    assert averaged(snapshot(queue=100, planned=1)) == 0
    assert averaged(snapshot(queue=100, queue_mean=10.0, planned=1)) == 9
    assert averaged(snapshot(queue=100, queue_mean=10.0, available=1)) == 0


@pytest.mark.parametrize("trace", [traces.step(40), traces.matrix(60)], ids=lambda trace: trace.says)
def test_ours_launches_one_agent_a_build(trace: Trace) -> None:
    assert replay(trace, Ours()).ratio == 1.0


@pytest.mark.parametrize("seed", range(3))
def test_builds_that_are_cancelled_as_they_wait_for_room_cost_no_agent(seed: int) -> None:
    outcome = replay(traces.cancel_storm(100, seed=seed), Ours())
    assert (outcome.cancelled, outcome.run, outcome.launched) == (50, 50, 50)


@pytest.mark.parametrize("late_ms", [0, 1000])
def test_the_agent_of_a_cancelled_build_serves_the_one_that_replaces_it(late_ms: int) -> None:
    assert replay(traces.superseded(200, late_ms=late_ms), Ours()).ratio == 1.0


@pytest.mark.parametrize("case", spare_cases.read(), ids=lambda case: case["says"])
def test_what_is_given_back_is_what_the_table_says_that_groovy_is_held_to_as_well(
    case: dict[str, Any],
) -> None:
    assert spare_cases.given_back(case) == case["given_back"]


def test_an_agent_that_no_other_build_needs_ends_with_the_build_that_was_cancelled() -> None:
    alone = Trace(
        says="one is cancelled, and one comes a minute later",
        arrivals=(Arrival(at_ms=60_000, wants=LINUX, runs_ms=1000), Arrival(at_ms=0, wants=LINUX, runs_ms=1000))[::-1],
        cancels_ms=(5000,),
    )
    outcome = replay(alone, Ours())
    assert (outcome.launched, outcome.launches) == (2, {0: 1, 60: 1})


@settings(max_examples=40, deadline=None)
@given(arrivals=ARRIVALS, most=st.none() | st.integers(1, 5), which=st.integers(0, len(PLUGINS)))
def test_whoever_counts_all_builds_run_and_none_without_an_agent_of_its_own(
    arrivals: list[Arrival], most: int | None, which: int
) -> None:
    ordered = tuple(sorted(arrivals, key=lambda arrival: arrival.at_ms))
    trace = Trace(says="drawn", arrivals=ordered, most_at_once=most)
    outcome = replay(trace, Theirs(PLUGINS[which]) if which < len(PLUGINS) else Ours())
    assert outcome.run == len(arrivals)
    assert outcome.ratio >= 1


@settings(max_examples=40, deadline=None)
@given(arrivals=ARRIVALS, most=st.none() | st.integers(1, 5))
def test_where_every_build_has_one_policy_ours_never_launches_one_too_many(
    arrivals: list[Arrival], most: int | None
) -> None:
    ordered = tuple(sorted(arrivals, key=lambda arrival: arrival.at_ms))
    kinds = (frozenset({"linux", "docker"}), frozenset({"gpu"}))
    trace = Trace(says="drawn", arrivals=ordered, most_at_once=most, kinds=kinds)
    assert replay(replace(trace, seed=len(arrivals)), Ours()).ratio == 1
