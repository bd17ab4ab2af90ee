"""Capacity provider strategies: what may be one, and how tasks spread over it.

https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CapacityProviderStrategyItem.html.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from broker.demo.clouds.ecs import errors


@dataclass(frozen=True, slots=True)
class Item:
    """One provider's part: at least `base` tasks, and of those beyond it a share by `weight`."""

    provider: str
    weight: int = 0
    base: int = 0


def of(items: Sequence[Mapping[str, Any]]) -> tuple[Item, ...]:
    """A strategy as the API takes it; raises InvalidParameterException for one that it refuses."""
    found = tuple(
        Item(item["capacityProvider"], int(item.get("weight", 0)), int(item.get("base", 0))) for item in items
    )
    if len(found) > 20:
        raise errors.invalid("A capacity provider strategy can contain a maximum of 20 capacity providers.")
    if any(not 0 <= item.weight <= 1000 for item in found):
        raise errors.invalid("The weight of a capacity provider must be between 0 and 1000.")
    if any(not 0 <= item.base <= 100_000 for item in found):
        raise errors.invalid("The base of a capacity provider must be between 0 and 100000.")
    if len({item.provider for item in found}) < len(found):
        raise errors.invalid("A capacity provider can be specified only once in a capacity provider strategy.")
    if sum(item.base > 0 for item in found) > 1:
        raise errors.invalid("Only one capacity provider in a capacity provider strategy can have a base defined.")
    if found and not any(item.weight for item in found):
        raise errors.invalid("At least one capacity provider in the strategy must have a weight greater than 0.")
    return found


def spread(strategy: Sequence[Item], count: int, chance: random.Random) -> list[str]:
    """The provider of each of `count` tasks of one call: the base first, then whole shares by weight.

    What does not divide goes by chance in proportion to the weights, so that many calls of one task keep the ratio.
    """
    based = next((item for item in strategy if item.base), None)
    chosen = [based.provider] * min(based.base, count) if based else []
    rest = count - len(chosen)
    total = sum(item.weight for item in strategy)
    whole = [(item, rest * item.weight // total) for item in strategy]
    chosen += [item.provider for item, share in whole for _ in range(share)]
    left = {item.provider: rest * item.weight / total - share for item, share in whole}
    for _ in range(count - len(chosen)):
        provider = chance.choices(list(left), weights=[max(part, 0.0) for part in left.values()])[0]
        left[provider] = 0.0
        chosen.append(provider)
    return chosen
