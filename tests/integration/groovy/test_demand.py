"""What Groovy counts as missing is what the simulated controller counts, whose traces tell of over-provision."""

from pathlib import Path

import pytest

from tests import demand_cases, spare_cases
from tests.benchmarks import traces
from tests.benchmarks.ours import Ours
from tests.benchmarks.over_provision import TRACES
from tests.benchmarks.replay import replay
from tests.demand_cases import Case
from tests.integration.groovy.test_scripts import run

pytestmark = [pytest.mark.component("groovy"), pytest.mark.timeout(180)]


def test_the_shortage_is_the_least_that_any_assignment_leaves_and_that_of_the_table() -> None:
    assert f"demand: {len(demand_cases.read()) + 1} passed" in run("DemandTest.groovy", demand_cases.TABLE)


def test_every_counting_of_the_traces_is_the_same_in_groovy(tmp_path: Path) -> None:
    ours = Ours()
    for trace in TRACES.values():
        replay(trace, ours)
    cases = [
        Case(says=says, waiting=waiting, places=places, left=left)
        for says, (waiting, places, left) in ours.countings.items()
    ]
    assert len(cases) > 1000, "so that something is compared"
    demand_cases.write(cases, tmp_path / "cases.json")
    assert f"demand: {len(cases) + 1} passed" in run("DemandTest.groovy", tmp_path / "cases.json")


def test_what_is_given_back_is_what_the_table_says() -> None:
    assert f"spare: {len(spare_cases.read()) + 1} passed" in run("SpareTest.groovy", spare_cases.TABLE)


def test_all_that_is_given_back_in_the_traces_is_the_same_in_groovy(tmp_path: Path) -> None:
    ours = Ours()
    for trace in (TRACES["over_provision_cancel_storm"], traces.superseded(100, late_ms=3000)):
        replay(trace, ours)
    assert len(ours.choices) > 300, "so that something is compared"
    assert any(one.given_back and one.launched_too for one in ours.choices)
    spare_cases.write(ours.choices, tmp_path / "cases.json")
    assert f"spare: {len(ours.choices) + 1} passed" in run("SpareTest.groovy", tmp_path / "cases.json")
