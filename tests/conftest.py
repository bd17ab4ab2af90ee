"""What every test gets: the rule about skips and the table of real components."""

pytest_plugins = ["pytester", "tests.skips", "tests.report", "tests.podman", "tests.postgres"]
