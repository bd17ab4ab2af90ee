"""The crash matrix on the fake backend, in virtual time: zero leaks, zero duplicates in every cell."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.matrix import run_cell, run_deaths
from tests.crash.plans import ARGUED, EDGES, MATRIX, PLAIN, TWICE, Cell
from tests.crash.points import ANY, WRITES, Column, Point

AGAIN = [cell for cell in TWICE if cell.column in (Column.AFTER_COMMIT, Column.CALL_LEFT)]


@pytest.fixture
def directory() -> Iterator[Path]:
    """In memory where there is such a place: what is asked of the disk is asked elsewhere."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as made:
        yield Path(made)


def test_every_edge_that_the_lifecycle_allows_is_in_the_matrix_or_argued() -> None:
    walked = {cell.write for cell in MATRIX} - set(WRITES)
    assert walked | ARGUED.keys() == EDGES
    assert not walked & ARGUED.keys()
    assert len(MATRIX) >= 60


@pytest.mark.parametrize("cell", MATRIX, ids=str)
async def test_a_broker_that_dies_leaves_nothing_and_doubles_nothing(directory: Path, cell: Cell) -> None:
    assert await run_cell(directory, cell) == []


@pytest.mark.parametrize("cell", AGAIN, ids=str)
async def test_neither_does_one_that_dies_again_while_it_recovers(directory: Path, cell: Cell) -> None:
    assert await run_cell(directory, cell, again=True) == []


async def test_neither_do_brokers_that_die_at_every_second_write(directory: Path) -> None:
    deaths = [Point(ANY, column) for column in (*Column, *Column, *Column)]
    assert await run_deaths(directory, PLAIN, deaths) == []
