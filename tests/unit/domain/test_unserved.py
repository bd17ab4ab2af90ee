"""A build that no policy serves is told why in the same words by Jenkins and by the broker."""

import json
from typing import Any

import pytest

from broker.domain.labels import parse
from broker.domain.unserved import advice, compared, head, serves
from broker.testing.factories import make_policy
from tests.integration.groovy.double import GROOVY

CASES = json.loads((GROOVY / "src/test/groovy/unserved.json").read_text())
"""BuildLogTest.groovy runs them too."""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["label"] or "none")
def test_the_words_are_those_of_the_builds_log(case: dict[str, Any]) -> None:
    label = str(case["label"])
    policies = [make_policy(name=p["name"], labels=tuple(p["labels"])) for p in case["policies"]]
    expression = parse(label) if label else None
    rows = [f"{one.policy.name}: {one.text}" for one in compared(expression, policies)] if expression else []
    assert [head(label, expression), *rows, advice(expression, policies)] == case["lines"]
    assert not any(serves(policy, expression) for policy in policies)


def test_what_a_build_asks_for_itself_is_no_label_that_a_policy_has_to_carry() -> None:
    assert serves(make_policy(labels=("linux",)), parse("linux && cpu=4 && memory=8Gi"))
    assert not serves(make_policy(labels=("linux",)), parse("linux && disk=4"))
