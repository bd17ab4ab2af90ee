"""A build that no policy serves is told why in the same words by Jenkins and by the broker."""

import json
import time
from typing import Any

import pytest

from broker.domain.ids import PolicyName
from broker.domain.labels import parse
from broker.domain.unserved import advice, compared, head, nearest, serving
from broker.testing.factories import make_policy
from tests.integration.groovy.double import GROOVY

CASES = json.loads((GROOVY / "src/test/groovy/unserved.json").read_text())
"""BuildLogTest.groovy runs them too."""
LONGEST_S = 3.0
"""Of the processor; it takes some hundredths, and sixteen seconds where every label is compared with every other."""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["label"] or "none")
def test_the_words_are_those_of_the_builds_log(case: dict[str, Any]) -> None:
    label = str(case["label"])
    policies = [make_policy(name=p["name"], labels=tuple(p["labels"])) for p in case["policies"]]
    expression = parse(label) if label else None
    rows = [f"{one.policy.name}: {one.text}" for one in compared(expression, policies)] if expression else []
    assert [head(label, expression), *rows, advice(expression, policies)] == case["lines"]
    assert serving(expression, policies) == []


def test_what_a_build_asks_for_itself_is_no_label_that_a_policy_has_to_carry() -> None:
    policies = [make_policy(labels=("linux",))]
    assert serving(parse("linux && cpu=4 && memory=8Gi"), policies) == policies
    assert serving(parse("linux && disk=4"), policies) == []


def test_what_is_nearest_among_a_thousand_policies_is_found_in_bounded_time() -> None:
    policies = [
        make_policy(name=PolicyName(f"p{n}"), labels=tuple(f"label-{n}-{k}" for k in range(3))) for n in range(1000)
    ]
    expression = parse("||".join(f"labl-{n}-1" for n in range(170)))
    started = time.process_time()
    assert nearest(expression, policies).startswith("labl-0-1: did you mean label-0-1?")
    assert time.process_time() - started < LONGEST_S
