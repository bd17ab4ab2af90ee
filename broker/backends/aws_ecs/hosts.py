"""The room on a cluster's container instances, as offers: read in all pages, less what has been launched since."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from broker.backends.aws_ecs.calls import Calls
from broker.backends.aws_ecs.known import NEVER
from broker.backends.aws_ecs.rates import Family
from broker.domain.offer import Offer
from broker.domain.pool import Pool
from broker.domain.resources import Resources
from broker.errors import BackendError
from broker.ports import Clock

_PAGE: Final = 100
_PAGES: Final = 100
_FRESH_S: Final = 30.0
_BUSY_S: Final = 2.0
"""While tasks are launched onto them."""
_AGAIN_S: Final = 10.0
"""After a read that failed."""
_PATIENCE_S: Final = 2.0
_EXTERNAL: Final = "ecs.capability.external"
_MANAGED: Final = "mi-"
"""What the ids of external instances begin with, which are managed nodes of SSM (the same)."""


@dataclass(slots=True)
class _Taken:
    """What a launch takes; `answered` is when it was, None before."""

    size: Resources
    answered: float | None = None


HOSTED: Final = frozenset({"EC2", "EXTERNAL"})
"""Launch types whose tasks run on the instances that there are, and on no others."""


class Hosts:
    """Remembers what was read for a time, and what was launched meanwhile."""

    def __init__(self, calls: Calls, cluster: str, clock: Clock) -> None:
        """Nothing is read yet."""
        self._calls = calls
        self._cluster = cluster
        self._clock = clock
        self._read: Sequence[Mapping[str, Any]] = ()
        self._read_at = NEVER
        self._failed: BackendError | None = None
        self._lock = asyncio.Lock()
        self._taken: dict[str, _Taken] = {}

    async def offers(self, pool: Pool, *, external: bool) -> Sequence[Offer]:
        """One for each instance that takes tasks: read once for all pools, and no error is asked for again at once."""
        async with self._lock:  # bounded: every call below is
            await self._refresh(self._clock.monotonic())
        if self._failed is not None:
            raise self._failed
        offers = [_offer(pool, host) for host in self._read if _is_external(host) is external]
        return _less(offers, [one.size for one in self._taken.values()])

    def begins(self, launch: str, size: Resources) -> None:
        """A launch that is about to be called."""
        self._taken[launch] = _Taken(size)

    def ends(self, launch: str, *, made: bool) -> None:
        """It has been answered."""
        if launch in self._taken and made:
            self._taken[launch].answered = self._clock.monotonic()
        else:
            self._taken.pop(launch, None)

    async def _refresh(self, now: float) -> None:
        fresh_s = _BUSY_S if self._taken else _FRESH_S
        if now - self._read_at < (fresh_s if self._failed is None else _AGAIN_S):
            return
        try:
            self._read, self._failed = await self._hosts(), None
        except BackendError as error:
            self._failed = error
        else:
            self._taken = {key: one for key, one in self._taken.items() if one.answered is None or one.answered >= now}
        self._read_at = now

    async def _hosts(self) -> Sequence[Mapping[str, Any]]:
        """All that take tasks, every page."""
        hosts: list[Mapping[str, Any]] = []
        request: dict[str, Any] = {"cluster": self._cluster, "status": "ACTIVE", "maxResults": _PAGE}
        for _ in range(_PAGES):
            page = await self._calls.ecs(Family.READ, "ListContainerInstances", request, patience_s=_PATIENCE_S)
            if arns := page.get("containerInstanceArns"):
                wanted = {"cluster": self._cluster, "containerInstances": list(arns)}
                told = await self._calls.ecs(Family.READ, "DescribeContainerInstances", wanted, patience_s=_PATIENCE_S)
                hosts += [host for host in told.get("containerInstances") or () if host.get("agentConnected")]
            if not page.get("nextToken"):
                break
            request["nextToken"] = page["nextToken"]
        return hosts


def _is_external(host: Mapping[str, Any]) -> bool:
    named = any(one.get("name") == _EXTERNAL for one in host.get("attributes") or ())
    return named or str(host.get("ec2InstanceId", "")).startswith(_MANAGED)


def _offer(pool: Pool, host: Mapping[str, Any]) -> Offer:
    attributes = {str(one["name"]): str(one.get("value", "")) for one in host.get("attributes") or ()}
    return Offer(
        pool=pool.name,
        zone=attributes.get("ecs.availability-zone", ""),
        type=attributes.get("ecs.instance-type", ""),
        host=str(host.get("ec2InstanceId") or host["containerInstanceArn"]).rpartition("/")[2],
        free=_size(host.get("remainingResources")),
        shape=_size(host.get("registeredResources")),
    )


def _size(resources: Sequence[Mapping[str, Any]] | None) -> Resources:
    """CPU comes in 1024ths of a vCPU, memory in MiB."""
    told = {str(one["name"]): int(one.get("integerValue") or 0) for one in resources or ()}
    return Resources(cpu_milli=max(0, told.get("CPU", 0) * 1000 // 1024), memory_mib=max(0, told.get("MEMORY", 0)))


def _less(offers: Sequence[Offer], taken: Sequence[Resources]) -> Sequence[Offer]:
    """What is left: ECS does not say yet where it puts a task, so each is counted on the first host that has room."""
    left = list(offers)
    for size in taken:
        for place, offer in enumerate(left):
            free = offer.free
            if free is not None and free.cpu_milli >= size.cpu_milli and free.memory_mib >= size.memory_mib:
                rest = Resources(
                    cpu_milli=free.cpu_milli - size.cpu_milli, memory_mib=free.memory_mib - size.memory_mib
                )
                left[place] = replace(offer, free=rest)
                break
    return tuple(left)
