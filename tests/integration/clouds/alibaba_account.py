"""The fake of Alibaba Cloud with the real SDK, for what is asked of networks: in time that leaps instead of waiting."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from broker.backends.alibaba_ecs.network import Network, NetworkOf
from broker.backends.alibaba_ecs.network_cleanup import Cleanup
from broker.backends.alibaba_ecs.network_kept import KeptNetwork
from broker.backends.alibaba_ecs.options import BackendOptions
from broker.backends.alibaba_ecs.session import Sessions
from broker.clock import SystemClock
from broker.demo.clouds.alibaba.cloud import FakeAlibaba
from broker.demo.clouds.serving import serving
from broker.doctor.alibaba_ask import AlibabaCloud
from broker.domain.ids import BackendName, PoolName
from broker.domain.pool import BackendDefinition, Pool
from broker.errors import StoreUnavailable

REGION = "cn-hangzhou"
BROKER = "203.0.113.7/32"
"""The block that the tests' broker says to come from."""


class Leaping:
    """A clock in which who sleeps is there at once."""

    def __init__(self) -> None:
        self._passed_s = 0.0

    def now(self) -> datetime:
        return datetime(2026, 11, 23, 12, 0, tzinfo=UTC) + timedelta(seconds=self._passed_s)

    def monotonic(self) -> float:
        return self._passed_s

    async def sleep_until(self, when: float) -> None:
        self._passed_s = max(self._passed_s, when)
        await asyncio.sleep(0)

    def leap(self, seconds: float) -> None:
        self._passed_s += seconds


class Remembered:
    """A memory that a test can look at, and take away."""

    def __init__(self) -> None:
        self.text: str | None = None
        self.away = False

    async def recall(self) -> str | None:
        if self.away:
            raise StoreUnavailable("the store is away")
        return self.text

    async def remember(self, text: str) -> None:
        if self.away:
            raise StoreUnavailable("the store is away")
        self.text = text


def sign(text: str) -> str:
    """As a broker's key does."""
    return hashlib.sha256(f"secret\n{text}".encode()).hexdigest()


class Account:
    """One account, served, and brokers of it."""

    def __init__(self, fake: FakeAlibaba, clock: Leaping, url: str) -> None:
        self.fake = fake
        self.clock = clock
        self.url = url
        self.memory = Remembered()
        self.sessions: list[Sessions] = []

    @property
    def credentials(self) -> dict[str, Any]:
        """The keys and places of the fake, as a backend's options have them."""
        return {
            "region": REGION,
            "access_key_id": self.fake.access_key,
            "access_key_secret": self.fake.secret_key,
            "endpoints": dict.fromkeys(("ecs", "vpc", "sts"), self.url),
        }

    def definition(self, name: str = "ali", **network: Any) -> BackendDefinition:
        """A backend that makes its network; what it says of it."""
        said = {"ssh_from": [BROKER], **network}
        options = {**self.credentials, "auto_network": True, "network": said}
        return BackendDefinition(name=BackendName(name), type="alibaba-ecs", options=options)

    def cloud(self, name: str = "ali", **options: Any) -> AlibabaCloud:
        """Asks the fake by the SDK."""
        sessions = Sessions(BackendOptions(**{**self.credentials, **options}), SystemClock(), name)
        self.sessions.append(sessions)
        return AlibabaCloud(sessions, name)

    def network(
        self, name: str = "ali", *, memory: Remembered | None = None, installation: str = "inst-1", **network: Any
    ) -> Network:
        """A broker's network, as after a start."""
        of = NetworkOf.of(self.definition(name, **network), installation, sign)
        return Network(of, self.cloud(name).call, memory or self.memory, self.clock)

    def cleanup(self, name: str = "ali", *, installation: str = "inst-1") -> Cleanup:
        """What takes it away."""
        of = NetworkOf.of(self.definition(name), installation, sign)
        kept = KeptNetwork(self.memory, of.backend, of.region)
        return Cleanup(marks=of.marks, ask=self.cloud(name).call, kept=kept, clock=self.clock)

    @property
    def networks(self) -> Any:
        """What there is of VPCs, vSwitches and groups."""
        return self.fake.vpc.region(REGION).networks


def pool(name: str = "hangzhou", **options: Any) -> Pool:
    """A pool that leaves out its network and types."""
    said: Mapping[str, object] = {"image_id": "aliyun_3_x64_20G_alibase_20260528.vhd", "start_by": "ssh", **options}
    return Pool(name=PoolName(name), backend=BackendName("ali"), options=said)


@asynccontextmanager
async def an_account(*, bare: bool = True) -> AsyncIterator[Account]:
    """An account with nothing in it, or with a network of others; the fake must have understood all calls."""
    clock = Leaping()
    fake = FakeAlibaba(clock, wall=SystemClock(), region=REGION, bare=bare)
    async with serving(fake) as url:
        account = Account(fake, clock, url)
        yield account
        for sessions in account.sessions:
            await sessions.close()
    assert fake.ledger.problems == []
