"""The version of this distribution, and the commit that it was built from."""

from importlib import metadata
from pathlib import Path
from typing import Final

VERSION: Final = metadata.version("jenkins-agentbroker")
_FILE: Final = Path(__file__).with_name("revision.txt")
REVISION: Final = _FILE.read_text().strip() if _FILE.is_file() else ""
"""As `make wheel` wrote it, with `-changed` where the work tree was not that commit; empty in a clone."""
