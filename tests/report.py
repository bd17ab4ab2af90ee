"""The table at the end of a run: which real components, of which version, how many tests ran against them.

A test says what it runs against with `@pytest.mark.component("prometheus")`; the fixture that starts it says
`record_component("prometheus", "2.42.0")`. Tests marked jenkins and agentjar belong to components of those names.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

_versions = pytest.StashKey[dict[str, str]]()
_runs = pytest.StashKey[Counter[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_versions] = {}
    config.stash[_runs] = Counter()


@pytest.fixture(scope="session")
def record_component(pytestconfig: pytest.Config) -> Callable[[str, str], None]:
    """Says which version of a component this run meets, such as the X-Jenkins header for "jenkins"."""
    return pytestconfig.stash[_versions].__setitem__


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call" and not report.skipped:
        item.config.stash[_runs].update(_components(item))
    return report


def _components(item: pytest.Item) -> set[str]:
    names = {str(marker.args[0]) for marker in item.iter_markers("component")}
    return names | {name for name in ("jenkins", "agentjar") if item.get_closest_marker(name)}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    versions, runs = config.stash[_versions], config.stash[_runs]
    names = sorted(versions.keys() | runs.keys())
    if names:
        rows = [("component", "version", "tests run")]
        rows += [(name, versions.get(name, "not recorded"), str(runs[name])) for name in names]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        terminalreporter.section("components")
        for row in rows:
            terminalreporter.line(
                "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            )
    if config.option.markexpr == "jenkins":
        _summarise_jenkins(terminalreporter, versions.get("jenkins", "not read"))


def _summarise_jenkins(terminalreporter: pytest.TerminalReporter, header: str) -> None:
    passed, skipped = (len(terminalreporter.getreports(outcome)) for outcome in ("passed", "skipped"))
    war = os.environ.get("JENKINS_WAR")
    digest = hashlib.sha256(Path(war).read_bytes()).hexdigest() if war else "JENKINS_WAR is not set"
    terminalreporter.section("jenkins")
    terminalreporter.line(f"{passed} passed, {skipped} skipped")
    terminalreporter.line(f"war SHA-256  {digest}")
    terminalreporter.line(f"X-Jenkins    {header}")
