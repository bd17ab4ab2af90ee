import pytest

from broker.demo.shortage import parse_expression, unmatched


def test_simple_names_joined_by_and_are_a_set_of_labels() -> None:
    assert parse_expression(" linux && docker ") == {"linux", "docker"}
    assert parse_expression("") == frozenset()


@pytest.mark.parametrize("text", ["a || b", "!a", "(a)", "a &&", "a b"])
def test_any_other_expression_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not understood"):
        parse_expression(text)


def test_an_agent_stands_for_one_build_only() -> None:
    linux = frozenset({"linux"})
    assert unmatched([linux, linux, linux], {"a": linux, "b": linux}) == [2]


def test_the_matching_moves_a_build_to_make_room_for_one_that_is_choosier() -> None:
    linux, docker = frozenset({"linux"}), frozenset({"linux", "docker"})
    assert unmatched([linux, docker], {"a": docker, "b": linux}) == []
