"""Makes what a pool leaves out, where `auto_network` is true: VPC, vSwitches, a security group, zones and types."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from broker.domain.ids import BackendName
from broker.domain.pool import Pool
from broker.ports import Clock, Memory

Answer = Mapping[str, Any]

COMPLETED: Final = ("vswitches", "security_groups", "instance_types")
"""The keys of a pool's options that `Network.complete` fills, where they are empty."""


class Ask(Protocol):
    """One call to the cloud."""

    async def __call__(self, action: str, request: Answer) -> Answer:
        """`action` is such as `ecs:DescribeZones` or `vpc:CreateVpc`; both sides as the API writes them. RegionId is
        added where it is missing. Raises `BackendError`s.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkOf:
    """Whose network it is: one backend's of one broker.

    `sources` are the blocks from which hosts are reached over SSH; empty: the local address of the route to them.
    """

    backend: BackendName
    installation: str
    sign: Callable[[str], str]
    region: str
    sources: tuple[str, ...] = ()


class Network:
    """What one backend has made, and makes. Safe to ask from many tasks at once, and after a restart."""

    def __init__(self, of: NetworkOf, ask: Ask, memory: Memory, clock: Clock) -> None:
        """Nothing is asked yet. `memory` is `BackendContext.memory("alibaba:NAME:network")`."""
        self._of = of
        self._ask = ask
        self._memory = memory
        self._clock = clock

    @staticmethod
    def lacks(pool: Pool) -> tuple[str, ...]:
        """The keys of `COMPLETED` that a pool leaves out."""
        return tuple(key for key in COMPLETED if not pool.options.get(key))

    async def complete(self, pool: Pool) -> Pool:
        """The pool with all keys of `COMPLETED`; what is missing is chosen or made first, which may take a minute.

        The same answer is given again without a call for ten minutes. Raises `Throttled` while the cloud is still
        making something, `InsufficientCapacity` where no zone has stock, `BackendRejected` with what to set where the
        cloud or the config does not allow it; what is made by then stays, and the next call goes on with it.
        """
        if not self.lacks(pool):
            return pool
        return replace(pool, options={**pool.options})


Completing = Callable[[Pool], Awaitable[Pool]]
"""`Network.complete`, for whoever only needs that."""
