"""`docs/reference/config.md`: every key of the config, made from the models.

`python -m broker.config.reference` prints it; `make docs` writes the file.
"""

import sys

from broker.config.documented import KeyDoc, walk
from broker.config.schema import inline

_HEAD = """# The keys of `broker.yaml`

Made from the code by `make docs`. `agentbroker config explain PATH` says the same of one key; `*` stands for a name or
for an item of a list. A key without a default is left out unless it is required.
"""


_TABLE = "| key | what | type | default or example |\n|---|---|---|---|\n"


def text() -> str:
    """The page."""
    lines, section = [_HEAD], ""
    for doc in walk():
        top = doc.path.partition(".")[0]
        if top != section:
            section = top
            lines.append(f"\n## {top}\n\n{_TABLE}")
        lines.append(_row(doc))
    return "".join(lines)


def _row(doc: KeyDoc) -> str:
    if doc.keys:
        value = "required" if doc.required else ""  # its keys have rows of their own
    elif doc.required:
        value = f"required; `{inline(doc.examples[0])}`"
    elif doc.default not in (None, {}, []):
        value = f"`{inline(doc.default)}`"
    else:
        value = f"such as `{inline(doc.examples[0])}`"
    owners = f" *({', '.join(doc.only_for)})*" if doc.only_for else ""
    what = f"{doc.description}{owners}"
    return f"| `{doc.path}` | {_cell(what)} | {_cell(doc.kind)} | {_cell(value)} |\n"


def _cell(words: str) -> str:
    return words.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    sys.stdout.write(text())
