"""What the person may have meant."""

import difflib
import re
from collections.abc import Iterable, Mapping

from broker.config.diagnostics import Note, Span


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that is most like `word`, whatever the case and with camelCase read as snake_case."""
    known = list(known)
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", word).lower().replace("-", "_")
    by_form = {name.lower().replace("-", "_"): name for name in known}
    if snake in by_form:
        return by_form[snake]
    found = difflib.get_close_matches(word, known, n=1) or difflib.get_close_matches(snake, by_form, n=1)
    return by_form.get(found[0], found[0]) if found else None


def unknown(name: str, defined: Mapping[str, Span], plural: str) -> tuple[Note, ...]:
    """Help for a name that is not defined: the nearest with its place, else all there are."""
    if not defined:
        return (Note("help", f"no {plural} are defined"),)
    if name_meant := nearest(name, defined):
        return (Note("help", f"did you mean '{name_meant}' (defined at {defined[name_meant]})?"),)
    return (Note("help", f"defined {plural}: {', '.join(defined)}"),)
