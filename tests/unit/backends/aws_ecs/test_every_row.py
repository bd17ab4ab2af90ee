"""What users of the plugin had, wished and reported has tests that show it here; a name without a test fails."""

import ast
from functools import cache
from pathlib import Path
from typing import Final

from broker.config.ecs_names import INSTEAD
from tests.unit.backends.aws_ecs.every_row import FIELDS, IN_ITS_REQUEST, ROWS
from tests.unit.backends.aws_ecs.plugin_fields import NEVER_SUPPORTED, OF_A_TEMPLATE, OF_THE_CLOUD

ROOT: Final = Path(__file__).parents[4]
CASES: Final = ROOT / "tests/unit/config/bad"


@cache
def named_in(file: str) -> frozenset[str]:
    path = ROOT / file
    nodes = ast.walk(ast.parse(path.read_text())) if path.is_file() else ()
    return frozenset(node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def is_there(where: str) -> bool:
    file, _, name = where.partition("::")
    name, _, case = name.removesuffix("]").partition("[")
    return name in named_in(file) and (not case or (CASES / f"{case}.yaml").is_file())


def test_every_wish_and_report_has_tests() -> None:
    wished = [*(f"C{n}" for n in range(1, 15)), "C14b"]
    assert list(ROWS) == [*wished, *(f"R{n}" for n in range(1, 32))]
    assert all(ROWS.values())


def test_every_field_lands_in_a_request_or_has_tests_of_its_own() -> None:
    every = (*OF_THE_CLOUD, *OF_A_TEMPLATE, *NEVER_SUPPORTED)
    assert [field.name for field in every if not field.lands] == list(FIELDS)


def test_every_test_that_is_named_is_there() -> None:
    named = [where for tests in (*ROWS.values(), *FIELDS.values(), IN_ITS_REQUEST) for where in tests]
    assert [where for where in named if not is_there(where)] == []


def test_a_test_that_is_not_there_is_noticed() -> None:
    assert not is_there("tests/unit/config/test_ecs.py::test_that_nobody_has_written")
    assert not is_there("tests/unit/config/test_of_nobody.py::test_it")
    assert not is_there(
        "tests/unit/config/test_bad_files.py::test_a_bad_file_prints_what_stands_beside_it[999-no-such-file]"
    )


def test_what_the_broker_leaves_to_aws_is_refused_with_a_pointer_to_its_page() -> None:
    """Auto-scaling groups and lists of file systems; `config check` prints it for `bad/186-names-of-the-plugin`."""
    page = "docs/how-to/amazon-ecs.md"
    for key, topic in (
        ("autoscalinggroup", "**Auto-scaling groups.**"),
        ("efsfilesystems", "**Lists of EFS file systems**"),
    ):
        assert INSTEAD[key].endswith(f"see {page}")
        assert topic in (ROOT / page).read_text().partition("## What the broker does not do")[2]


def test_readers_are_told_that_neither_windows_nor_arm_was_tried_on_real_machines() -> None:
    assert "Windows and ARM is tested as a request only" in (ROOT / "README.md").read_text()
