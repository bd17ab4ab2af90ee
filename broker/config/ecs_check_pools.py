"""What a pool on Amazon ECS says of itself: capacity, network, and how instances are chosen."""

from collections import Counter
from typing import Final

from broker.config.ecs_uses import Ecs, is_fargate, is_on_instances, network_mode, providers
from broker.config.model_ecs import PlacementStrategyModel
from broker.config.model_pools import PoolModel
from broker.config.suggest import nearest

_CAPACITY: Final = ("capacity_provider", "capacity_provider_strategy", "launch_type")
_FARGATE: Final = frozenset({"FARGATE", "FARGATE_SPOT"})
_ON_FARGATE: Final = (
    "Fargate has no instances to choose from: a policy's 'strategy: spread' keeps zones even, several subnets give them"
)
_MOST_GROUPS: Final = 5


def check(ecs: Ecs) -> None:
    """Reports what RunTask would refuse, whatever template runs."""
    for name, pool in ecs.pools.items():
        _capacity(ecs, name, pool)
        _shares(ecs, name, pool)
        _network(ecs, name, pool)
        _placement(ecs, name, pool)
        _secrets(ecs, name, pool)


def _capacity(ecs: Ecs, name: str, pool: PoolModel) -> None:
    said = [key for key in _CAPACITY if getattr(pool, key)]
    if len(said) > 1:
        first, last = sorted(said, key=lambda key: ecs.key("pools", name, key))[:2]
        message = f"pool '{name}' has '{last}' and '{first}', of which ECS takes one"
        help_ = f"remove one of them; an inherited one is removed by '{first}: null'"
        ecs.error("capacity-conflict", ecs.key("pools", name, last), message, help_)


def _shares(ecs: Ecs, name: str, pool: PoolModel) -> None:
    """The rules of a capacity provider strategy (RunTask, capacityProviderStrategy)."""
    items = pool.capacity_provider_strategy
    if not items:
        return
    span = ecs.value("pools", name, "capacity_provider_strategy")
    if not any(item.weight for item in items):
        message = f"every capacity provider of pool '{name}' has weight 0, so none takes a task"
        ecs.error("zero-weights", span, message, "give at least one of them a weight of 1 to 1000")
    based = [n for n, item in enumerate(items) if item.base]
    if len(based) > 1:
        message = f"{len(based)} capacity providers of pool '{name}' have a base, and one may"
        second = ecs.value("pools", name, "capacity_provider_strategy", based[1], "base")
        ecs.error("several-bases", second, message, "keep the base of one of them")
    names = providers(pool)
    for repeated in (one for one, count in Counter(names).items() if count > 1):
        ecs.error("capacity-conflict", span, f"pool '{name}' names capacity provider '{repeated}' twice")
    own = [one for one in names if one not in _FARGATE]
    if own and len(own) < len(names):
        message = f"pool '{name}' mixes Fargate with '{own[0]}', which is of instances; ECS takes one kind"
        help_ = "make a pool of each, and let a policy use both"
        ecs.error("capacity-conflict", span, message, help_)


def _network(ecs: Ecs, name: str, pool: PoolModel) -> None:
    mode, at = network_mode(pool), ("pools", name)
    if is_fargate(pool) and mode != "awsvpc":
        message = f"pool '{name}' is on Fargate, whose tasks have 'network_mode: awsvpc' alone"
        ecs.error("network-conflict", ecs.value(*at, "network_mode"), message, "remove 'network_mode'")
    elif pool.launch_type == "EXTERNAL" and mode == "awsvpc":
        message = f"pool '{name}' is on external instances, which have no network interfaces of a VPC"
        help_ = "write 'network_mode: bridge' or 'host', and no subnets"
        span = ecs.key(*at, "subnets" if pool.subnets else "network_mode")
        ecs.error("network-conflict", span, message, help_)
    elif mode == "awsvpc" and not pool.subnets:
        why = "is on Fargate" if is_fargate(pool) else "has 'network_mode: awsvpc'"
        message = f"pool '{name}' {why} and has no 'subnets' for the network interfaces of its tasks"
        help_ = "list them; 'agentbroker discover aws' shows those of the account"
        ecs.error("network-conflict", ecs.key("pools", name), message, help_)
    for key in ("subnets", "security_groups", "assign_public_ip"):
        if getattr(pool, key) and mode != "awsvpc" and not is_fargate(pool):
            message = f"'{key}' of pool '{name}' is of tasks with a network interface of their own"
            help_ = "write 'network_mode: awsvpc' and subnets, or remove it"
            ecs.error("network-conflict", ecs.key(*at, key), message, help_)
    if len(pool.security_groups or ()) > _MOST_GROUPS:
        message = f"pool '{name}' has {len(pool.security_groups or ())} security groups, ECS takes {_MOST_GROUPS}"
        ecs.error("network-conflict", ecs.value(*at, "security_groups"), message)
    if pool.assign_public_ip and is_on_instances(pool):
        message = f"pool '{name}' is not on Fargate, where alone tasks can have a public address"
        help_ = "remove it; a NAT gateway gives tasks on instances a way out"
        ecs.error("not-on-instances", ecs.key(*at, "assign_public_ip"), message, help_)
    if pool.platform_version and is_on_instances(pool):
        message = f"'platform_version' is of Fargate; pool '{name}' is on instances"
        ecs.error("not-on-instances", ecs.key(*at, "platform_version"), message, "remove it")


def _placement(ecs: Ecs, name: str, pool: PoolModel) -> None:
    for key in ("placement_strategy", "placement_constraints"):
        if getattr(pool, key) and is_fargate(pool):
            message = f"'{key}' of pool '{name}' is of instances, and the pool is on Fargate"
            ecs.error("not-on-fargate", ecs.key("pools", name, key), message, f"remove it. {_ON_FARGATE}")
    for n, rule in enumerate(pool.placement_strategy or ()):
        if problem := _problem_of(rule):
            key = "field" if rule.field is not None else "type"
            ecs.error("bad-placement", ecs.value("pools", name, "placement_strategy", n, key), *problem)
    for n, constraint in enumerate(pool.placement_constraints or ()):
        span = ecs.value("pools", name, "placement_constraints", n)
        if constraint.type == "memberOf" and constraint.expression is None:
            help_ = "write one such as 'attribute:ecs.instance-type =~ c7i.*'"
            ecs.error("bad-placement", span, "'memberOf' needs an 'expression' that instances fulfil", help_)
        elif constraint.type == "distinctInstance" and constraint.expression is not None:
            message = "'distinctInstance' has no 'expression': it puts each task on an instance of its own"
            ecs.error("bad-placement", span, message, "remove 'expression'")


def _problem_of(rule: PlacementStrategyModel) -> tuple[str, str] | None:
    """What is wrong with a rule's field, and what would be right (RunTask, placementStrategy)."""
    if rule.type == "random":
        return ("'random' has no field", "remove 'field'") if rule.field is not None else None
    choices = ("cpu", "memory") if rule.type == "binpack" else ("instanceId", "host", "attribute:")
    if rule.field is None:
        shown = "cpu or memory" if rule.type == "binpack" else "instanceId, host or attribute:NAME"
        return f"'{rule.type}' needs a 'field'", f"write {shown}"
    fits = rule.field in choices or (rule.type == "spread" and rule.field.startswith("attribute:"))
    if fits and rule.field != "attribute:":
        return None
    meant = nearest(rule.field, ["cpu", "memory", "instanceId", "host", "attribute:ecs.availability-zone"])
    if rule.type == "binpack":
        return f"'binpack' fills instances by cpu or by memory, not by '{rule.field}'", "write 'cpu' or 'memory'"
    help_ = f"did you mean '{meant}'?" if meant else "write instanceId, host or 'attribute:ecs.availability-zone'"
    return f"'spread' cannot spread over '{rule.field}'", help_


def _secrets(ecs: Ecs, name: str, pool: PoolModel) -> None:
    if pool.secret_delivery in {"ssm", "secrets-manager"}:
        return
    for key in ("secret_prefix", "secret_kms_key_id"):
        if getattr(pool, key):
            message = f"'{key}' of pool '{name}' means nothing: its agents get their secrets as variables"
            help_ = "add 'secret_delivery: ssm' or 'secrets-manager', or remove it"
            ecs.warning("unused-key", ecs.key("pools", name, key), message, help_)
