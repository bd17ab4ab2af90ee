"""The page of what waits says the numbers that the code has."""

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "back-pressure.md"
ROWS = re.findall(r"^\|[^|]+\| (\d+) \| `([\w.]+)` \|", PAGE.read_text(), re.MULTILINE)


def value_of(path: str) -> Any:
    """What a dotted name of a module's, or of a class's default, stands for."""
    names = path.split(".")
    for cut in range(len(names) - 1, 0, -1):
        try:
            found: Any = importlib.import_module(".".join(names[:cut]))
        except ModuleNotFoundError:
            continue
        for name in names[cut:]:
            fields = getattr(found, "__dataclass_fields__", {})
            found = fields[name].default if name in fields else getattr(found, name)
        return found
    raise AssertionError(f"no {path}")


def test_the_page_has_its_rows() -> None:
    assert len(ROWS) >= 15


@pytest.mark.parametrize(("number", "path"), ROWS, ids=[path for _, path in ROWS])
def test_a_bound_on_the_page_is_the_code_s(number: str, path: str) -> None:
    assert value_of(path) == int(number)
