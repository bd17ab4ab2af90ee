"""How far apart the versions of the two sides may be."""

import re
from typing import Final

MOST_APART: Final = 2
"""Minor versions, older or newer: what one side does not know of the other it leaves out, and nothing is lost by it."""
_VERSION: Final = re.compile(r"(\d{1,6})\.(\d{1,6})(?:\D.*)?")


def too_far_apart(broker: str, client: str) -> str:
    """What to do about a controller whose files are of another version; empty where they may work together.

    A version that cannot be read, such as that of a simulated controller, is no reason for a word.
    """
    ours, theirs = _VERSION.fullmatch(broker), _VERSION.fullmatch(client)
    if ours is None or theirs is None:
        return ""
    (major, minor), (their_major, their_minor) = (tuple(map(int, found.groups())) for found in (ours, theirs))
    if major == their_major and abs(minor - their_minor) <= MOST_APART:
        return ""
    step = "run: agentbroker init jenkins" if (their_major, their_minor) < (major, minor) else "upgrade the broker"
    which = f"the files in Jenkins are of version {client}, this broker of {broker}"
    return f"{which}: more than {MOST_APART} minor versions apart; {step}"
