"""The examples of the how-to about placement are configs that pass without a warning."""

import re
from pathlib import Path

import pytest
import yaml

from broker.config.load import parse

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "placement-policies.md"
POOLS = {"spot": {"backend": "process"}, "on-demand": {"backend": "process"}, "overseas": {"backend": "process"}}
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_taken_by_a_start(example: str) -> None:
    whole = {"version": 1, "pools": POOLS, **yaml.safe_load(example)}
    whole["controllers"] = {"main": {"url": "http://127.0.0.1:8080/", "token_sha256": "a" * 64}}
    assert parse(yaml.safe_dump(whole, sort_keys=False), env={}, starting=True).warnings == ""


def test_there_are_examples_of_it_all() -> None:
    assert len(EXAMPLES) >= 4
