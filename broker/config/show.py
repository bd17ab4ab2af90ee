"""What is in force, for people to read: units as in the file, secrets masked."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from broker.config.model import BrokerFile
from broker.config.model_pools import BACKEND_KEYS, POOL_KEYS
from broker.config.secrets import is_secret
from broker.config.suggest import nearest

MASKED: Final = "********"


def content(file: BrokerFile, *, defaults: bool = True) -> dict[str, object]:
    """The content with inheritance resolved; `defaults` adds what the file leaves unsaid. Holds its secrets."""
    found: dict[str, Any] = file.model_dump(mode="json", by_alias=True, exclude_unset=not defaults, exclude_none=True)
    types = {name: backend.type for name, backend in file.backends.items()}
    for name, pool in file.pools.items():
        _drop(found["pools"][name], types.get(pool.backend, pool.backend), POOL_KEYS)
    for name, backend in file.backends.items():
        _drop(found["backends"][name], backend.type, BACKEND_KEYS)
    return found


def _drop(thing: dict[str, Any], kind: str, table: Mapping[str, frozenset[str]]) -> None:
    """Leaves out the defaults of keys that belong to other types."""
    foreign = frozenset().union(*table.values()) - table.get(kind, frozenset())
    for key in foreign & thing.keys() if kind in table else ():
        del thing[key]


def effective(file: BrokerFile, *, defaults: bool) -> dict[str, object]:
    """The content with secrets masked."""
    return masked(content(file, defaults=defaults))


def masked(content: Mapping[str, object]) -> dict[str, object]:
    """A content that may be shown."""
    return {key: _masked(value, (key,)) for key, value in content.items()}


def _masked(value: object, path: tuple[str | int, ...]) -> object:
    if isinstance(value, dict):
        return {key: _masked(below, (*path, str(key))) for key, below in value.items()}
    if isinstance(value, list):
        return [_masked(below, (*path, n)) for n, below in enumerate(value)]
    return MASKED if is_secret(path) else value


def find(content: object, path: str) -> object:
    """The value at a dotted path; the empty path is everything. Raises KeyError with a sentence that suggests."""
    done: list[str] = []
    for part in _parts(path):
        entries = content if isinstance(content, dict) else {}
        if isinstance(content, list) and part.isdecimal() and int(part) < len(content):
            content = content[int(part)]
        elif part in entries:
            content = entries[part]
        else:
            where = f"in '{'.'.join(done)}'" if done else "at the top"
            meant = nearest(part, [str(key) for key in entries])
            raise KeyError(f"no '{part}' {where}{f'; did you mean {meant!r}?' if meant else ''}")
        done.append(part)
    return content


def _parts(path: str) -> Iterator[str]:
    return (part for part in path.split(".") if part)
