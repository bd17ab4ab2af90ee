"""What a pool could hold now."""

from dataclasses import dataclass

from broker.domain.ids import PoolName


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A place for agents in a pool: `room` is how many more the backend could hold, None if it sets no bound."""

    pool: PoolName
    zone: str = ""
    room: int | None = None
