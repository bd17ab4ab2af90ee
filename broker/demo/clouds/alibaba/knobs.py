"""What a test turns on the fake: durations, quotas, and the fates of instances to come."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from broker.demo.clouds.alibaba.instances import Instance
from broker.demo.clouds.alibaba.runner import Ran, Script

Span: TypeAlias = float | tuple[float, float]
"""Seconds, or a lowest and a highest number of them."""


@dataclass(slots=True, kw_only=True)
class Timing:
    """How long things take; a span is drawn anew each time, with the fake's seed."""

    pending_s: Span = 2.0
    starting_s: Span = (8.0, 15.0)
    stopping_s: Span = 10.0
    """Until an instance that is told to stop is Stopped."""
    forced_s: Span = 1.0
    """The same, of one that is stopped by force."""
    listed_after_end_s: Span = 5.0
    """An instance that is deleted is listed, as Stopping, for so long."""
    address_s: Span = 1.0
    """From the call until it has its private address."""
    public_address_s: Span = 3.0
    visible_after_s: Span = 0.0
    """A fresh instance is in no answer for so long."""
    vpc_pending_s: Span = 3.0
    vswitch_pending_s: Span = 1.0
    recycling_s: float = 300.0
    """From the notice of a spot instance's end until it is gone."""
    assistant_s: Span = 5.0
    """From Running until Cloud Assistant answers, if no runner says when."""
    command_s: Span = 1.0
    """How long a command runs, if no runner runs it."""

    @classmethod
    def at_once(cls) -> "Timing":
        """Nothing takes any time, but for the notice of a spot instance's end."""
        return cls(
            pending_s=0, starting_s=0, stopping_s=0, forced_s=0, listed_after_end_s=0, address_s=0, public_address_s=0,
            vpc_pending_s=0, vswitch_pending_s=0, assistant_s=0, command_s=0,
        )  # fmt: skip


def drawn(span: Span, chance: random.Random) -> float:
    """A number of seconds in a span."""
    return chance.uniform(*span) if isinstance(span, tuple) else float(span)


@dataclass(slots=True, kw_only=True)
class Quotas:
    """Limits of the account in a region; None: no limit. They may change while all runs."""

    instances: int | None = None
    vcpus: int | None = None
    """Of instances on demand."""
    spot_vcpus: int | None = None
    vpcs: int = 10
    vswitches: int = 150
    """Of a VPC."""
    security_groups: int = 100
    key_pairs: int = 500
    group_instances: int = 2000
    """Instances of a security group."""
    group_rules: int = 200
    data_disks: int = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What becomes of an instance, `after_s` seconds after the call that made it.

    `end` is "gone" (it vanishes from all answers, and its id is not found), "stopped" (it is Stopped and stays so) or
    "stuck" (it never leaves the state in which it then is).
    """

    end: str = "gone"
    after_s: float = 5.0


@dataclass(slots=True)
class Knobs:
    """Those of one fake."""

    timing: Timing = field(default_factory=Timing)
    quotas: Quotas = field(default_factory=Quotas)
    fates: list[Fate] = field(default_factory=list)
    """Of the instances that are made next, in their order."""

    answers: Callable[[Instance, Script], Ran] = lambda instance, script: Ran(exit_code=0)
    """How a script of Cloud Assistant ends, if no runner runs it."""

    def next_fate(self) -> Fate | None:
        """What becomes of an instance that is made now, None for nothing special."""
        return self.fates.pop(0) if self.fates else None
