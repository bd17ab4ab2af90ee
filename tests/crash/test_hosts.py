"""A broker that dies at any edge of a host's life leaves no machine, and makes none twice."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.domain.host import HOST_TRANSITIONS
from tests.crash.hosts import ARGUED, CELLS, WALKED, HostPlan, run_cell
from tests.crash.points import Column


@pytest.fixture
def directory() -> Iterator[Path]:
    """In memory where there is such a place."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as made:
        yield Path(made)


def test_every_edge_of_the_life_of_hosts_is_in_the_matrix_or_argued() -> None:
    edges = {f"{before}->{after}" for before, afters in HOST_TRANSITIONS.items() for after in afters}
    assert edges == WALKED | ARGUED.keys()
    assert not WALKED & ARGUED.keys()


@pytest.mark.parametrize(("plan", "write", "column"), CELLS, ids=lambda one: getattr(one, "name", str(one)))
async def test_a_broker_that_dies_leaves_no_machine_and_makes_none_twice(
    directory: Path, plan: HostPlan, write: str, column: Column
) -> None:
    assert await run_cell(directory, plan, write, column) == []


@pytest.mark.parametrize(
    ("plan", "write", "column"),
    [cell for cell in CELLS if cell[2] in (Column.BEFORE_COMMIT, Column.CALL_LEFT)],
    ids=lambda one: getattr(one, "name", str(one)),
)
async def test_neither_does_one_that_dies_again_there(
    directory: Path, plan: HostPlan, write: str, column: Column
) -> None:
    assert await run_cell(directory, plan, write, column, again=True) == []
