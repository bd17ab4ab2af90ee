"""A strict fake of AWS: one endpoint on loopback for ECS and all that the broker needs beside it.

Signatures are verified, requests and replies are held to botocore's models, and every call is in the ledger.
"""

from typing import Final

from aiohttp import web

from broker.clock import SystemClock
from broker.demo.clouds.ec2 import FakeEc2
from broker.demo.clouds.ecs.service import FakeEcs
from broker.demo.clouds.front import Front
from broker.demo.clouds.iam import FakeIam
from broker.demo.clouds.logs import FakeLogs
from broker.demo.clouds.model import Identity, Service
from broker.demo.clouds.secretsmanager import FakeSecretsManager
from broker.demo.clouds.signature import Key
from broker.demo.clouds.ssm import FakeSsm
from broker.demo.clouds.sts import FakeSts
from broker.demo.clouds.world import World
from broker.ports import Clock

ACCOUNT: Final = "111122223333"
REGION: Final = "eu-west-1"


class FakeAws:
    """One account with its services. What happens in it follows `clock`; signatures and sessions follow `wall`."""

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        account: str = ACCOUNT,
        region: str = REGION,
        wall: Clock | None = None,
        access_key: str = "AKIAFAKEFAKEFAKEFAKE",
        secret_key: str = "fake/Secret+Key0123456789abcdefghijklmno",  # noqa: S107 -- opens a fake
    ) -> None:
        """Has one user, with these keys."""
        self.world = World(
            clock=clock or SystemClock(),
            wall=wall or SystemClock(),
            account=account,
            region=region,
            regions={region, "eu-central-1", "us-east-1"},
        )
        self.account, self.region = account, region
        self.ledger, self.faults = self.world.ledger, self.world.faults
        self.throttles, self.rights = self.world.throttles, self.world.rights
        self.clock, self.keyring = self.world.clock, self.world.keyring
        self.access_key, self.secret_key = access_key, secret_key
        user = Identity(account=account, arn=f"arn:aws:iam::{account}:user/broker", user_id="AIDAFAKEFAKEFAKEFAKE1")
        self.keyring.add(Key(access_key=self.access_key, secret=self.secret_key, identity=user))
        self.sts, self.iam = FakeSts(self.world), FakeIam(self.world)
        self.ec2, self.logs = FakeEc2(self.world), FakeLogs(self.world)
        self.ssm, self.secretsmanager = FakeSsm(self.world), FakeSecretsManager(self.world)
        self.ecs = FakeEcs(self.world, self.ec2, self._secret)
        self._services: dict[str, Service] = {}
        for service in (self.ecs, self.sts, self.iam, self.ec2, self.logs, self.ssm, self.secretsmanager):
            self.add(service)

    def _secret(self, reference: str) -> str | None:
        """What a task gets for a secret's `valueFrom`."""
        manager = ":secretsmanager:" in reference
        return self.secretsmanager.value_of(reference) if manager else self.ssm.value_of(reference)

    def add(self, service: Service) -> None:
        """One more service, or another in its place; before `serving`."""
        self._services[service.name] = service

    @property
    def application(self) -> web.Application:
        """The endpoint."""
        return Front(self.world, self._services).application()
