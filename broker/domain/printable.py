"""Texts of others as a terminal may be given them."""


def printable(text: str) -> str:
    """A text without what would move a terminal's cursor or colour it: clouds and jobs have their say in it."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)
