from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.demo.shortage import parse_expression, shortage, unmatched
from tests import demand_cases
from tests.demand_cases import Case

LABELS = st.frozensets(st.sampled_from("abcd"), min_size=1, max_size=3)


def test_simple_names_joined_by_and_are_a_set_of_labels() -> None:
    assert parse_expression(" linux && docker ") == {"linux", "docker"}
    assert parse_expression('linux && "cpu=4"') == {"linux", "cpu=4"}
    assert parse_expression("") == frozenset()


@pytest.mark.parametrize("text", ["a || b", "!a", "(a)", "a &&", "a b", '"a', '""'])
def test_any_other_expression_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not understood"):
        parse_expression(text)


def test_an_agent_stands_for_one_build_only() -> None:
    linux = frozenset({"linux"})
    assert unmatched([linux, linux, linux], {"a": linux, "b": linux}) == [2]


def test_the_matching_moves_a_build_to_make_room_for_one_that_is_choosier() -> None:
    linux, docker = frozenset({"linux"}), frozenset({"linux", "docker"})
    assert unmatched([linux, docker], {"a": docker, "b": linux}) == []


@pytest.mark.parametrize("case", demand_cases.read(), ids=lambda case: case.says)
def test_what_is_missing_is_what_the_table_says_that_the_groovy_side_is_held_to_as_well(case: Case) -> None:
    assert shortage(case.waiting, case.places) == case.left


@given(wanted=st.lists(LABELS, max_size=12), agents=st.lists(LABELS, max_size=12))
def test_item_by_item_as_many_are_missing_as_label_by_label(
    wanted: list[frozenset[str]], agents: list[frozenset[str]]
) -> None:
    one_by_one = unmatched(wanted, {str(number): labels for number, labels in enumerate(agents)})
    assert len(one_by_one) == sum(shortage(Counter(wanted), Counter(agents)).values())


def test_five_thousand_builds_and_as_many_agents_are_matched_in_no_time() -> None:
    linux, docker = frozenset({"linux"}), frozenset({"linux", "docker"})
    wanted = [linux, docker] * 2500
    agents = {str(number): docker if number % 2 else linux for number in range(4998)}
    assert len(unmatched(wanted, agents)) == 2
