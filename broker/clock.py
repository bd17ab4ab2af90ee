"""The real clock; tests and simulations bring `broker.testing.clock.ManualClock`."""

import asyncio
import time
from datetime import UTC, datetime


class SystemClock:
    """Wall clock in UTC and the machine's monotonic clock."""

    def now(self) -> datetime:
        """The wall clock."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    async def sleep_until(self, when: float) -> None:
        """Returns once `monotonic()` is at least `when`."""
        await asyncio.sleep(max(0.0, when - time.monotonic()))
