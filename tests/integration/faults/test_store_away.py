"""The database cannot be written (F14): nothing new begins, what runs goes on, and all is well once it can be again."""

import asyncio
import os
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import grpc
import pytest

from broker.errors import StoreLost, StoreUnavailable
from broker.testing.backend import Ledger
from tests.integration.faults.world import World, locked_by_another_process, running_world, told, until

FULL_DISK_KIB = 1024


@contextmanager
def small_disk() -> Iterator[Path | None]:
    """A file system of its own with little room; None where this process may not mount one."""
    with tempfile.TemporaryDirectory(prefix="agentbroker-disk-") as name:
        options = f"size={FULL_DISK_KIB}k,mode=0700"
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", name], capture_output=True, check=False)
        try:
            yield Path(name) if done.returncode == 0 else None
        finally:
            if done.returncode == 0:
                subprocess.run(["umount", "-l", name], check=True)


@asynccontextmanager
async def full_disk(world: World, disk: Path | None) -> AsyncIterator[None]:
    """Fills the disk to its last byte; where there is none of its own, SQLite is told that it is full."""
    if disk is None:
        with told(world.broker.ctx.database, "PRAGMA max_page_count = 1", "PRAGMA max_page_count = 1073741823"):
            yield
        return
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while file.write(b"x" * size):
                    pass
            except OSError:
                continue
    try:
        yield
    finally:
        filler.unlink()


async def refused(world: World, words: str) -> None:
    """New requests are refused with the reason, /readyz says it, the process lives, and nothing was launched."""
    for name in ("linux-000008", "linux-000009"):
        code, said = await world.ask(name, job="x" * 1_990)
        assert (code, words in said) == (grpc.StatusCode.UNAVAILABLE, True), said
    assert words in await world.store_line()
    assert await world.alive()
    assert {"linux-000008", "linux-000009"}.isdisjoint(spec.name for spec in world.ledger.calls)
    assert world.ledger.terminations.total() == 0


async def well_again(world: World, count: int) -> None:
    """It takes requests again, by itself; those refused were never taken, and nothing is doubled or lost."""

    async def accepted() -> bool:
        return (await world.ask("linux-000008"))[0] is grpc.StatusCode.OK

    await until(accepted)
    await world.launched(count + 1)

    async def ready() -> bool:
        return await world.store_line() == "store: ok"

    await until(ready)


@pytest.mark.parametrize("own_disk", [True, False], ids=["a disk of its own", "as SQLite tells it"])
async def test_a_full_disk(tmp_path: Path, own_disk: bool) -> None:
    with ExitStack() as stack:
        disk = stack.enter_context(small_disk()) if own_disk else None
        root = tmp_path if disk is None else disk
        async with running_world(root) as world:
            assert (await world.ask("linux-000001"))[0] is grpc.StatusCode.OK
            await world.launched(1)
            async with full_disk(world, disk):
                taken = await use_up_pages(world)
                await refused(world, "database or disk is full")
            await well_again(world, 1 + taken)


async def use_up_pages(world: World) -> int:
    """Room in pages that are there already is used first; how many agents have found place in it."""
    for number in range(200):
        if (await world.ask(f"filler-{number:06}", job="x" * 1_900))[0] is not grpc.StatusCode.OK:
            return number
    raise AssertionError("it takes more than there is room for")


async def test_a_database_that_turns_read_only(tmp_path: Path) -> None:
    async with running_world(tmp_path) as world:
        assert (await world.ask("linux-000001"))[0] is grpc.StatusCode.OK
        await world.launched(1)
        with told(world.broker.ctx.database, "PRAGMA query_only = ON", "PRAGMA query_only = OFF"):
            await refused(world, "attempt to write a readonly database")
        await well_again(world, 1)


async def test_a_database_that_another_process_has_locked(tmp_path: Path) -> None:
    async with running_world(tmp_path) as world:
        assert (await world.ask("linux-000001"))[0] is grpc.StatusCode.OK
        await world.launched(1)
        async with locked_by_another_process(tmp_path / "state" / "broker.db"):
            await refused(world, "database is locked")
        await well_again(world, 1)


async def test_many_who_wait_for_a_locked_database_are_answered_together(tmp_path: Path) -> None:
    async with running_world(tmp_path) as world, locked_by_another_process(tmp_path / "state" / "broker.db"):
        started = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(world.ask(f"linux-0000{n}"), name=f"ask-{n}") for n in range(10, 20)]
        assert {task.result()[0] for task in tasks} == {grpc.StatusCode.UNAVAILABLE}
        assert asyncio.get_running_loop().time() - started < 18, "not one after the other"


@pytest.mark.parametrize("suffix", ["", "-wal"], ids=["the file", "its write-ahead log"])
async def test_a_file_deleted_under_the_broker_ends_it_and_the_next_one_goes_on(tmp_path: Path, suffix: str) -> None:
    ledger = Ledger()

    async def lose_it() -> None:
        async with running_world(tmp_path, ledger) as world:
            assert (await world.ask("linux-000001"))[0] is grpc.StatusCode.OK
            await world.launched(1)
            (tmp_path / "state" / f"broker.db{suffix}").unlink()
            await asyncio.sleep(20)

    with pytest.raises(ExceptionGroup) as raised:
        await lose_it()
    assert raised.group_contains(StoreLost, match="was deleted or replaced under the running broker")
    assert ledger.terminations.total() == 0
    if suffix:
        async with running_world(tmp_path, ledger) as world:
            assert [agent.name for agent in await world.broker.ctx.agents.live()] == ["linux-000001"]
            await well_again(world, 1)


async def test_a_damaged_file_starts_nothing_and_ends_nothing(tmp_path: Path) -> None:
    ledger, path = Ledger(), tmp_path / "state" / "broker.db"
    async with running_world(tmp_path, ledger) as world:
        assert (await world.ask("linux-000001"))[0] is grpc.StatusCode.OK
        await world.launched(1)
    with path.open("r+b") as file:  # all but the first page
        file.seek(4096)
        file.write(os.urandom(path.stat().st_size - 4096))

    async def start() -> None:
        async with running_world(tmp_path, ledger):
            await asyncio.sleep(1)

    with pytest.raises(StoreUnavailable, match=r"broker\.db: .*(malformed|not a database)"):
        await start()
    assert ledger.total_created() == 1
    assert ledger.terminations.total() == 0
