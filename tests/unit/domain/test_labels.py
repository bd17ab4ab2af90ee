"""Label expressions, as Jenkins reads them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.domain.labels import LONGEST, Atom, Both, LabelSyntaxError, Not, Operator, atoms, matches, parse

A, B, C = Atom("a"), Atom("b"), Atom("c")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", A),
        (" a ", A),
        ("!a", Not(A)),
        ("a&&b", Both(Operator.AND, A, B)),
        ("a || b && c", Both(Operator.OR, A, Both(Operator.AND, B, C))),
        ("(a || b) && c", Both(Operator.AND, Both(Operator.OR, A, B), C)),
        ("a && b && c", Both(Operator.AND, Both(Operator.AND, A, B), C)),
        ("!a && b", Both(Operator.AND, Not(A), B)),
        ("!(a && b)", Not(Both(Operator.AND, A, B))),
        ("a->b", Both(Operator.IMPLIES, A, B)),
        ("a -> b || c", Both(Operator.IMPLIES, A, Both(Operator.OR, B, C))),
        ("a <-> b -> c", Both(Operator.IFF, A, Both(Operator.IMPLIES, B, C))),
        ("a<->b", Both(Operator.IFF, A, B)),
        ("mac-os->jdk-17", Both(Operator.IMPLIES, Atom("mac-os"), Atom("jdk-17"))),
        ('"a b"', Atom("a b")),
        (r'"say \"hi\"" || a', Both(Operator.OR, Atom('say "hi"'), A)),
        ("büro", Atom("büro")),
    ],
)
def test_an_expression_is_read_with_the_order_of_operators_that_jenkins_has(text: str, expected: object) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("", 1, "expected a label or a parenthesis, the expression ends"),
        ("a &&", 5, "expected a label or a parenthesis, the expression ends"),
        ("a b", 3, "expected &&, ||, -> or <->, got 'b'"),
        ("a & b", 3, "'&' does not belong here; quote a label that holds it"),
        ("(a", 3, "expected )"),
        ("a)", 2, "expected &&, ||, -> or <->, got ')'"),
        ("a -> b -> c", 8, "-> does not chain: use parentheses"),
        ("!!a", 2, "expected a label or a parenthesis, got !"),
        ('""', 2, "a label is not empty"),
        ('"a', 1, "'\"' does not belong here"),
        ("(" * 60 + "a", 51, "more than 50 parentheses"),
        ("a" * (LONGEST + 1), LONGEST + 1, "at most 2000 characters"),
    ],
)
def test_what_is_no_expression_is_refused_with_its_column(text: str, column: int, message: str) -> None:
    with pytest.raises(LabelSyntaxError) as refused:
        parse(text)
    assert str(refused.value).startswith(f"column {column}: ")
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("text", "labels", "expected"),
    [
        ("linux && docker", {"linux", "docker", "amd64"}, True),
        ("linux && gpu", {"linux"}, False),
        ("linux || gpu", {"gpu"}, True),
        ("!windows", {"linux"}, True),
        ("linux -> docker", {"linux"}, False),
        ("linux -> docker", set(), True),
        ("linux <-> docker", {"linux", "docker"}, True),
        ("linux <-> docker", {"docker"}, False),
        ("LINUX", {"linux"}, False),
    ],
)
def test_an_expression_is_true_of_labels_or_not(text: str, labels: set[str], expected: bool) -> None:
    assert matches(parse(text), labels) is expected


def test_labels_speak_for_a_match_or_against_it() -> None:
    expression = parse("(linux || mac) && !(gpu || slow) && (arm -> qemu)")
    assert atoms(expression) == {"linux", "mac", "qemu"}
    assert atoms(expression, wanted=False) == {"gpu", "slow", "arm"}


@given(st.text(alphabet='ab &|!<->()"\\', max_size=30))
def test_any_text_is_an_expression_or_is_refused(text: str) -> None:
    try:
        expression = parse(text)
    except LabelSyntaxError:
        return
    assert matches(expression, {"a"}) in {True, False}
