"""The table at the end of a run: which real components, of which version, how many tests ran against them.

A test says what it runs against with `@pytest.mark.component("prometheus")`; the fixture that starts it says
`record_component("prometheus", "2.42.0")`. Tests marked jenkins and agentjar belong to components of those names.
A test's report carries both, for the process that runs it is another one than the one that counts.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

_KEY = "component"
_versions = pytest.StashKey[dict[str, str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_versions] = {}
    config.pluginmanager.register(Table())


@pytest.fixture(scope="session")
def record_component(pytestconfig: pytest.Config) -> Callable[[str, str], None]:
    """Says which version of a component this run meets, such as the X-Jenkins header for "jenkins"."""
    return pytestconfig.stash[_versions].__setitem__


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call" and not report.skipped:
        versions = item.config.stash[_versions]
        report.user_properties += [(_KEY, (name, versions.get(name, ""))) for name in _components(item)]
    return report


def _components(item: pytest.Item) -> set[str]:
    names = {str(marker.args[0]) for marker in item.iter_markers("component")}
    return names | {name for name in ("jenkins", "agentjar") if item.get_closest_marker(name)}


class Table:
    """What the reports of a run have told."""

    def __init__(self) -> None:
        self._runs: Counter[str] = Counter()
        self._versions: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call":
            return
        for key, value in report.user_properties:
            if key == _KEY:
                name, version = map(str, value)  # type: ignore[call-overload]
                self._runs[name] += 1
                if version:
                    self._versions[name] = version

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
        if self._runs:
            rows = [("component", "version", "tests run")]
            rows += [(name, self._version(name), str(self._runs[name])) for name in sorted(self._runs)]
            widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
            terminalreporter.section("components")
            for row in rows:
                terminalreporter.line(
                    "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
                )
        if config.option.markexpr == "jenkins":
            _summarise_jenkins(terminalreporter, self._versions.get("jenkins", "not read"))

    def _version(self, name: str) -> str:
        return self._versions.get(name, "not recorded")


def _summarise_jenkins(terminalreporter: pytest.TerminalReporter, header: str) -> None:
    passed, skipped = (len(terminalreporter.getreports(outcome)) for outcome in ("passed", "skipped"))
    war = os.environ.get("JENKINS_WAR")
    digest = hashlib.sha256(Path(war).read_bytes()).hexdigest() if war else "JENKINS_WAR is not set"
    terminalreporter.section("jenkins")
    terminalreporter.line(f"{passed} passed, {skipped} skipped")
    terminalreporter.line(f"war SHA-256  {digest}")
    terminalreporter.line(f"X-Jenkins    {header}")
