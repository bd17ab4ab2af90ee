"""What every test gets: the rule about skips, the table of real components, SIGINT, a log that no other has set up."""

import logging
import signal
from collections.abc import Iterator

import pytest
import structlog

pytest_plugins = [
    "pytester",
    "tests.skips",
    "tests.report",
    "tests.podman",
    "tests.postgres",
    "tests.emulators",
    "tests.vms",
]


def pytest_configure() -> None:
    """A shell that starts the tests in the background has them ignore SIGINT, and with them what they start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    """A command that ran in this process has set up the log of it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    if structlog.is_configured():
        structlog.reset_defaults()
        root.handlers[:], root.level = handlers, level
