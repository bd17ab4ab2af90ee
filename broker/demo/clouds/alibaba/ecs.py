"""Elastic Compute Service: what a test turns and does."""

from collections.abc import Iterator
from functools import partial

from broker.demo.clouds.alibaba import keys, life
from broker.demo.clouds.alibaba.catalog import Catalog, Image
from broker.demo.clouds.alibaba.ecs_actions import TABLE, Answer
from broker.demo.clouds.alibaba.instances import Disk, Instance
from broker.demo.clouds.alibaba.knobs import Fate, Knobs, Quotas, Timing
from broker.demo.clouds.alibaba.region import KeyPair, Region
from broker.demo.clouds.alibaba.runner import Runner
from broker.demo.clouds.alibaba.service import Service, action
from broker.demo.clouds.alibaba.stock import Stock
from broker.demo.clouds.alibaba.world import World
from broker.demo.clouds.model import Call, Parameters


class FakeEcs(Service):
    """ECS in all regions. Without a region's name the world's own is meant.

    Nothing happens of itself: each call brings its region to the present, and `look` does for those who do not call.
    """

    name = "ecs"
    version = "2014-05-26"

    def __init__(self, world: World) -> None:
        """No instance yet."""
        self.world = world
        self.catalog, self.stock, self.knobs = Catalog(), Stock(), Knobs()
        self._regions: dict[str, Region] = {}
        self._runner: Runner | None = None
        self.actions = {
            name: action(partial(self._answer, answer), needs, takes) for name, (answer, needs, takes) in TABLE.items()
        }

    @property
    def timing(self) -> Timing:
        """How long things take, from now on."""
        return self.knobs.timing

    @timing.setter
    def timing(self, timing: Timing) -> None:
        self.knobs.timing = timing

    @property
    def quotas(self) -> Quotas:
        """Limits of the account."""
        return self.knobs.quotas

    @property
    def runner(self) -> Runner | None:
        """What makes something real of instances."""
        return self._runner

    @runner.setter
    def runner(self, runner: Runner | None) -> None:
        self._runner = runner
        for region in self._regions.values():
            region.runner = runner

    def region(self, name: str = "") -> Region:
        """The state of a region."""
        name = name or self.world.region
        if name not in self._regions:
            self._regions[name] = Region(name, self.world, self.catalog, self.stock, self.knobs)
            self._regions[name].runner = self._runner
        return self._regions[name]

    def look(self) -> float:
        """Brings all to the present, and tells the runner what has happened since; gives the time, since 1970."""
        for region in list(self._regions.values()):
            region.settle()
        return self.world.now()

    @property
    def living(self) -> list[Instance]:
        """The instances of all regions that are not deleted, in the order of their creation."""
        self.look()
        return [one for one in self._instances() if not one.ending]

    def instance(self, instance_id: str) -> Instance:
        """One by its id, as it is now; KeyError if there is none, or none more."""
        self.look()
        for region in self._regions.values():
            if instance_id in region.instances:
                return region.instances[instance_id]
        raise KeyError(instance_id)

    def _instances(self) -> Iterator[Instance]:
        return (one for region in self._regions.values() for one in region.instances.values())

    def interrupt(self, instance_id: str) -> None:
        """The spot capacity of an instance is taken back: told now (OperationLocks), done five minutes later."""
        instance = self.instance(instance_id)
        life.recycle(self.region(instance.region), instance)

    def price_spot(self, zone: str, type_id: str, price: float) -> None:
        """What an hour of spot capacity costs in a zone from now on; whoever would not pay it is interrupted."""
        self.look()
        self.stock.price_spot(zone, type_id, price)
        for one in list(self._instances()):
            bounded = one.spot.strategy == "SpotWithPriceLimit" and one.spot.price_limit < price
            if bounded and (one.zone, one.type.id) == (zone, type_id) and not one.ending:
                life.recycle(self.region(one.region), one)

    def vanish(self, instance_id: str) -> None:
        """An instance is gone at once, as when its host fails."""
        instance = self.instance(instance_id)
        life.vanish(self.region(instance.region), instance)

    def shut_down(self, instance_id: str) -> None:
        """An instance stops of itself: what runs in it has switched it off."""
        instance = self.instance(instance_id)
        life.stop(self.region(instance.region), instance, force=True)

    def fate_next(self, fate: Fate, times: int = 1) -> None:
        """What becomes of the next instances that are made."""
        self.knobs.fates += [fate] * times

    def add_image(self, image: Image) -> Image:
        """One more image, or another in its place."""
        self.catalog.images[image.id] = image
        return image

    def add_key_pair(self, name: str, body: str, region: str = "") -> KeyPair:
        """A key pair of a region, as ImportKeyPair makes it."""
        where = self.region(region)
        pair = keys.make(name, body, where.world.now())
        where.key_pairs[name] = pair
        return pair

    def add_disk(self, zone: str, *, size_gib: int = 100, category: str = "cloud_essd", region: str = "") -> Disk:
        """A data disk without an instance."""
        where = self.region(region)
        disk = Disk(
            id=where.world.fresh("d"), zone=zone, category=category, size_gib=size_gib, created_at=where.world.now()
        )
        where.disks[disk.id] = disk
        return disk

    def _answer(self, answer: Answer, call: Call) -> Parameters:
        return answer(self.region(call.region), call)
