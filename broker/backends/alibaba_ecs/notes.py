"""What this backend would otherwise forget at its end, in the store: which instance is which host, and notices.

All of it can be worked out anew, if less exactly: instances that share an order's tags are told apart by their ids
alone, and a notice has no time of its own.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from broker.domain.ids import HostId
from broker.errors import StoreUnavailable
from broker.ports import Memory

_MOST: Final = 5000


class Notes:
    """By instance id. What cannot be written down is known until the process ends, and written with the next."""

    def __init__(self, memory: Memory) -> None:
        """Nothing is read yet. `memory` is `BackendContext.memory("alibaba:NAME:hosts")`."""
        self._memory = memory
        self._hosts: dict[str, HostId] = {}
        self._notices: dict[str, datetime] = {}
        self._read = False
        self._changed = False

    async def load(self) -> None:
        """Reads what was written; once. What cannot be read now is read the next time."""
        if self._read:
            return
        try:
            text = await self._memory.recall()
        except StoreUnavailable:
            return
        hosts, notices = _parsed(text)
        self._hosts = {**hosts, **self._hosts}
        self._notices = {**notices, **self._notices}
        self._read = True

    def host(self, ref: str) -> HostId | None:
        """Which host it is, if that is known."""
        return self._hosts.get(ref)

    def hosts(self) -> list[HostId]:
        """All that are known."""
        return list(self._hosts.values())

    def learn(self, mapping: Mapping[str, HostId]) -> None:
        """From now on these are known; one that is known stays."""
        for ref, host in mapping.items():
            if self._hosts.setdefault(ref, host) == host:
                self._changed = True

    def notice(self, ref: str, at: datetime) -> datetime:
        """When the cloud takes it back: as it was first understood."""
        if ref not in self._notices:
            self._notices[ref] = at
            self._changed = True
        return self._notices[ref]

    def forget(self, refs: Iterable[str]) -> None:
        """They do not exist."""
        for ref in refs:
            if self._hosts.pop(ref, None) is not None or self._notices.pop(ref, None) is not None:
                self._changed = True

    async def save(self) -> None:
        """Writes what has changed, if something has."""
        if not self._changed:
            return
        await self.load()
        for ref in list(self._hosts)[: max(0, len(self._hosts) - _MOST)]:
            del self._hosts[ref]
        notices = {ref: at.isoformat() for ref, at in self._notices.items()}
        self._changed = False
        try:
            await self._memory.remember(json.dumps({"version": 1, "hosts": self._hosts, "notices": notices}))
        except StoreUnavailable:
            self._changed = True


def _parsed(text: str | None) -> tuple[dict[str, HostId], dict[str, datetime]]:
    """What was written; nothing of a text that another version wrote."""
    try:
        told: Any = json.loads(text or "{}")
        if told.get("version") != 1:
            return {}, {}
        hosts = {str(ref): HostId(str(host)) for ref, host in told["hosts"].items()}
        return hosts, {str(ref): datetime.fromisoformat(at) for ref, at in told["notices"].items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}, {}
