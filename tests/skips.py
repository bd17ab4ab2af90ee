"""Which tests may be skipped: those that need something given from outside. In CI any other skip is a failure."""

import os
from collections.abc import Generator
from typing import Any

import pytest

NEEDS = {"jenkins": "JENKINS_WAR", "agentjar": "AGENT_JAR", "cloud": "AGENTBROKER_TEST_CLOUD"}
"""Marker of an opt-in test → the environment variable that gives what it needs."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for marker, variable in NEEDS.items():
            if item.get_closest_marker(marker) and not os.environ.get(variable):
                item.add_marker(pytest.mark.skip(reason=f"needs {variable}"))


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and not any(map(item.get_closest_marker, NEEDS)):
        _fail_in_ci(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if report.skipped:  # a whole module skipped itself, so its markers are unknown
        _fail_in_ci(report)
    return report


def _fail_in_ci(report: Any) -> None:
    if os.environ.get("CI", "").lower() in {"", "0", "false"}:
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
    report.outcome = "failed"
    report.longrepr = f"in CI a skip is a failure ({', '.join(NEEDS)} tests aside): {reason}"
