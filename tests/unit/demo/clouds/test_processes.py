"""Processes that stand for containers."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from broker.demo.clouds.processes import Processes, Work
from broker.demo.leftovers import marked_processes


class Ends:
    """The exit codes that were told, by name."""

    def __init__(self) -> None:
        self.codes: dict[str, int] = {}
        self.lines: list[str] = []
        self._told = asyncio.Event()

    def of(self, name: str) -> Callable[[int], Awaitable[None]]:
        """What a container is given to tell its end."""

        async def ended(code: int) -> None:
            self.codes[name] = code
            self._told.set()

        return ended

    def shell(self, name: str, script: str, **environment: str) -> Work:
        """A container that runs a script."""
        return Work(
            name=name,
            environment=environment,
            entry_point=("/bin/sh", "-c"),
            command=(script,),
            log=self.lines.append,
            ended=self.of(name),
        )

    async def wait(self, count: int = 1) -> None:
        """Until so many have ended."""
        async with asyncio.timeout(20):
            while len(self.codes) < count:
                self._told.clear()
                await self._told.wait()


async def _until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not reached():  # noqa: ASYNC110  # the process table tells nobody
            await asyncio.sleep(0.02)


async def test_a_container_tells_its_lines_and_its_exit_code_and_leaves_no_directory(tmp_path: Path) -> None:
    ends = Ends()
    async with Processes(tmp_path / "tasks", ("false",)) as processes:
        processes.start(ends.shell("a", 'echo "in $(basename "$PWD") as $WHO"; exit 3', WHO="me"))
        await ends.wait()
    assert (ends.codes, ends.lines) == ({"a": 3}, ["in a as me"])
    assert list((tmp_path / "tasks").iterdir()) == []


async def test_a_container_that_hears_the_signal_ends_by_itself_and_another_is_killed(tmp_path: Path) -> None:
    ends = Ends()
    async with Processes(tmp_path, ("false",)) as processes:
        processes.start(ends.shell("polite", "trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done"))
        processes.start(ends.shell("deaf", "trap '' TERM; echo ready; while :; do sleep 0.05; done"))
        await _until(lambda: ends.lines.count("ready") == 2)
        for name in ("polite", "deaf"):
            processes.stop(name, 0.3)
            processes.stop(name, 0.3)
        await ends.wait(2)
    assert ends.codes == {"polite": 7, "deaf": 137}


async def test_what_a_container_has_started_ends_with_it(tmp_path: Path) -> None:
    ends = Ends()
    async with Processes(tmp_path, ("false",)) as processes:
        processes.start(ends.shell("a", "sleep 300 & echo left", FAKE_MARK="one-of-these"))
        await ends.wait()
        await _until(lambda: marked_processes("FAKE_MARK=one-of-these") == [])
    assert ends.codes == {"a": 0}


async def test_leaving_kills_all_that_runs_and_tells_nobody_in_vain(tmp_path: Path) -> None:
    ends = Ends()
    async with Processes(tmp_path, ("false",)) as processes:
        for name in ("a", "b"):
            processes.start(ends.shell(name, "echo up; sleep 300", FAKE_MARK="left-at-the-end"))
        await _until(lambda: ends.lines.count("up") == 2)
        processes.start(ends.shell("just now", "sleep 300", FAKE_MARK="left-at-the-end"))
    assert set(ends.codes.values()) == {137}
    assert marked_processes("FAKE_MARK=left-at-the-end") == []


async def test_a_command_that_is_not_there_is_exit_code_127(tmp_path: Path) -> None:
    ends = Ends()
    async with Processes(tmp_path, ("false",)) as processes:
        processes.start(
            Work(name="a", environment={}, command=("/no/such",), log=ends.lines.append, ended=ends.of("a"))
        )
        await ends.wait()
    assert ends.codes == {"a": 127}
    assert "/no/such" in ends.lines[0]


@pytest.mark.parametrize("size", [1 << 10, 1 << 20])
async def test_long_lines_do_not_hold_a_container_up(tmp_path: Path, size: int) -> None:
    ends = Ends()
    async with Processes(tmp_path, ("false",)) as processes:
        script = f"import sys; sys.stdout.write('x' * {size}); print('end')"
        work = Work(
            name="a",
            environment={},
            entry_point=(sys.executable, "-c"),
            command=(script,),
            log=ends.lines.append,
            ended=ends.of("a"),
        )
        processes.start(work)
        await ends.wait()
    assert ends.codes == {"a": 0}
