"""On which container instance a task goes: constraints, resources, then strategies in their order.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-placement.html.
"""

import random
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from broker.demo.clouds.ecs import errors, query
from broker.demo.clouds.ecs.instances import ContainerInstance, Need

_BINPACK: Final = {"cpu", "memory"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a request and its definition say of the place."""

    member_of: tuple[query.Test, ...] = ()
    distinct: bool = False
    strategies: tuple[tuple[str, str], ...] = ()
    """Types and fields."""
    zones: frozenset[str] = frozenset()
    """Of the subnets; empty: any."""


def rules(
    constraints: Sequence[Mapping[str, Any]], strategies: Sequence[Mapping[str, Any]], zones: Collection[str] = ()
) -> Rules:
    """What a request says; raises InvalidParameterException for what it may not."""
    if len(constraints) > 10:
        raise errors.invalid("A task can have at most 10 placement constraints.")
    if len(strategies) > 5:
        raise errors.invalid("A task can have at most 5 placement strategies.")
    tests = []
    for constraint in constraints:
        expression = str(constraint.get("expression") or "")
        if constraint.get("type") == "distinctInstance":
            if expression:
                raise errors.invalid("An expression cannot be specified for the distinctInstance constraint.")
        elif constraint.get("type") == "memberOf":
            tests.append(query.parse(expression))
        else:
            raise errors.invalid("A placement constraint needs a type: distinctInstance or memberOf.")
    return Rules(
        member_of=tuple(tests),
        distinct=any(constraint["type"] == "distinctInstance" for constraint in constraints),
        strategies=tuple(_strategy(strategy) for strategy in strategies),
        zones=frozenset(zones),
    )


def _strategy(strategy: Mapping[str, Any]) -> tuple[str, str]:
    kind, field = str(strategy.get("type") or ""), str(strategy.get("field") or "")
    if kind == "random":
        if field:
            raise errors.invalid("The random placement strategy does not take a field.")
    elif kind == "binpack":
        field = field.lower()
        if field not in _BINPACK:
            raise errors.invalid("The field of the binpack placement strategy must be cpu or memory.")
    elif kind == "spread":
        is_attribute = field.startswith("attribute:") and len(field) > len("attribute:")
        if not is_attribute and field not in {"instanceId", "host"}:
            raise errors.invalid("The field of the spread placement strategy must be instanceId, host or an attribute.")
    else:
        raise errors.invalid("A placement strategy needs a type: random, spread or binpack.")
    return kind, field


def hindrance(instance: ContainerInstance, need: Need, rules: Rules, group: str) -> str | None:
    """Why a task cannot go there, as `failures[].reason` says it."""
    if rules.zones and instance.attributes.get("ecs.availability-zone") not in rules.zones:
        return "LOCATION"
    if not all(test(instance) for test in rules.member_of):
        return "MemberOf placement constraint unsatisfied."
    if rules.distinct and group in instance.groups.values():
        return "DistinctInstance placement constraint unsatisfied."
    return instance.lacks(need)


def choose(
    instances: Sequence[ContainerInstance], need: Need, rules: Rules, group: str, chance: random.Random
) -> ContainerInstance | list[dict[str, str]]:
    """The instance for a task, or the failures: why none of them takes it, one each."""
    failures, candidates = [], []
    for instance in instances:
        reason = hindrance(instance, need, rules, group)
        if reason is None:
            candidates.append(instance)
        else:
            failures.append({"arn": instance.arn, "reason": reason})
    if not candidates:
        return failures
    for kind, field in rules.strategies:  # each leaves those that it likes best
        if kind == "random":
            break
        score = _binpacked(field) if kind == "binpack" else _spread(instances, field, group)
        best = min(score(candidate) for candidate in candidates)
        candidates = [candidate for candidate in candidates if score(candidate) == best]
    return chance.choice(candidates)


def _binpacked(field: str) -> Callable[[ContainerInstance], float]:
    if field == "cpu":
        return lambda instance: instance.remaining().cpu
    return lambda instance: instance.remaining().memory


def _spread(candidates: Sequence[ContainerInstance], field: str, group: str) -> Callable[[ContainerInstance], float]:
    """How many tasks of the group already are where the instance is."""

    def place(instance: ContainerInstance) -> str | None:
        if field in {"instanceId", "host"}:
            return instance.arn
        return instance.attributes.get(field.removeprefix("attribute:"))

    counts: Counter[str | None] = Counter()
    for instance in candidates:
        counts[place(instance)] += sum(one == group for one in instance.groups.values())
    return lambda instance: counts[place(instance)]
