"""The version of this distribution."""

from importlib import metadata
from typing import Final

VERSION: Final = metadata.version("jenkins-agentbroker")
