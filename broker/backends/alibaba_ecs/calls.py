"""The calls to one account and region: each waits for its token, is bounded in time, and fails with errors of ours."""

import asyncio
import random
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from broker.backends.alibaba_ecs.codes import STALE
from broker.backends.alibaba_ecs.errors import translate
from broker.backends.alibaba_ecs.rates import Family, family_of
from broker.backends.throttle import Buckets, Closed
from broker.domain.ids import BackendName
from broker.domain.reason import Reason
from broker.errors import BackendError, OutcomeUnknown, Throttled
from broker.ports import Clock

CALL_S: Final = 20.0
PATIENCE_S: Final = 5.0
"""So long a call waits for its turn if nothing else is said."""
_MINUTE_S: Final = 60.0

Answer = Mapping[str, Any]
Called = Callable[[str, BackendError | None, float], None]
"""Service and action such as ecs:RunInstances, what it failed of, and how long it took in seconds."""

_TOLD: Final = {
    "ecs:DescribeAvailableResource": "AvailableZones",
    "ecs:DescribeInstanceTypes": "InstanceTypes",
    "ecs:DescribeInstances": "Instances",
    "ecs:DescribeKeyPairs": "KeyPairs",
    "ecs:RunInstances": "InstanceIdSets",
    "vpc:DescribeVSwitches": "VSwitches",
}
"""What an answer has, be it empty. The SDK takes any page with status 200, such as a proxy's, for an empty answer."""


def _nothing() -> None:
    return


class Asked(Protocol):
    """Where calls are made: `session.Sessions`."""

    async def ask(self, action: str, request: Answer) -> Answer:
        """The answer to `ecs:RunInstances`, both sides as the API writes them. Raises what the SDK raises."""
        ...

    def refused(self) -> None:
        """The cloud does not take the keys."""
        ...

    async def close(self) -> None:
        """Lets go of everything."""
        ...


class Calls:
    """Asks Alibaba Cloud, one call at a time for each that asks; retries nothing."""

    def __init__(
        self, asked: Asked, buckets: Buckets[Family], backend: BackendName, clock: Clock, called: Called
    ) -> None:
        """Owns `asked`; the buckets are the process's. `called` is told of each call that was answered, or not."""
        self._asked = asked
        self._buckets = buckets
        self._backend = backend
        self._clock = clock
        self._called = called

    async def __call__(
        self,
        action: str,
        request: Answer,
        *,
        patience_s: float = PATIENCE_S,
        before: Callable[[], None] = _nothing,
    ) -> Answer:
        """The answer to `action`, such as `ecs:RunInstances`; both sides as the API writes them.

        Raises `BackendError`s; Throttled also if its turn is too late. `before` is called when it is about to be sent.
        """
        async with self._buckets[family_of(action)].call(patience_s):
            began, failed = self._clock.monotonic(), None
            try:
                async with asyncio.timeout(CALL_S):
                    before()
                    return _whole(action, await self._asked.ask(action, request))
            except Exception as error:  # which kinds there are depends on the SDK's HTTP library
                failed = translate(action, error, self._backend)
                if failed is None:
                    raise
                failed = self._until_open(failed)
                if failed.code in STALE:
                    self._asked.refused()
                raise failed from error
            finally:
                self._called(action, failed, self._clock.monotonic() - began)

    async def close(self) -> None:
        """Lets go of the connections."""
        await self._asked.close()

    def _until_open(self, error: BackendError) -> BackendError:
        """A throttled API stays closed until the next minute begins ("API throttling"), unless it says for how long.

        Not all brokers come back in the same second.
        """
        if not isinstance(error, Throttled) or isinstance(error, Closed) or error.reason is not Reason.THROTTLED:
            return error
        if error.code == "NoTurn":
            return error
        past_s = self._clock.now().timestamp() % _MINUTE_S
        pause_s = _MINUTE_S - past_s + random.uniform(0.1, 1.0)  # noqa: S311 -- jitter
        return Closed(error.code, error.message, pause_s=pause_s)


def _whole(action: str, answer: Answer) -> Answer:
    if (member := _TOLD.get(action)) and answer.get(member) is None:
        raise OutcomeUnknown("NoAnswer", f"{action} is answered without {member}: is that Alibaba Cloud, or a proxy?")
    return answer
