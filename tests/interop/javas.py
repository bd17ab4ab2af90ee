"""The Javas of this machine: one that is too old for the controller is looked for where the others are."""

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

NEEDED = 21
"""By the classes of the controller that the tests know."""


def version_of(java: str) -> int:
    """Of a program that is Java; 0 for another."""
    try:
        done = subprocess.run([java, "-version"], check=False, capture_output=True, text=True, timeout=30)
    except OSError:
        return 0
    found = re.search(r'version "(?:1\.)?(\d+)', done.stderr)
    return int(found[1]) if found else 0


@cache
def old_java() -> tuple[str, int] | None:
    """The newest one that is too old, with its version: `AGENT_JAVA_OLD`, or what stands beside the others."""
    known = [java for java in (os.environ.get("AGENT_JAVA"), shutil.which("java")) if java]
    places = {Path(java).resolve().parents[2] for java in known}
    beside = [str(java) for place in places for java in place.glob("*/bin/java")]
    chosen = os.environ.get("AGENT_JAVA_OLD")
    versions = [(version_of(java), java) for java in ([chosen] if chosen else beside)]
    fitting = sorted((version, java) for version, java in versions if 0 < version < NEEDED)
    return (fitting[-1][1], fitting[-1][0]) if fitting else None
