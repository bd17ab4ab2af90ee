"""An account of the fake, and task definitions of brokers in it: over the real SDK, in virtual time."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from broker.backends.aws_ecs.assembly import asking
from broker.backends.aws_ecs.calls import Calls
from broker.backends.aws_ecs.existing import Ask
from broker.backends.aws_ecs.marks import Marks
from broker.backends.aws_ecs.options import BackendOptions
from broker.backends.aws_ecs.rates import Family
from broker.backends.aws_ecs.register import Definitions, Naming
from broker.backends.aws_ecs.session import Sessions
from broker.backends.throttle import Bucket, Buckets
from broker.clock import SystemClock
from broker.demo.clouds.aws import FakeAws
from broker.demo.clouds.ecs.definitions import Definition
from broker.demo.clouds.serving import serving
from broker.domain.ids import BackendName
from broker.ports import Clock
from broker.testing.clock import ManualClock
from broker.testing.memory import FakeMemory


@dataclass(slots=True, kw_only=True)
class Account:
    """One account, and what asks it."""

    fake: FakeAws
    clock: ManualClock
    ask: Ask
    memory: FakeMemory = field(default_factory=FakeMemory)
    key: str = "key"
    installation: str = "installation-1"

    def broker(self, backend: str = "aws", **changes: Any) -> Definitions:
        """The definitions of a broker that has just started. Two of one account share memory and key, unless told."""
        asked: dict[str, Any] = {"memory": self.memory, "key": self.key, "installation": self.installation} | changes
        marks = Marks(installation=asked["installation"], backend=backend, sign=signing(asked["key"]))
        naming = Naming(marks=marks, place=asked.get("place", "here"), keep=asked.get("keep", 2))
        return Definitions(self.ask, asked["memory"], self.clock, naming)

    def calls(self, action: str) -> int:
        """How often the fake was asked it."""
        return self.fake.ledger.count(action)

    def revisions(self, family: str = "agentbroker-java") -> dict[int, Definition]:
        """All revisions of a family, those that were deregistered too."""
        return self.fake.ecs.region.definitions.families.get(family, {})

    def active(self, family: str = "agentbroker-java") -> list[int]:
        """The numbers of those that can be run."""
        return [number for number, one in self.revisions(family).items() if one.status == "ACTIVE"]


class _Wide(Buckets[Family]):
    """Lets every call pass: the rate is not what these tests are about."""

    def __init__(self, clock: Clock) -> None:
        self._one = Bucket("any", 10_000.0, 10_000, clock)

    def __getitem__(self, family: Family) -> Bucket:
        return self._one


def signing(key: str) -> Any:
    """A signature that only who knows the key can make."""
    return lambda text: hashlib.sha256(f"{key}\n{text}".encode()).hexdigest()


@asynccontextmanager
async def an_account() -> AsyncIterator[Account]:
    """Serves the fake; it limits no requests."""
    clock = ManualClock()
    fake = FakeAws(clock)
    fake.throttles.unlimited()
    async with serving(fake) as url:
        wall = SystemClock()
        options = BackendOptions(
            region=fake.region,
            access_key_id=fake.access_key,
            secret_access_key=fake.secret_key,
            endpoint_url=url,
        )
        calls = Calls(Sessions(options, wall, "aws"), _Wide(wall), BackendName("aws"), wall, lambda *_: None)
        try:
            yield Account(fake=fake, clock=clock, ask=asking(calls))
        finally:
            await calls.close()
    assert fake.ledger.problems == []
