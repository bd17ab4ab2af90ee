"""What the poller saw of an instance."""

from dataclasses import dataclass

from broker.domain.ids import InstanceRef
from broker.domain.instance import Instance


@dataclass(frozen=True, slots=True)
class Seen:
    """None is "does not exist". `asked_at` is when it began to ask."""

    ref: InstanceRef
    instance: Instance | None
    asked_at: float
