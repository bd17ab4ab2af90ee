"""What a host has printed on its console, for the keys that it shows there."""

import base64
import binascii
from typing import Final

from broker.backends.alibaba_ecs.asking import Ask
from broker.domain.host_order import HostPlace
from broker.domain.ids import HostId
from broker.errors import OutcomeUnknown
from broker.ports import Clock

_EVERY_S: Final = 10.0


class Consoles:
    """GetInstanceConsoleOutput, at most once in ten seconds for a host."""

    def __init__(self, ask: Ask, clock: Clock) -> None:
        """Nothing is asked yet."""
        self._ask = ask
        self._clock = clock
        self._read: dict[HostId, tuple[float, str]] = {}

    async def read(self, place: HostPlace) -> str:
        """Its text; empty while there is none. Raises `BackendError`s."""
        now = self._clock.monotonic()
        at, text = self._read.get(place.id, (float("-inf"), ""))
        if now - at < _EVERY_S:
            return text
        self._read = {host: one for host, one in self._read.items() if now - one[0] < _EVERY_S}
        self._read[place.id] = (now, text)
        told = await self._ask("ecs:GetInstanceConsoleOutput", {"InstanceId": place.ref})
        text = decoded(str(told.get("ConsoleOutput") or ""))
        self._read[place.id] = (now, text)
        return text


def decoded(output: str) -> str:
    """The API tells it in base64."""
    try:
        return base64.b64decode(output, validate=True).decode(errors="replace")
    except binascii.Error as error:
        raise OutcomeUnknown("Console", "GetInstanceConsoleOutput: the output is not in base64") from error
