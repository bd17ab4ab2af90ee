"""What `auto_network` has made, written down: what is found again by its tags is so without this, but not by whom."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from broker.backends.alibaba_ecs.network_marks import Kind
from broker.domain.ids import BackendName
from broker.errors import StoreUnavailable, Throttled
from broker.ports import Memory
from broker.telemetry import events

Door = tuple[int, str]
"""A TCP port, and the block that may come in there."""
_VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """One thing. `at` is when it was made, in ISO form; `block` and `zone` are of a VPC and a vSwitch."""

    kind: Kind
    id: str
    vpc: str = ""
    zone: str = ""
    block: str = ""
    at: str = ""


class KeptNetwork:
    """By id, for one region. What cannot be written is still known until the process ends."""

    def __init__(self, memory: Memory, backend: BackendName, region: str) -> None:
        """Nothing is read yet. What was kept of another region is not known in this one, and is not lost either."""
        self._memory = memory
        self._backend = backend
        self._region = region
        self._all: dict[str, Any] | None = None

    async def made(self) -> tuple[Made, ...]:
        """All that is written down and not taken away again. Throttled if the store cannot be read."""
        own = await self._own()
        return tuple(Made(**{**one, "kind": Kind(one["kind"])}) for one in own["made"])

    async def generation(self) -> int:
        """Counts what is gone: a token that has made a thing which is gone would only give its name again."""
        return int((await self._own())["generation"])

    async def doors(self) -> Mapping[str, tuple[Door, ...]]:
        """What each pool has opened for itself."""
        own = await self._own()
        return {pool: tuple((int(port), str(block)) for port, block in doors) for pool, doors in own["doors"].items()}

    async def add(self, made: Made) -> None:
        """It is there. Safe to repeat."""
        own = await self._own()
        if any(one["id"] == made.id for one in own["made"]):
            return
        own["made"].append(asdict(made))
        await self._write()

    async def drop(self, ids: Iterable[str]) -> None:
        """They are gone."""
        own, gone = await self._own(), set(ids)
        left = [one for one in own["made"] if one["id"] not in gone]
        if len(left) == len(own["made"]):
            return
        if any(one["kind"] == Kind.GROUP for one in own["made"] if one["id"] in gone):
            own["doors"] = {}
        own["made"], own["generation"] = left, own["generation"] + 1
        await self._write()

    async def give_up(self) -> None:
        """What the tokens of now have made is gone, although nobody has written down what it was."""
        (await self._own())["generation"] += 1
        await self._write()

    async def open(self, pool: str, doors: tuple[Door, ...]) -> None:
        """What a pool has opened is this, and no longer what it was."""
        own = await self._own()
        plain = [list(door) for door in doors]
        if own["doors"].get(pool) != plain:
            own["doors"][pool] = plain
            await self._write()

    async def _own(self) -> dict[str, Any]:
        if self._all is None:
            try:
                text = await self._memory.recall()
            except StoreUnavailable as error:
                raise Throttled("StoreUnavailable", f"what was made is not known: {error}") from error
            if self._all is None:
                self._all = _read(text)
        own: dict[str, Any] = self._all.setdefault(self._region, {"made": [], "doors": {}, "generation": 0})
        return own

    async def _write(self) -> None:
        told = {"version": _VERSION, "regions": self._all}
        try:
            await self._memory.remember(json.dumps(told, sort_keys=True))
        except StoreUnavailable as error:
            events.NETWORK_NOT_REMEMBERED.emit(backend=self._backend, error=str(error))


def _read(text: str | None) -> dict[str, Any]:
    """What was written; nothing of a text that another version wrote."""
    try:
        told: Any = json.loads(text or "{}")
        regions = told["regions"] if told.get("version") == _VERSION else {}
        for own in regions.values():
            _ = ([Made(**{**one, "kind": Kind(one["kind"])}) for one in own["made"]], own["doors"].items())
            _ = int(own["generation"])
        return dict(regions)
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
