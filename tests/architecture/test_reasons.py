"""The closed list of reasons: each has its words, its row in the docs, and a part of the broker that says it."""

import re

import pytest

from broker.domain.reason import REASONS, Reason, hint, who_can_fix
from broker.telemetry import labels
from tests.architecture.reasons import ROOT, producers, said_in

PAGE = (ROOT / "docs/reference/reasons.md").read_text()
SENTENCE = re.compile(r"[A-Z].*[^.]\.")


@pytest.mark.parametrize("reason", Reason)
def test_it_says_what_it_means_and_what_to_do_next_in_a_sentence_each(reason: Reason) -> None:
    assert SENTENCE.fullmatch(REASONS[reason].meaning)
    assert SENTENCE.fullmatch(hint(reason))
    assert "|" not in REASONS[reason].meaning + hint(reason)


@pytest.mark.parametrize("reason", Reason)
def test_who_has_nothing_to_fix_has_nothing_to_do(reason: Reason) -> None:
    assert bool(who_can_fix(reason)) != hint(reason).startswith("Nothing to do")


@pytest.mark.parametrize("reason", Reason)
def test_it_has_one_row_in_the_docs_with_its_meaning_and_its_hint(reason: Reason) -> None:
    [row] = [line for line in PAGE.splitlines() if f'<a id="{reason}"></a>`{reason}`' in line]
    assert REASONS[reason].meaning in row
    assert hint(reason) in row


def test_the_table_has_no_row_without_a_reason() -> None:
    assert REASONS.keys() == set(Reason)
    assert len(re.findall("<a id=", PAGE)) == len(Reason)


@pytest.mark.parametrize("reason", Reason)
def test_some_part_of_the_broker_says_it(reason: Reason) -> None:
    assert producers()[reason], f"nothing says {reason}: say it, or drop it from the list"


def test_metrics_know_all_reasons_and_no_other_value() -> None:
    assert set(Reason) == labels.REASONS
    assert labels.one_of(labels.REASONS, "NoSuchReason") == labels.OTHER
    assert {*labels.REJECTIONS, *labels.START_FAILURES, *labels.ENDS} <= labels.REASONS


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("raise Refused(reason=Reason.NAME_TAKEN)", True),
        ("_BY_CODE = {'taken': Reason.NAME_TAKEN}", True),
        ("class E:\n    default_reason = Reason.NAME_TAKEN", True),
        ("why = Reason.NAME_TAKEN if taken else None", True),
        ("if why == Reason.NAME_TAKEN: pass", False),
        ("_CODES = {Reason.NAME_TAKEN: 'taken'}", False),
        ("_NOT_OURS = frozenset({Reason.NAME_TAKEN})", False),
        ("match why:\n    case Reason.NAME_TAKEN:\n        pass", False),
        ("words = REASONS[Reason.NAME_TAKEN].hint", False),
    ],
)
def test_to_name_a_reason_is_not_to_say_it(source: str, *, said: bool) -> None:
    assert said_in(source) == ({Reason.NAME_TAKEN} if said else set())
