"""The doc of one key, for a terminal."""

from broker.config.documented import KeyDoc
from broker.config.schema import inline


def explained(doc: KeyDoc) -> str:
    """Path, description, and all that is known of the key, one line each."""
    rows = [("type", doc.kind)]
    if doc.required:
        rows.append(("required", "yes"))
    elif doc.default is not None:
        rows.append(("default", inline(doc.default)))
    rows += [("example", f"{doc.path.rpartition('.')[2]}: {inline(example)}") for example in doc.examples[:3]]
    if doc.unit:
        rows.append(("units", doc.unit))
    if doc.keys:
        rows.append(("keys", ", ".join(doc.keys)))
    if doc.only_for:
        rows.append(("used by", f"backends of type {', '.join(doc.only_for)}"))
    width = max(len(name) for name, _ in rows)
    return "\n".join([doc.path, f"  {doc.description}", "", *(f"  {name:<{width}}  {text}" for name, text in rows)])
