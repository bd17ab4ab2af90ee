"""A thousand agents through one broker: nothing of them stays in memory, and their file does not grow."""

import gc
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from sqlalchemy import text

from broker.reconcile.prune import prune
from tests.core import Core, open_core
from tests.fleet import bring_online, count_online, forget, give_back

AGENTS, WAVES = 1000, 5
FIRST = 3
"""So many waves make what is made once."""
WAVE = AGENTS // WAVES


@pytest.fixture
def directory() -> Iterator[Path]:
    """In memory where there is such a place."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as made:
        yield Path(made)


def kept(core: Core) -> dict[str, int]:
    """Everything of the core that could grow with the agents that it has seen."""
    ctx, keys, presence = core.ctx, core.loop.queue.keys, core.ctx.presence
    nodes = [len(c.nodes) + len(c.was_online) for c in presence._controllers.values()]
    return {
        "seen": len(ctx.seen),
        "terminate_called": len(ctx.terminate_called),
        "alerted": len(ctx.alerted),
        "given_up": len(ctx.given_up),
        "launches": len(ctx.bulkhead._calls) + len(ctx.bulkhead._lines),
        "ends": sum(map(len, ctx.ends._lines.values())),
        "worded": len(ctx.standing.worded),
        "rows": len(ctx.agents.rows._known),
        "placed": len(ctx.placed),
        "in line to end": sum(len(line) for line in ctx.ends._lines.values()),
        "uncalled": len(ctx.uncalled),
        "failures": len(core.loop._failures),
        "suspects": len(core.orphans._suspects),
        "sessions": len(core.sessions.all()),
        "nodes": sum(nodes),
        "keys": len(keys._waiting) + len(keys._busy) + len(keys._again) + len(keys._due) + len(keys._heap),
        "instances": len(core.backend.ledger.instances),
    }


def series(core: Core) -> int:
    return sum(not line.startswith(b"#") for line in generate_latest(core.ctx.metrics.registry).splitlines())


def objects() -> int:
    """Without weak references, which the pool of connections makes and drops at times of its own."""
    gc.collect()
    return sum(type(found) is not weakref.ReferenceType for found in gc.get_objects())


async def file_size(core: Core, path: Path) -> int:
    """With all that was written in it."""
    async with core.ctx.database.reading() as connection:
        await connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
    return path.stat().st_size


@pytest.mark.timeout(300)
async def test_a_thousand_agents_leave_nothing_in_memory_and_their_file_does_not_grow(directory: Path) -> None:
    async with open_core(directory / "broker.db") as core:
        counts, sizes, shown = list[int](), list[int](), list[int]()
        for _ in range(WAVES):
            names = await bring_online(core, WAVE)
            assert await count_online(core) == WAVE
            assert kept(core)["keys"] <= 2 * WAVE + 100, "a queue holds each key a bounded number of times"
            await give_back(core, names)
            assert not any(kept(core).values()), kept(core)
            forget(core)
            await core.clock.advance(core.ctx.keep_history.total_seconds() + 1)
            assert await prune(core.ctx) >= WAVE
            counts.append(objects())
            sizes.append(await file_size(core, directory / "broker.db"))
            shown.append(series(core))
        more = counts[-1] - counts[FIRST - 1]
        assert more < (WAVES - FIRST) * WAVE / 10, "less than an object for ten agents: nothing is kept of any"
        assert sizes[-1] <= 1.05 * sizes[0], "what was pruned makes room for what comes"
        assert set(shown) == {shown[0]}
