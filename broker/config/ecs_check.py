"""What Amazon ECS would refuse, said when the config is loaded: of backends, pools, templates, and both together."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from broker.config import (
    ecs_check_backends,
    ecs_check_containers,
    ecs_check_existing,
    ecs_check_fargate,
    ecs_check_pools,
    ecs_check_roles,
    ecs_check_sizes,
    ecs_check_volumes,
)
from broker.config.diagnostics import Diagnostics, Note
from broker.config.ecs_uses import Ecs, network_mode
from broker.config.model import BrokerFile
from broker.config.model_ecs import ECS_TEMPLATE_KEYS
from broker.config.nodes import Node

_MOST_READ: Final = 100_000
_PARTS: Final[tuple[Callable[[Ecs], None], ...]] = (
    ecs_check_backends.check,
    ecs_check_pools.check,
    ecs_check_containers.check,
    ecs_check_volumes.check,
    ecs_check_existing.check,
    ecs_check_sizes.check,
    ecs_check_fargate.check,
    ecs_check_roles.check,
)


def check(root: Node, file: BrokerFile, pool_types: Mapping[str, str], base: Path, diagnostics: Diagnostics) -> None:
    """Reports all of it; `root` has inheritance resolved, `pool_types` is the type of each pool's backend.

    Relative file names start at `base`.
    """
    ecs = Ecs(root, file, pool_types, diagnostics, _authorities(file, base))
    for part in _PARTS:
        part(ecs)
    _one_zone(ecs)
    _unread(ecs)


def _authorities(file: BrokerFile, base: Path) -> str:
    """What agents are to trust beside what their image does; a file that cannot be read is told of elsewhere."""
    if file.gateway.tls is None or file.gateway.tls.ca_file is None:
        return ""
    try:
        with (base / file.gateway.tls.ca_file).open(encoding="ascii", errors="replace") as text:
            return text.read(_MOST_READ)
    except (OSError, ValueError):
        return ""


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


def _unread(ecs: Ecs) -> None:
    """Keys of Amazon ECS in a template that runs elsewhere alone."""
    runs = {policy.template or "default" for policy in ecs.file.policies.values()}
    for name in runs - {use.template for use in ecs.uses}:
        for key in ECS_TEMPLATE_KEYS if name in ecs.templates else ():
            if getattr(ecs.templates[name], key) is not None:
                message = f"'{key}' of template '{name}' means nothing: no pool that runs it is on Amazon ECS"
                span = ecs.key("templates", name, key)
                ecs.warning("unused-key", span, message, "remove it, or run the template on Amazon ECS")
