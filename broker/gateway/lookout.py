"""Finds the sessions one of whose ends has answered nothing for too long although something was sent to it."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from broker.gateway.presence import Presence
from broker.gateway.relay import PING_TIMEOUT, Relay

_AT_ONCE: Final = 500
"""Relays that are looked at before it is the others' turn: some milliseconds."""


class Lookout:
    """Looks at all relays often enough that nobody stays lost for longer than a presence promises."""

    def __init__(self, relays: Callable[[], Iterable[Relay]], presence: Presence) -> None:
        """Asks for the relays at each look."""
        self._relays = relays
        self._presence = presence

    async def run(self) -> None:
        """Looks until it is cancelled."""
        while True:
            await asyncio.sleep(self._presence.interval_s / 2)
            for number, relay in enumerate(self._relays(), 1):
                self.look(relay)
                if number % _AT_ONCE == 0:
                    await asyncio.sleep(0)

    def look(self, relay: Relay) -> None:
        """Ends it if one of its ends is lost."""
        if not relay.why and any(self._presence.lost(side.sock) for side in (relay.agent, relay.controller)):
            relay.end(PING_TIMEOUT)
