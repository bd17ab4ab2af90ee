"""Whatever is asked in whatever order: addresses, stock and disks are neither lost nor held twice."""

import random
from datetime import timedelta

import pytest

from broker.demo.clouds.alibaba.cloud import FakeAlibaba
from broker.demo.clouds.alibaba.instances import Instance
from broker.demo.clouds.alibaba.knobs import Fate, Timing
from broker.demo.clouds.model import ApiError, Call, Identity, Parameters
from broker.testing.clock import ManualClock
from tests.unit.demo.clouds.alibaba.conftest import KEY, an_order

ZONE, TYPE, STOCK = "cn-hangzhou-h", "ecs.g7.large", 30
WHO = Identity(account="1", arn="acs:ram::1:user/x", user_id="x")


class Driver:
    """Asks the fake's ECS at random, without HTTP."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.clock = ManualClock()
        self.fake = FakeAlibaba(self.clock, seed=seed)
        self.fake.ecs.add_key_pair("kp", KEY)
        self.fake.ecs.timing = Timing(listed_after_end_s=(0, 20), recycling_s=50)
        self.fake.stock.put(ZONE, TYPE, spot=True, count=STOCK)
        self.fake.stock.put(ZONE, TYPE, spot=False, count=STOCK)

    def ask(self, action: str, **said: object) -> Parameters | None:
        """None for a refusal."""
        call = Call(
            service="ecs", action=action, parameters={"RegionId": "cn-hangzhou", **said}, identity=WHO,
            region="cn-hangzhou", at=self.clock.now(),
        )  # fmt: skip
        try:
            return self.fake.ecs.actions[action].answer(call)
        except ApiError:
            return None

    def step(self) -> None:
        """One thing that may happen."""
        living = [one.id for one in self.fake.ecs.living] or ["i-none"]
        one = self.chance.choice(living)
        spot = self.chance.choice(["NoSpot", "SpotAsPriceGo"])
        behavior = self.chance.choice(["Stop", "Terminate"])
        released = f"{self.clock.now() + timedelta(seconds=2000):%Y-%m-%dT%H:%M:%SZ}"
        what = self.chance.randrange(7)
        if what <= 1:
            amount = self.chance.randint(1, 8)
            order = an_order(Amount=amount, MinAmount=1, SpotStrategy=spot, AutoReleaseTime=released)
            order |= {"SpotInterruptionBehavior": behavior, "DataDisk": [{"Category": "cloud_auto", "Size": 20}]}
            self.ask("RunInstances", **order)
        elif what == 2:
            self.ask("DeleteInstance", InstanceId=one, Force=self.chance.random() < 0.8)
        elif what == 3:
            self.ask("StopInstance", InstanceId=one)
        elif what == 4:
            self.fake.ecs.fate_next(Fate(end=self.chance.choice(["gone", "stopped", "stuck"])))
        elif what == 5 and one != "i-none" and self.fake.ecs.instance(one).spot.is_spot:
            self.fake.ecs.interrupt(one)
        else:
            self.ask("StartInstance", InstanceId=one)

    def check(self) -> None:
        """What must hold at any time."""
        region = self.fake.ecs.region()
        there: list[Instance] = list(region.instances.values())
        held = region.networks.vswitches["vsw-bp1agentsh"].held
        assert held == {one.private_ip: one.id for one in there}
        for spot in (True, False):
            left = self.fake.stock.left(ZONE, TYPE, spot=spot)
            assert left == STOCK - sum(one.spot.is_spot == spot for one in there)
        assert sorted(disk.instance for disk in region.disks.values()) == sorted(2 * [one.id for one in there])


@pytest.mark.parametrize("seed", range(8))
async def test_nothing_is_lost_and_nothing_held_twice(seed: int) -> None:
    driver = Driver(seed)
    for _ in range(150):
        driver.step()
        driver.check()
        await driver.clock.advance(driver.chance.choice([0, 1, 5, 30]))
    await driver.clock.advance(86400)
    driver.fake.ecs.look()
    driver.check()
    assert driver.fake.ecs.living == []  # each had a time at which it is released
    assert driver.fake.stock.left(ZONE, TYPE, spot=True) == driver.fake.stock.left(ZONE, TYPE, spot=False) == STOCK
