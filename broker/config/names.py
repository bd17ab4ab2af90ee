"""How the things of a config may be called."""

import re
from typing import Final

_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?", re.ASCII)
_LOOSE_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?", re.ASCII)

NAMED: Final = {
    "controllers": _NAME,  # in the path of agents' URLs
    "policies": _NAME,  # in agents' names
    "backends": _LOOSE_NAME,
    "templates": _LOOSE_NAME,
    "pools": _LOOSE_NAME,
}


def allowed_in(noun: str) -> str:
    """What a name may hold, in words, beside letters and digits."""
    return "and '-'" if NAMED[noun] is _NAME else "'-' and '_'"
