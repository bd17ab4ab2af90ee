"""The page that says which files a request goes through is compared with a request that goes through."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.world import QUICK, World, until

PAGE = Path(__file__).parents[2] / "broker" / "ARCHITECTURE.md"
REQUEST, ANY_TIME = "One request through the files", "At any time"


def files_under(heading: str) -> set[str]:
    """Paths in backticks in a section of the page, such as `rpc/service.py`: counted from broker/."""
    _, found, section = PAGE.read_text().partition(f"## {heading}\n")
    assert found, f"ARCHITECTURE.md has no section {heading!r}"
    section = re.split(r"^## ", section, flags=re.MULTILINE)[0]
    return {path.removeprefix("broker/") for path in re.findall(r"`([a-z0-9_/]+\.py)`", section)}


@pytest.fixture
def traces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "traces"
    directory.mkdir()
    monkeypatch.setenv("AGENTBROKER_TRACE_DIR", str(directory))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent / "tracing"))
    return directory


@pytest.fixture
def traced_world(traces: Path, tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "run")
    try:
        world.start()
        yield world
    finally:
        world.stop()


def signal_servers(traces: Path, number: signal.Signals, *, but: set[int]) -> list[int]:
    pids = [int(path.stem) for path in traces.glob("*.ready")]
    living = [pid for pid in pids if pid not in but and Path(f"/proc/{pid}").exists()]
    for pid in living:
        os.kill(pid, number)
    return living


def entered_by_one_build(world: World, traces: Path) -> set[str]:
    until(lambda: "gateway_linked" in (world.stack.root / "gateway.log").read_text())
    controllers = {child.pid for child in world.controller.children()}
    signal_servers(traces, signal.SIGUSR1, but=controllers)
    world.controller.queue(1, label=QUICK, seconds=0.5)
    until(world.have_ended)
    assert world.results() == ["SUCCESS"]
    assert not world.left_behind()
    pids = signal_servers(traces, signal.SIGUSR2, but=controllers)
    assert len(pids) >= 2, "broker and gateway"
    files = [traces / f"{pid}.entered" for pid in pids]
    until(lambda: all(file.exists() for file in files))
    return {line for file in files for line in file.read_text().splitlines()}


def test_one_request_goes_through_the_files_that_the_page_names_and_no_others(
    traced_world: World, traces: Path
) -> None:
    entered, named = entered_by_one_build(traced_world, traces), files_under(REQUEST)
    assert sorted(entered - named - files_under(ANY_TIME)) == [], f"entered, but not on the page under {REQUEST!r}"
    assert sorted(named - entered) == [], f"on the page under {REQUEST!r}, but not entered"
