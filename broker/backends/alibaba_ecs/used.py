"""What of the config concerns one backend of type alibaba-ecs: its options and its pools."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from broker.domain.definitions import Definitions
from broker.domain.ids import BackendName, PoolName
from broker.domain.pool import BackendDefinition, Pool

_COMPLETED = ("vswitches", "security_groups", "instance_types")


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """One backend's part of the config."""

    definition: BackendDefinition
    pools: Mapping[PoolName, Pool]

    @classmethod
    def of(cls, definitions: Definitions, name: str) -> "Used":
        """The part of a backend that is configured, and is of type alibaba-ecs."""
        backend = BackendName(name)
        pools = {one.name: one for one in definitions.pools.values() if one.backend == backend}
        return cls(definition=definitions.backends[backend], pools=dict(sorted(pools.items())))

    @property
    def name(self) -> str:
        """The backend's."""
        return str(self.definition.name)

    @property
    def region(self) -> str:
        """The backend's."""
        return str(self.definition.options.get("region") or "")

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles that are taken one after the other."""
        said: Any = self.definition.options.get("role_arn") or ()
        return tuple(str(one) for one in said)

    @property
    def makes_network(self) -> bool:
        """Whether something is left to `auto_network`."""
        lacking = any(not pool.options.get(key) for pool in self.pools.values() for key in _COMPLETED)
        return bool(self.definition.options.get("auto_network")) and lacking

    @property
    def images(self) -> tuple[str, ...]:
        """The images that are named; empty where some pool says a family."""
        return () if self.has_families else self.named_one("image_id")

    @property
    def has_families(self) -> bool:
        """Whether images are chosen by their family."""
        return bool(self.named_one("image_family"))

    @property
    def has_spot(self) -> bool:
        """Whether some pool takes spot hosts."""
        return any(_map(pool, "charge").get("spot_strategy", "NoSpot") != "NoSpot" for pool in self.pools.values())

    @property
    def key_pairs(self) -> tuple[str, ...]:
        """The names of key pairs; `*` where one is named after its key."""
        said = [_map(pool, "key_pair") for pool in self.pools.values()]
        return tuple(sorted({str(one.get("name") or "*") for one in said if one}))

    @property
    def imports_key_pair(self) -> bool:
        """Whether some key pair is imported where it is missing."""
        return any(_map(pool, "key_pair").get("import") for pool in self.pools.values())

    @property
    def snapshots(self) -> tuple[str, ...]:
        """The snapshots that data disks are made of."""
        found = {str(one.get("snapshot")) for one in self._data_disks if one.get("snapshot")}
        return tuple(sorted(found))

    @property
    def has_data_disks(self) -> bool:
        """Whether hosts are made with disks of their own."""
        return bool(self._data_disks)

    @property
    def _data_disks(self) -> list[Mapping[str, Any]]:
        said: Any = [one for pool in self.pools.values() for one in _list(pool, "data_disks")]
        return list(said)

    @property
    def releases(self) -> bool:
        """Whether hosts get a time at which the cloud deletes them, which is put off again and again."""
        return bool(self.definition.options.get("auto_release"))

    @property
    def by_assistant(self) -> bool:
        """Whether agents get onto hosts of some pool by Cloud Assistant."""
        return any(pool.options.get("start_by") == "cloud-assistant" for pool in self.pools.values())

    @property
    def reads_console(self) -> bool:
        """Whether host keys of some pool are read from the console."""
        return any(_map(pool, "ssh").get("host_key") == "from-console" for pool in self.pools.values())

    def named(self, key: str) -> tuple[str, ...]:
        """What the pools list under a key; `*` where one lists nothing and the broker finds or makes it."""
        makes = bool(self.definition.options.get("auto_network")) and key in _COMPLETED
        lists = [_list(pool, key) for pool in self.pools.values()]
        if makes and any(not one for one in lists):
            return ("*",)
        return tuple(sorted({str(one) for found in lists for one in found}))

    def named_one(self, key: str) -> tuple[str, ...]:
        """What the pools say under a key that has one value."""
        return tuple(sorted({str(pool.options[key]) for pool in self.pools.values() if pool.options.get(key)}))


def _map(pool: Pool, key: str) -> Mapping[str, Any]:
    said = pool.options.get(key)
    return said if isinstance(said, Mapping) else {}


def _list(pool: Pool, key: str) -> list[Any]:
    said = pool.options.get(key)
    return list(said) if isinstance(said, list | tuple) else []
