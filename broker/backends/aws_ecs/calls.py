"""The calls to one account and region: each waits for its token, is bounded in time, and fails with errors of ours."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from broker.backends.aws_ecs.errors import translate
from broker.backends.aws_ecs.rates import Family
from broker.backends.throttle import Buckets
from broker.domain.ids import BackendName
from broker.errors import BackendError, OutcomeUnknown
from broker.ports import Clock

CALL_S: Final = 20.0
PATIENCE_S: Final = 5.0
"""So long a call waits for its turn if nothing else is said."""

Answer = Mapping[str, Any]
Called = Callable[[str, BackendError | None, float], None]
"""Service and action such as ecs:RunTask, what it failed of, and how long it took in seconds."""

_TOLD: Final = {
    "CreateSecret": "ARN",
    "DescribeContainerInstances": "containerInstances",
    "DescribeSubnets": "Subnets",
    "DescribeTaskDefinition": "taskDefinition",
    "GetLogEvents": "events",
    "ListContainerInstances": "containerInstanceArns",
    "ListTaskDefinitions": "taskDefinitionArns",
    "ListTasks": "taskArns",
    "RegisterTaskDefinition": "taskDefinition",
}
"""What an answer has, be it empty. The SDK takes any page with status 200, such as a proxy's, for an empty answer."""


def _whole(action: str, answer: Answer) -> Answer:
    if (member := _TOLD.get(action)) and answer.get(member) is None:
        raise OutcomeUnknown("NoAnswer", f"{action} is answered without {member}: is that Amazon, or a proxy?")
    return answer


def _nothing() -> None:
    return


class Clients(Protocol):
    """Where clients come from: `session.Sessions`."""

    async def client(self, service: str, region: str | None = None) -> Any:
        """A client of aiobotocore, the same one each time."""
        ...

    async def close(self) -> None:
        """Closes them all."""
        ...


class Calls:
    """Asks AWS, one call at a time for each that asks; retries nothing."""

    def __init__(
        self, clients: Clients, buckets: Buckets[Family], backend: BackendName, clock: Clock, called: Called
    ) -> None:
        """Owns the clients; the buckets are the process's. `called` is told of each call that was answered, or not."""
        self._clients = clients
        self._buckets = buckets
        self._backend = backend
        self._clock = clock
        self._called = called

    async def ecs(
        self,
        family: Family,
        action: str,
        request: Answer,
        *,
        region: str = "",
        patience_s: float = PATIENCE_S,
        before: Callable[[], None] = _nothing,
    ) -> Answer:
        """A call to ECS; `before` is called when its turn has come, and it is about to be sent."""
        return await self.call("ecs", family, action, request, region=region, patience_s=patience_s, before=before)

    async def call(
        self,
        service: str,
        family: Family,
        action: str,
        request: Answer,
        *,
        region: str = "",
        patience_s: float = PATIENCE_S,
        before: Callable[[], None] = _nothing,
    ) -> Answer:
        """The answer to `action`, such as RunTask. Raises `BackendError`s; Throttled also if its turn is too late."""
        async with self._buckets[family].call(patience_s):
            began, failed = self._clock.monotonic(), None
            try:
                async with asyncio.timeout(CALL_S):
                    client = await self._clients.client(service, region or None)
                    before()
                    answer: Answer = await getattr(client, _method(action))(**request)
                    return _whole(action, answer)
            except Exception as error:  # which kinds there are depends on the SDK's HTTP library
                failed = translate(action, error, self._backend)
                if failed is None:
                    raise
                raise failed from error
            finally:
                self._called(f"{service}:{action}", failed, self._clock.monotonic() - began)

    async def client_of(self, service: str) -> Any:
        """A client, whose calls do not wait and are not counted."""
        return await self._clients.client(service)

    async def close(self) -> None:
        """Closes the clients."""
        await self._clients.close()


def _method(action: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in action).lstrip("_")
