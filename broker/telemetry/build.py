"""What is running."""

from importlib import metadata


def running_version() -> str:
    """The version of the installed distribution; `unknown` in a clone that was not installed."""
    try:
        return metadata.version("jenkins-agentbroker")
    except metadata.PackageNotFoundError:
        return "unknown"
