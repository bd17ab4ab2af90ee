"""What a crash leaves behind, how soon the next broker is there, and what an agent costs in memory and on disk."""

import gc
import os
import shutil
import tempfile
import tracemalloc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from broker.telemetry import log
from tests.benchmarks.figures import Benchmark, Figure
from tests.benchmarks.recovery import recover
from tests.core import open_core
from tests.crash.containers import Containers
from tests.crash.ground import Ground, Killing
from tests.crash.matrix import run_cell
from tests.crash.plans import CONTAINED, MATRIX, REAL, TWICE, Cell
from tests.crash.points import Column
from tests.crash.processes import Processes
from tests.fleet import bring_online, count_online, forget, give_back
from tests.podman import TestEngine, _load, own_podman

_AGENTS: Final = 1000
_WARM_UP: Final = 100
_MEASURED: Final = 500


async def _run() -> Mapping[str, Figure]:
    log.configure("console", "error")
    cells = await _matrix()
    serving, reconciled, cpu = await recover(_AGENTS)
    memory, database, drift = await _cost()
    asked = f"the growth of the file by {_MEASURED} agents, from asked to gone"
    online = f"tracemalloc, {_MEASURED} more agents online on the fake backend"
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    how = f"a real broker with {_AGENTS} agents online, SIGKILL, started at once; the rest lives on; {load}"
    return {
        **cells,
        "serving_after_kill_s": Figure(
            value=serving,
            unit="s",
            target="<= 2",
            how=f"{how}; until a Handshake is answered ({cpu:.2f} s of CPU)",
        ),
        "reconciled_after_kill_s": Figure(
            value=reconciled, unit="s", target="<= 5", how=f"{how}; until every agent and instance was looked at"
        ),
        "memory_kib_per_agent": Figure(
            value=memory,
            unit="KiB",
            target="<= 6",
            how=online,
        ),
        "memory_kib_per_gone_agent": Figure(
            value=drift, unit="KiB", target="about 0", how=f"the same after these {_MEASURED} are gone"
        ),
        "database_kib_per_finished_agent": Figure(
            value=database,
            unit="KiB",
            target="<= 4",
            how=asked,
        ),
    }


async def _matrix() -> Mapping[str, Figure]:
    """Runs every cell and prints the table."""
    found: dict[str, dict[Cell, list[str]]] = {"fake": {}, "fake, twice": {}, "process": {}}
    with tempfile.TemporaryDirectory(prefix="agentbroker-matrix-") as folder:
        root = Path(folder)
        for number, cell in enumerate(MATRIX):
            for again, row in enumerate(("fake", "fake, twice")):
                if again and cell not in TWICE:
                    continue
                (place := root / f"{number}-{again}").mkdir()
                found[row][cell] = await run_cell(place, cell, again=bool(again))
        (place := root / "process").mkdir()
        found["process"] = await _killed(place, Processes(place), REAL)
        if shutil.which("podman"):
            (place := root / "container").mkdir()
            with own_podman() as address:
                await _load(address)
                found["container"] = await _killed(place, Containers(place, TestEngine(address=address)), CONTAINED)
    for row, cells in found.items():
        _print_table(row, cells)
    deaths = [broken for cells in found.values() for broken in cells.values()]
    told = ", ".join(f"{len(cells)} {row}" for row, cells in found.items())
    return {
        "crash_matrix_cells": Figure(value=len(deaths), unit="", target=">= 60", how=told),
        "crash_matrix_failures": Figure(
            value=sum(map(bool, deaths)), unit="", target="0", how="cells after which anything leaks, doubles or sticks"
        ),
    }


async def _killed(place: Path, ground: Ground, cells: Sequence[Cell]) -> dict[Cell, list[str]]:
    async with Killing(place, ground).running() as killing:
        return await killing.run(cells, to_the_end=True)


def _print_table(row: str, cells: Mapping[Cell, list[str]]) -> None:
    print(f"\n{row:32}" + "".join(f"{column.value:>22}" for column in Column))
    for write in dict.fromkeys(cell.write for cell in cells):
        of_write = {cell.column: broken for cell, broken in cells.items() if cell.write == write}
        words = ["-" if c not in of_write else "FAILED" if of_write[c] else "ok" for c in Column]
        print(f"{write:32}" + "".join(f"{word:>22}" for word in words))
    for cell, broken in cells.items():
        for text in broken:
            print(f"  {cell}: {text}")


async def _cost() -> tuple[float, float, float]:
    """KiB of memory a live agent, KiB of the file an agent that is gone, and KiB of memory that one leaves."""
    with tempfile.TemporaryDirectory(prefix="agentbroker-cost-") as folder:
        path = Path(folder) / "broker.db"
        async with open_core(path) as core:
            await give_back(core, await bring_online(core, _WARM_UP))
        before = path.stat().st_size
        async with open_core(path) as core:
            await give_back(core, await bring_online(core, _WARM_UP))
            forget(core)
            tracemalloc.start()
            try:
                empty = _traced()
                names = await bring_online(core, _MEASURED)
                assert await count_online(core) == _MEASURED
                full = _traced()
                await give_back(core, names)
                forget(core)
                left = _traced()
            finally:
                tracemalloc.stop()
        after = path.stat().st_size
    agents = _MEASURED + _WARM_UP
    return (full - empty) / _MEASURED / 1024, (after - before) / agents / 1024, (left - empty) / _MEASURED / 1024


def _traced() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


RELIABILITY = Benchmark(
    name="reliability",
    summary="the crash matrix, the time until a killed broker is back, and what an agent costs",
    run=_run,
)
