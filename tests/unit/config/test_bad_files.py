"""Every file of `bad/` prints exactly what stands beside it.

The files below 100 are `example.yaml` with one edit; their numbers are those of the catalogue of bad configs.
"""

from pathlib import Path

import pytest

from broker.config.load import check_text

BAD = Path(__file__).parent / "bad"
CASES = sorted(BAD.glob("*.yaml"))
DEPENDS_ON_MORE = ("warning[no-file]",)
"""What is said of every file that names clouds, or files of a machine: tested elsewhere."""


def found(case: Path) -> str:
    """All that is printed about a file, less the counts and what depends on more than the file."""
    diagnostics = check_text(case.read_text(), "broker.yaml", BAD, env={}, starting=False).diagnostics
    blocks = diagnostics.render().removesuffix(diagnostics.summary()).strip("\n").split("\n\n")
    return "\n\n".join(b for b in blocks if not any(code in b.split("\n")[0] for code in DEPENDS_ON_MORE))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_bad_file_prints_what_stands_beside_it(case: Path) -> None:
    assert found(case) + "\n" == case.with_suffix(".txt").read_text()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_no_secret_of_a_bad_file_is_printed(case: Path) -> None:
    printed = found(case)
    assert "canary" not in printed
    assert "31337" not in printed


def test_every_expected_text_has_its_file() -> None:
    assert {p.stem for p in BAD.glob("*.txt")} == {p.stem for p in CASES}
