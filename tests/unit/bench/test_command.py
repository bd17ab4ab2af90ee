"""The command that runs benchmarks: its list, its answer, its refusal."""

import json

import pytest

from tests.benchmarks import __main__ as command
from tests.benchmarks.figures import Benchmark, Figure, percentile


async def run() -> dict[str, Figure]:
    print("it may say something first")
    return {"speed_ms": Figure(value=1.5, unit="ms", target="<= 2", how="by a watch")}


@pytest.fixture(autouse=True)
def _benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "BENCHMARKS", {"fast": Benchmark(name="fast", summary="how fast", run=run)})


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["benchmarks", *arguments])
    return command.main()


def test_without_a_name_it_lists(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch) == 0
    assert capsys.readouterr().out.split() == ["fast", "how", "fast"]


def test_the_last_line_is_one_object(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch, "fast", "-o", "json") == 0
    figure = {"value": 1.5, "unit": "ms", "target": "<= 2", "how": "by a watch"}
    last = capsys.readouterr().out.splitlines()[-1]
    assert json.loads(last) == {"benchmark": "fast", "figures": {"speed_ms": figure}}


def test_an_unknown_name_is_refused_with_the_known_ones(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "slow") == 2
    assert capsys.readouterr().err == "no benchmark 'slow'; there are: fast\n"


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(n) for n in range(1, 101)]
    assert [percentile(values, p) for p in (50, 99, 100)] == [50.0, 99.0, 100.0]
    assert percentile([7.0], 50) == 7.0
