"""What every test gets: the rule about skips, the table of real components, and an interrupt that is not ignored."""

import signal

pytest_plugins = ["pytester", "tests.skips", "tests.report", "tests.podman", "tests.postgres"]


def pytest_configure() -> None:
    """A shell that starts the tests in the background has them ignore SIGINT, and with them what they start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
