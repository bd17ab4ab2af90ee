"""The lifecycle table is the design's, and says of every pair whether it is allowed."""

import itertools

import pytest

from broker.domain.lifecycle import LIVE, PENDING, STARTING, TRANSITIONS, Goal, Phase, later_goal, may_follow

DESIGN = """
requested    → launching | gone
launching    → booting | connecting | online | requested | terminating
booting      → connecting | online | terminating
connecting   → online | terminating
online       → reconnecting | draining | terminating
reconnecting → online | draining | terminating
draining     → reconnecting | terminating
terminating  → gone | requested
gone         →
"""
PAIRS = list(itertools.product(Phase, Phase))


def designed() -> dict[str, set[str]]:
    lines = (line.partition("→") for line in DESIGN.strip().splitlines())
    return {before.strip(): {word.strip() for word in after.split("|") if word.strip()} for before, _, after in lines}


def test_the_table_is_that_of_the_design() -> None:
    assert {before.value: {phase.value for phase in after} for before, after in TRANSITIONS.items()} == designed()


@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_exactly_the_designed_pairs_are_allowed(before: Phase, after: Phase) -> None:
    assert may_follow(before, after) == (after.value in designed()[before.value])


def test_gone_absorbs() -> None:
    assert not TRANSITIONS[Phase.GONE]


def test_every_phase_can_be_reached_and_leads_to_gone() -> None:
    for start in Phase:
        assert start == Phase.REQUESTED or any(start in after for after in TRANSITIONS.values())
        reached, border = set[Phase](), {start}
        while border:
            reached |= border
            border = {after for phase in border for after in TRANSITIONS[phase]} - reached
        assert Phase.GONE in reached


def test_nothing_that_has_an_attempt_is_gone_without_being_terminated() -> None:
    assert {before for before, after in TRANSITIONS.items() if Phase.GONE in after} == {
        Phase.REQUESTED,
        Phase.TERMINATING,
    }


def test_an_agent_that_was_online_gets_no_other_attempt() -> None:
    back = {before for before, after in TRANSITIONS.items() if Phase.REQUESTED in after}
    assert back == {Phase.LAUNCHING, Phase.TERMINATING}


def test_the_groups_of_phases_hold_what_their_names_say() -> None:
    assert set(Phase) - LIVE == {Phase.GONE}
    assert PENDING < STARTING < LIVE
    assert Phase.ONLINE not in STARTING


@pytest.mark.parametrize(("now", "asked"), list(itertools.product(Goal, Goal)))
def test_a_goal_never_moves_back(now: Goal, asked: Goal) -> None:
    order = [Goal.ONLINE, Goal.DRAINED, Goal.GONE]
    stands = later_goal(now, asked)
    assert order.index(stands) == max(order.index(now), order.index(asked))
    assert later_goal(stands, now) == stands
