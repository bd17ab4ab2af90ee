"""The list of mutants is not stale: every guard still stands where its patch removes it, and its tests are there."""

import ast
from pathlib import Path

import pytest

from tests.mutants.__main__ import ROOT, Stale, apply, main
from tests.mutants.patches import MUTANTS, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.guard)
def test_a_guard_stands_where_its_patch_removes_it(mutant: Mutant) -> None:
    removed = apply(mutant, (ROOT / mutant.file).read_text())
    ast.parse(removed)
    for test in mutant.tests:
        assert (ROOT / test.partition("::")[0]).is_file()


def test_a_patch_that_no_longer_applies_is_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = Mutant(guard="none", file="broker/version.py", old="no such line", new="", tests=())
    with pytest.raises(Stale, match="0 times"):
        apply(gone, Path(ROOT / gone.file).read_text())
    monkeypatch.setattr("tests.mutants.__main__.MUTANTS", (gone,))
    assert main([]) == 2
