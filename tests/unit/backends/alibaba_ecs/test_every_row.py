"""What users of the plugin had, and what it got wrong, has tests that show it here; a name without a test fails."""

import ast
from functools import cache
from pathlib import Path
from typing import Final

from tests.unit.backends.alibaba_ecs.every_defect import DEFECTS, LEFT_OUT
from tests.unit.backends.alibaba_ecs.every_row import BUTTONS, OF_A_TEMPLATE, OF_THE_CLOUD

ROOT: Final = Path(__file__).parents[4]
CASES: Final = ROOT / "tests/unit/config/bad"
PAGE: Final = ROOT / "docs/how-to/alibaba-ecs.md"


@cache
def named_in(file: str) -> frozenset[str]:
    path = ROOT / file
    nodes = ast.walk(ast.parse(path.read_text())) if path.is_file() else ()
    return frozenset(node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def is_there(where: str) -> bool:
    file, _, name = where.partition("::")
    name, _, case = name.removesuffix("]").partition("[")
    return name in named_in(file) and (not case or (CASES / f"{case}.yaml").is_file())


def test_every_test_that_is_named_is_there() -> None:
    named = [
        where
        for rows in (OF_THE_CLOUD, OF_A_TEMPLATE, BUTTONS, LEFT_OUT, DEFECTS)
        for row in rows.values()
        for where in row
    ]
    assert [where for where in named if not is_there(where)] == []


def test_a_test_that_is_not_there_is_noticed() -> None:
    assert not is_there("tests/unit/config/test_hosts.py::test_that_nobody_has_written")
    assert not is_there("tests/unit/config/test_of_nobody.py::test_it")


def test_every_field_has_its_row_in_the_how_to() -> None:
    cloud, _, template = PAGE.read_text().partition("### Of its templates")
    assert [field for field in OF_THE_CLOUD if f"`{field}`" not in cloud] == []
    assert [field for field in OF_A_TEMPLATE if f"`{field}`" not in template] == []


def test_every_defect_that_is_known_has_tests() -> None:
    assert len(DEFECTS) == 20
    assert all(DEFECTS.values())
    assert all(BUTTONS.values())
