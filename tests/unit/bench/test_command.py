"""The command that runs benchmarks: its list, its answer, its refusal."""

import json
import sys
from typing import cast

import pytest

from tests.benchmarks import __main__ as command
from tests.benchmarks.bare_cloud import BARE, DEFAULT
from tests.benchmarks.bursts import Bursts, rounds
from tests.benchmarks.figures import Benchmark, Figure, percentile
from tests.jenkins.rig import Rig


async def run() -> dict[str, Figure]:
    print("it may say something first")
    return {"speed_ms": Figure(value=1.5, unit="ms", target="<= 2", how="by a watch")}


@pytest.fixture(autouse=True)
def _benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "BENCHMARKS", {"fast": Benchmark(name="fast", summary="how fast", run=run)})


def seen(asked: list[tuple[int, ...]], sizes: tuple[int, ...]) -> Benchmark:
    asked.append(sizes)
    return command.BENCHMARKS["fast"]


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


def test_sizes_of_bursts_are_numbers_with_commas_and_may_be_none_at_all(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[int, ...]] = []
    monkeypatch.setattr(command, "BENCHMARKS", command.BENCHMARKS | {"jenkins": command.BENCHMARKS["fast"]})
    monkeypatch.setattr(command, "jenkins_side", lambda sizes: seen(asked, sizes))
    for words in (["--builds", "1,20"], ["--builds="]):
        assert call(monkeypatch, "jenkins-of-the-test", *words) == 2, "a name first"
        assert call(monkeypatch, "jenkins", *words) == 0
    assert asked == [(1, 20), ()]
    assert "speed_ms" in capsys.readouterr().out


def test_a_larger_burst_is_measured_less_often_but_once() -> None:
    assert [rounds(size) for size in (1, 20, 100)] == [10, 2, 1]


def test_ratios_are_of_the_same_size_and_say_both_sides() -> None:
    bursts = Bursts(cast(Rig, None))
    bursts.waits = {("linux", 1): [2.0, 3.0], (BARE, 1): [2.0, 2.0], (DEFAULT, 1): [20.0], ("linux", 20): [4.0]}
    figures = bursts.figures([1, 20], "here")
    assert {key: figure.value for key, figure in figures.items()} == {
        "queue_to_online_p95_vs_bare_no_delay_1": 1.5,
        "queue_to_online_p50_vs_default_strategy_1": 0.1,
    }
    assert "ours p50 2.00 s, p95 3.00 s (2.00 to 3.00, n=2)" in figures["queue_to_online_p95_vs_bare_no_delay_1"].how


def test_a_profile_is_told_instead_of_figures_and_an_unknown_one_is_refused_with_the_known_ones(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def profile() -> None:
        print("most of it in one place", file=sys.stderr)

    fast = Benchmark(name="fast", summary="how fast", run=run, profiles={"speed_ms": profile})
    monkeypatch.setattr(command, "BENCHMARKS", {"fast": fast})
    assert call(monkeypatch, "fast", "--profile", "speed_ms") == 0
    assert capsys.readouterr() == ("", "most of it in one place\n")
    assert call(monkeypatch, "fast", "--profile", "size") == 2
    assert capsys.readouterr().err == "no profile of 'size' in fast; there are: speed_ms\n"
