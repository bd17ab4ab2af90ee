"""A strict fake of Alibaba Cloud: one endpoint on loopback for ECS, VPC, STS and an instance's metadata.

Signatures are verified, requests and replies are held to the SDK's models, and every call is in the ledger.
"""

import random
from typing import Final

from aiohttp import web

from broker.clock import SystemClock
from broker.demo.clouds.alibaba.catalog import REGIONS
from broker.demo.clouds.alibaba.ecs import FakeEcs
from broker.demo.clouds.alibaba.front import Front
from broker.demo.clouds.alibaba.metadata import Metadata
from broker.demo.clouds.alibaba.signature import Key
from broker.demo.clouds.alibaba.sts import FakeSts
from broker.demo.clouds.alibaba.vpc import FakeVpc
from broker.demo.clouds.alibaba.world import World
from broker.demo.clouds.model import Identity
from broker.ports import Clock

ACCOUNT: Final = "1234567890123456"
REGION: Final = "cn-hangzhou"


class FakeAlibaba:
    """One account with its services. What happens in it follows `clock`; signatures and sessions follow `wall`.

    It begins with a network in its region (`vpc.add_network`) unless it is to be `bare`.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        wall: Clock | None = None,
        region: str = REGION,
        access_key: str = "LTAI5tFakeFakeFakeFakeFa",
        secret_key: str = "FakeSecretFakeSecretFakeSecret",  # noqa: S107 -- opens a fake
        seed: int = 0,
        bare: bool = False,
    ) -> None:
        """Has one user, with these keys."""
        self.world = World(
            clock=clock or SystemClock(),
            wall=wall or SystemClock(),
            account=ACCOUNT,
            region=region,
            regions=sorted({region, *REGIONS}),
            chance=random.Random(seed),
        )
        self.account, self.region = ACCOUNT, region
        self.ledger, self.faults = self.world.ledger, self.world.faults
        self.throttles, self.rights = self.world.throttles, self.world.rights
        self.clock, self.keyring = self.world.clock, self.world.keyring
        self.access_key, self.secret_key = access_key, secret_key
        user = Identity(account=ACCOUNT, arn=f"acs:ram::{ACCOUNT}:user/broker", user_id="200000000000000001")
        self.keyring.add(Key(access_key=access_key, secret=secret_key, identity=user))
        self.ecs = FakeEcs(self.world)
        self.vpc, self.sts = FakeVpc(self.ecs), FakeSts(self.world)
        self.metadata = Metadata(self.world)
        self.stock = self.ecs.stock
        if not bare:
            self.vpc.add_network()

    @property
    def application(self) -> web.Application:
        """The endpoint, for `broker.demo.clouds.serving`."""
        return Front(self.world, (self.ecs, self.vpc, self.sts), self.metadata).application()
