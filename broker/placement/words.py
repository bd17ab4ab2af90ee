"""What is said of pools and offers that are not chosen: moments, caps and needs, never what changes while one waits."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from broker.domain.ids import PoolName
from broker.domain.lengths import short
from broker.domain.limits import Cooled, Lever, LeverKind, Rest
from broker.domain.money import Micros, shown
from broker.domain.offer import Offering
from broker.domain.policy import Fallback, Spread, SpreadBy, Strategy
from broker.domain.reason import Reason
from broker.placement.hosts import Size

NOT_CHOSEN: Final[Mapping[Strategy, str]] = {
    Strategy.ORDERED: "a pool before it could take the agent",
    Strategy.WEIGHTED: "next in turn",
    Strategy.SPREAD: "it has more of the policy's agents",
    Strategy.BINPACK: "another is fuller",
    Strategy.CHEAPEST: "another is cheaper",
    Strategy.FASTEST: "another is faster",
}
"""What is said of a pool that could have taken the agent and was not chosen."""

OTHER_PLACE: Final = "another place of the pool was taken"

BASE_ONLY: Final = "weight 0: it takes its base only"
FULLEST: Final = "the fullest that fits"

_LONGEST_CAUSE: Final = 200


def size(of: Size) -> str:
    """A size, such as "2 vCPU and 4096 MiB"."""
    cpu, memory = of
    parts = [f"{cpu / 1000:g} vCPU"] if cpu else []
    parts += [f"{memory} MiB"] if memory else []
    return " and ".join(parts) or "an agent"


def no_room(pool: PoolName, of: Size, *, has_hosts: bool) -> str:
    """No offer fits."""
    return f"no host of pool {pool} has room for {size(of)}" if has_hosts else f"pool {pool} has no room now"


def hosts_full(pool: PoolName, most: int | None, of: Size) -> str:
    """No host has room, and the pool may have no more of them."""
    return f"{no_room(pool, of, has_hosts=True)}, and it may have no more than {most} (limits.hosts: {most})"


def too_small(pool: PoolName, of: Size) -> str:
    """Even an empty host would not do."""
    return f"{size(of)} is more than a host of pool {pool} has"


def cause(why: Reason | None, message: str) -> str:
    """A failure in one line that is not too long."""
    first_line = message.partition("\n")[0][:_LONGEST_CAUSE]
    return f"{why or Reason.BACKEND_ERROR}: {first_line}"


def rests(pool: PoolName, rest: Rest) -> str:
    """The breaker is open."""
    failed = f"its launches failed: {cause(rest.why, rest.message)}"
    return f"pool {pool} rests until {rest.until:%H:%M:%S} UTC, {failed}"


def is_tried(pool: PoolName, rest: Rest) -> str:
    """The breaker lets one agent try."""
    return f"pool {pool} is being tried with one agent, its launches failed: {cause(rest.why, rest.message)}"


def unproven(pool: PoolName, rest: Rest | None) -> str:
    """As many launches as a pool may have before one of them is accepted."""
    failed = f", its launches failed: {cause(rest.why, rest.message)}" if rest and rest.why else ""
    return f"pool {pool} takes more when the launches before this one are answered{failed}"


def cooled(offering: Offering, of: Cooled) -> str:
    """An offering that was out of stock."""
    parts = ", ".join(part for part in (offering.zone, offering.type, offering.capacity) if part)
    where = f"pool {offering.pool}" + (f" ({parts})" if parts else "")
    return f"{where} is left alone until {of.until:%H:%M:%S} UTC: {cause(of.why, of.message)}"


def lever(of: Lever) -> str:
    """An operator's doing, with who, why and until when."""
    what = "paused" if of.kind is LeverKind.PAUSE else "being emptied"
    until = "" if of.until is None else f" until {of.until:%Y-%m-%d %H:%M} UTC"
    why = f": {of.reason}" if of.reason else ""
    return f"pool {of.pool} is {what}{until} by {of.actor}{why}"


def share(has: int, of: int, weight: int, total: int) -> str:
    """How far a pool is from its share: before the agent, and as it should be."""
    return f"share {100 * has // of if of else 0} % of {100 * weight // total} %"


def base(has: int, wanted: int) -> str:
    """A pool whose base is not there yet."""
    return f"base {has + 1} of {wanted}"


def median(start: timedelta | None) -> str:
    """How fast a pool is."""
    return "not measured in the last hour" if start is None else f"usually online in {short(start)}"


def price(hourly: Micros | None) -> str:
    """What the place costs."""
    return "no price is known" if hourly is None else f"{shown(hourly, '')} an hour"


def fewest(by: SpreadBy, name: str, count: int) -> str:
    """A zone, type, pool or host with the fewest agents; one without a name is still to be made."""
    return f"{by} {name} has {count} of the policy's agents" if name else f"a new {by}"


def max_skew(rule: Spread, name: str) -> str:
    """A zone, type, pool or host that may not have one more."""
    return f"{name} would have over {rule.max_skew} more of the policy's agents than another {rule.by}"


def standby(step: Fallback) -> str:
    """A fallback that is not turned to: when it would be, and for what."""
    after = f" after {short(step.after)}" if step.after else ""
    return f"fallback{after}" + (f" on {', '.join(step.when)}" if step.when else "")


def closed(step: Fallback) -> str:
    """A fallback at another hour than its own."""
    assert step.only is not None
    start, end = (f"{minutes // 60:02}:{minutes % 60:02}" for minutes in (step.only.start, step.only.end))
    return f"fallback from {start} to {end} {step.only.zone.key} only"
