"""What a broker on the fake of Alibaba Cloud is made of: pools of hosts, and a policy over them."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from broker.demo.clouds.alibaba.knobs import Timing
from broker.domain.definitions import Definitions
from broker.domain.host import HostRules
from broker.domain.ids import BackendName, PoolName
from broker.domain.pool import Pool
from broker.testing.factories import BACKEND, make_definitions, make_policy, make_pool, make_template

INSTALLATION: Final = "0123abcd"
ZONES: Final = [f"cn-hangzhou-{letter}" for letter in "hij"]
FIRST_TYPE, SECOND_TYPE = "ecs.c7.xlarge", "ecs.g7.xlarge"
SPOT: Final = {"spot_strategy": "SpotAsPriceGo", "on_no_stock": "on-demand"}
OPTIONS: Final[Mapping[str, Any]] = {
    "image_id": "aliyun_3_x64_20G_alibase_20260528.vhd",
    "instance_types": [FIRST_TYPE, SECOND_TYPE],
    "vswitches": [f"vsw-bp1agents{letter}" for letter in "hij"],
    "security_groups": ["sg-bp1agents"],
    "charge": {"spot_strategy": "NoSpot"},
    "ssh": {"user": "root", "host_key": "accept-new", "private_key": "not used"},
    "init": {"script": "#!/bin/sh\ntrue\n"},
}


def TIMING() -> Timing:
    """Hosts that run 20 s after the call, and are listed for 5 s after their end."""
    return Timing(pending_s=2, starting_s=18, stopping_s=5, forced_s=1, listed_after_end_s=5, address_s=1)


def pool_of_hosts(name: str = "it", backend: BackendName = BACKEND, rules: Any = None, **options: Any) -> Pool:
    """A pool of three zones and two types, two agents a host, whose idle hosts go after half a minute."""
    given: dict[str, Any] = {"agents_per_host": 2, "idle_timeout": timedelta(seconds=30), **(rules or {})}
    return make_pool(name=PoolName(name), backend=backend, options={**OPTIONS, **options}, hosts=HostRules(**given))


def definitions(pools: Sequence[Pool] = (), **policy: Any) -> Definitions:
    """One policy over these pools in their order."""
    pools = tuple(pools) or (pool_of_hosts(),)
    return make_definitions(
        pools=pools, templates=[make_template()], policies=[make_policy(*(pool.name for pool in pools), **policy)]
    )
