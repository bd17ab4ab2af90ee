"""The tags by which a task definition is known again: its content, and whose it is.

The signature covers family, content and owner: a tag that is copied to another family or content is worth nothing.
"""

import hmac
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

HASH: Final = "agentbroker:hash"
INSTALLATION: Final = "agentbroker:installation"
BACKEND: Final = "agentbroker:backend"
SIGNATURE: Final = "agentbroker:signature"
_OURS: Final = frozenset({HASH, INSTALLATION, BACKEND, SIGNATURE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """Of the definitions that one backend of one broker registers. `sign` signs as only this broker can."""

    installation: str
    backend: str
    sign: Callable[[str], str]

    def tags(self, family: str, content: str) -> list[dict[str, str]]:
        """What a definition of this content gets beside its template's tags."""
        marks = {
            HASH: content,
            INSTALLATION: self.installation,
            BACKEND: self.backend,
            SIGNATURE: self._signature(family, content, self.installation, self.backend),
        }
        return [{"key": key, "value": value} for key, value in marks.items()]

    def content_of(self, family: str, tags: Iterable[Mapping[str, Any]]) -> str:
        """The content hash that a broker with our key has put there; empty if none has."""
        said = _said(tags)
        content = said.get(HASH, "")
        true = self._signature(family, content, said.get(INSTALLATION, ""), said.get(BACKEND, ""))
        return content if hmac.compare_digest(said.get(SIGNATURE, "").encode(), true.encode()) else ""

    def are_ours(self, family: str, tags: Iterable[Mapping[str, Any]]) -> bool:
        """Whether this very backend has registered it."""
        told = list(tags)
        said = _said(told)
        same = (said.get(INSTALLATION), said.get(BACKEND)) == (self.installation, self.backend)
        return same and self.content_of(family, told) != ""

    def _signature(self, family: str, content: str, installation: str, backend: str) -> str:
        return self.sign("\n".join(("task-definition", family, content, installation, backend)))


def others(tags: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The tags that are not marks."""
    return [dict(tag) for tag in tags if tag.get("key") not in _OURS]


def _said(tags: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    return {str(tag.get("key")): str(tag.get("value", "")) for tag in tags}
