"""`config init`: whatever it prints may be used."""

from itertools import combinations
from pathlib import Path

import pytest
from jsonschema import Draft7Validator

from broker.config.load import check_text
from broker.config.nodes import read
from broker.config.schema import MODELINE, schema
from broker.config.starters import STARTERS, starter

CHOICES = [list(chosen) for n in range(1, len(STARTERS) + 1) for chosen in combinations(STARTERS, n)]


@pytest.mark.parametrize("backends", CHOICES, ids=" ".join)
def test_a_starter_passes_the_check_and_the_schema(backends: list[str]) -> None:
    text = starter(backends)
    diagnostics = check_text(text, "broker.yaml", Path(), env={}, starting=False).diagnostics
    assert [d.message for d in diagnostics.items if d.code != "no-file"] == []
    assert text.startswith(f"{MODELINE}\n")
    tree = read(text, diagnostics, lambda found, _span, _path: (found, False))
    assert tree is not None
    assert list(Draft7Validator(schema()).iter_errors(tree.plain())) == []


@pytest.mark.parametrize("backend", ["process", "container", "aws-ecs", "aws-ecs-ec2"])
def test_a_starter_of_what_is_built_starts(backend: str) -> None:
    diagnostics = check_text(starter([backend]), "broker.yaml", Path(), env={}, starting=True).diagnostics
    assert diagnostics.render() == ""


def test_no_line_is_longer_than_a_screen() -> None:
    assert max(len(line) for line in starter(list(STARTERS)).splitlines()) <= 120
