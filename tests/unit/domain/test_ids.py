"""Which texts may name an agent."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.domain.ids import is_agent_name

LETTERS = string.ascii_letters + string.digits


@pytest.mark.parametrize("name", ["a", "A", "7", "linux-000001", "a" * 63, "a--b", "Linux-Big-9f3a"])
def test_letters_digits_and_hyphens_are_a_name(name: str) -> None:
    assert is_agent_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a" * 64,
        "-a",
        "a-",
        "-",
        "a_b",
        "a.b",
        "a b",
        "a/b",
        "../x",
        "a\n",
        "a\x00",
        "ä",
        "a&&b",
        "a||b",
        "a\u0660",
        "a\r\nSet-Cookie: x",
    ],
)
def test_anything_else_is_none(name: str) -> None:
    assert not is_agent_name(name)


@given(st.text(max_size=80))
def test_a_name_has_nothing_that_must_be_escaped_anywhere(text: str) -> None:
    if is_agent_name(text):
        assert 1 <= len(text) <= 63
        assert set(text) <= set(LETTERS + "-")
        assert text[0] in LETTERS
        assert text[-1] in LETTERS
