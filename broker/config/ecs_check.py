"""What Amazon ECS would refuse, said when the config is loaded: of backends, pools, templates, and both together."""

from collections.abc import Mapping

from broker.config import ecs_check_sizes
from broker.config.diagnostics import Diagnostics, Note
from broker.config.ecs_uses import Ecs, network_mode
from broker.config.model import BrokerFile
from broker.config.nodes import Node


def check(root: Node, file: BrokerFile, pool_types: Mapping[str, str], diagnostics: Diagnostics) -> None:
    """Reports all of it; `root` has inheritance resolved, `pool_types` is the type of each pool's backend."""
    ecs = Ecs(root, file, pool_types, diagnostics)
    ecs_check_sizes.check(ecs)
    _one_zone(ecs)


def _one_zone(ecs: Ecs) -> None:
    """A spread over zones where there is one."""
    for use in ecs.uses:
        policy, pool = ecs.file.policies[use.policy], ecs.pools[use.pool]
        by_zone = policy.strategy == "spread" and (policy.spread is None or policy.spread.by == "zone")
        if by_zone and network_mode(pool) == "awsvpc" and len(set(pool.subnets or ())) == 1:
            message = f"policy '{use.policy}' spreads by zone, but pool '{use.pool}' has one subnet, so one zone"
            note = Note("note", f"'spread' is at {ecs.key('policies', use.policy, 'spread')}")
            help_ = "add subnets in other zones; 'agentbroker doctor' lists the zone of each"
            ecs.warning("spread-one-zone", ecs.value("pools", use.pool, "subnets"), message, help_, note)
