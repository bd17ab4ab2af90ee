"""What Jenkins and its cloud plugins count before they launch, each rule written anew from what its source does.

Read in 2026: `NoDelayProvisionerStrategy` of kubernetes-plugin, of ec2-plugin before its pull request 1149 and, under
nearly the same name, of ec2-fleet-plugin (option *No Delay Provision Strategy*); `ECSProvisioningStrategy` of
amazon-ecs-plugin; `NodeProvisioner.StandardStrategyImpl` of Jenkins core.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What core tells a strategy of one label: a snapshot of executors and queue, and averages of some of them.

    A node that is there but neither connecting nor online is in none of core's numbers: that is the gap.
    """

    queue: int
    available: int
    """Online, idle, and accepting."""
    connecting: int
    planned: int
    """Launches that are not nodes yet, of earlier reviews of this label."""
    online: int
    offline: int = 0
    """Nodes that are there, neither connecting nor online: not of core, but of whoever looks at the nodes."""
    queue_mean: float = 0.0
    available_mean: float = 0.0
    connecting_mean: float = 0.0
    planned_mean: float = 0.0


Rule: TypeAlias = Callable[[Counts], int]
"""How many agents a review launches."""

DECAY: Final = 0.9
"""Of core's averages, at each update (`LoadStatistics.DECAY`)."""
MEANS_MS: Final = 10_000
"""How often core updates them, and looks at every label (`LoadStatistics.CLOCK`)."""
_MARGIN: Final = 0.1
_MARGIN_AT_0: Final = 0.5
_MARGIN_DECAY: Final = 0.5


def no_delay(counts: Counts) -> int:
    """The queue, less what is available, connecting, or planned: kubernetes, ec2, ec2-fleet."""
    return max(0, counts.queue - counts.available - counts.connecting - counts.planned)


def with_offline(counts: Counts) -> int:
    """The same, less nodes that are there and offline: ec2 since that pull request."""
    return max(0, no_delay(counts) - counts.offline)


def without_planned(counts: Counts) -> int:
    """The same, but what is planned counts for nothing: amazon-ecs."""
    return max(0, counts.queue - counts.available - counts.connecting)


def averaged(counts: Counts) -> int:
    """Core's own: the more careful of now and the average, of each; one at once where there is nothing at all."""
    nothing = not (counts.available or counts.connecting or counts.online or counts.planned)
    first = nothing and counts.queue > 0
    if max(counts.available, counts.available_mean) >= _MARGIN and not first:
        return 0
    excess = min(counts.queue_mean, counts.queue)
    excess -= max(counts.planned_mean, counts.planned) + min(counts.connecting_mean, counts.connecting)
    excess = max(excess, 1.0) if first else excess
    margin = _MARGIN + (_MARGIN_AT_0 - _MARGIN) * _MARGIN_DECAY**counts.online
    return math.floor(excess + margin) if excess > 1 - margin else 0


@dataclass(slots=True)
class Means:
    """Core's averages of one label."""

    queue: float = 0.0
    available: float = 0.0
    connecting: float = 0.0
    planned: float = 0.0

    def tick(self, counts: Counts) -> None:
        """Every `MEANS_MS`."""
        self.queue = _mean(self.queue, counts.queue)
        self.available = _mean(self.available, counts.available)
        self.connecting = _mean(self.connecting, counts.connecting)

    def review(self, counts: Counts) -> None:
        """At every review: core averages what is planned there, and not by its clock."""
        self.planned = _mean(self.planned, counts.planned)


def _mean(before: float, now: float) -> float:
    return before * DECAY + now * (1 - DECAY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """A rule, how often it is asked, and how an agent's start looks to it; what is left of the start is connecting."""

    name: str
    rule: Rule
    review_ms: int
    planned_ms: int | None
    """From the launch until the node is there; None: all of the start, until it is online."""
    gap_ms: int = 0
    """Then: the node exists, and nobody counts it."""
    refusing_ms: int = 0
    """At the end: online, but not accepting yet, which nobody counts either."""


def ec2_with_gap(gap_ms: int) -> Plugin:
    """A review a second; the launch is a node at the next one, which nobody counts for so long."""
    return Plugin(name="ec2", rule=no_delay, review_ms=1000, planned_ms=500, gap_ms=gap_ms)


EC2_FLEET_2018: Final = Plugin(
    name="ec2-fleet of 2018", rule=averaged, review_ms=MEANS_MS, planned_ms=15_000, gap_ms=15_000
)
"""By core's rule, and a node that boots counts for nothing until it connects.

Published is that 96 were wanted and about 142 came (ec2-fleet-plugin, issue 35), and nothing else. Fitted are 15 s
until the node is there, 15 s of boot, 20 s of connecting (`EC2_FLEET_2018_START_MS` in all): one of several choices.
"""
EC2_FLEET_2018_START_MS: Final = 50_000

PLUGINS: Final = (
    Plugin(name="kubernetes", rule=no_delay, review_ms=1000, planned_ms=500),
    Plugin(name="amazon-ecs", rule=without_planned, review_ms=MEANS_MS, planned_ms=500, refusing_ms=1000),
    ec2_with_gap(5000),
    Plugin(name="ec2 since 2025", rule=with_offline, review_ms=1000, planned_ms=500, gap_ms=5000),
    Plugin(name="ec2-fleet", rule=no_delay, review_ms=1000, planned_ms=None),
    Plugin(name="core's average", rule=averaged, review_ms=MEANS_MS, planned_ms=None),
)
"""Those of today, and ec2 as it was when 100 builds got 500 to 600 nodes: its gap of 5 s is fitted to that."""
