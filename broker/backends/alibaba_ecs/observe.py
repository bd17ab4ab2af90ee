"""What DescribeInstances says of an instance, in words of ours (API reference, DescribeInstances)."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from broker.domain.host import HostState, SeenHost
from broker.domain.ids import HostId, HostRef
from broker.domain.instance import Interruption
from broker.domain.reason import Reason

RECYCLING: Final = "Recycling"
NOTICE: Final = timedelta(minutes=5)
"""From the notice until the cloud takes a spot instance back ("Spot instances": about 5 minutes)."""

Item = Mapping[str, Any]

_STATES: Final = {
    "Pending": HostState.PENDING,
    "Starting": HostState.PENDING,
    "Running": HostState.RUNNING,
    "Stopping": HostState.STOPPING,
    "Stopped": HostState.STOPPED,
}


def state_of(item: Item) -> HostState:
    """An unknown word is a state that we wait for the end of."""
    return _STATES.get(str(item.get("Status") or ""), HostState.PENDING)


def locks_of(item: Item) -> tuple[str, ...]:
    """Why the cloud has locked it: financial, security, Recycling, …"""
    locks: Sequence[Item] = (item.get("OperationLocks") or {}).get("LockReason") or ()
    return tuple(str(lock.get("LockReason") or "") for lock in locks)


def is_recycled(item: Item) -> bool:
    """Whether the cloud has told that it takes it back."""
    return RECYCLING in locks_of(item)


def address_of(item: Item, connect_by: str) -> str:
    """Where it is reached; empty while it has no such address."""
    if connect_by == "public":
        elastic = str((item.get("EipAddress") or {}).get("IpAddress") or "")
        return _first(item.get("PublicIpAddress")) or elastic
    return _first((item.get("VpcAttributes") or {}).get("PrivateIpAddress")) or _of_interface(item)


def time_of(text: object) -> datetime | None:
    """Of `2026-11-22T20:00Z`, with seconds or without."""
    for form in ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%MZ"):
        try:
            return datetime.strptime(str(text or ""), form).replace(tzinfo=UTC)
        except ValueError:
            continue
    return None


def seen_of(item: Item, host: HostId | None, connect_by: str, taken_at: datetime | None) -> SeenHost:
    """One observation; `taken_at` is when the cloud takes it back, if it has said so."""
    state = state_of(item)
    ref = HostRef(str(item.get("InstanceId")))
    reason, message = _why(item) if state in {HostState.STOPPED, HostState.STOPPING} else (None, "")
    notice = None
    if taken_at is not None:
        notice = Interruption(at=taken_at, message="OperationLocks: LockReason Recycling")
    return SeenHost(
        ref=ref,
        state=state,
        host=host,
        address=address_of(item, connect_by),
        reason=reason,
        message=message,
        interruption=notice,
        created=time_of(item.get("CreationTime")),
    )


def _why(item: Item) -> tuple[Reason, str]:
    """The cloud says no more than a state, how it charges for it, and its locks."""
    locks = locks_of(item)
    words = [f"Status {item.get('Status')}"]
    if item.get("StoppedMode") not in {None, "", "Not-applicable"}:
        words.append(f"StoppedMode {item.get('StoppedMode')}")
    if locks:
        words.append(f"OperationLocks {', '.join(locks)}")
    reason = Reason.SPOT_INTERRUPTED if RECYCLING in locks else Reason.HOST_VANISHED
    return reason, "; ".join(words)


def _first(told: object) -> str:
    listed = told.get("IpAddress") if isinstance(told, Mapping) else None
    return str(listed[0]) if isinstance(listed, list) and listed else ""


def _of_interface(item: Item) -> str:
    listed: Sequence[Item] = (item.get("NetworkInterfaces") or {}).get("NetworkInterface") or ()
    primary = [one for one in listed if one.get("Type") in {None, "", "Primary"}]
    return str(primary[0].get("PrimaryIpAddress") or "") if primary else ""
