"""Whole answers of the cloud, over all pages: the one place that knows how each listing is paged."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from broker.errors import BackendError, BackendRejected, InsufficientCapacity, OutcomeUnknown, Throttled

Answer = Mapping[str, Any]
Item = Mapping[str, Any]

_MOST_PAGES: Final = 500
_KINDS: Final[tuple[type[BackendError], ...]] = (InsufficientCapacity, Throttled, BackendRejected, OutcomeUnknown)


class Ask(Protocol):
    """One call to the cloud."""

    async def __call__(self, action: str, request: Answer) -> Answer:
        """`action` is such as `ecs:DescribeZones` or `vpc:CreateVpc`; both sides as the API writes them. RegionId is
        added where it is missing. Raises `BackendError`s.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listing:
    """Where an answer has its items, and how the next page is asked for: by number, else by token."""

    members: tuple[str, str]
    key: str
    most: int
    by_token: bool = False


LISTINGS: Final[Mapping[str, _Listing]] = {
    "ecs:DescribeDisks": _Listing(members=("Disks", "Disk"), key="DiskId", most=100),
    "ecs:DescribeImages": _Listing(members=("Images", "Image"), key="ImageId", most=100),
    "ecs:DescribeInstanceTypes": _Listing(
        members=("InstanceTypes", "InstanceType"), key="InstanceTypeId", most=100, by_token=True
    ),
    "ecs:DescribeInstances": _Listing(members=("Instances", "Instance"), key="InstanceId", most=100, by_token=True),
    "ecs:DescribeKeyPairs": _Listing(members=("KeyPairs", "KeyPair"), key="KeyPairName", most=50),
    "ecs:DescribeSecurityGroupAttribute": _Listing(
        members=("Permissions", "Permission"), key="SecurityGroupRuleId", most=500, by_token=True
    ),
    "ecs:DescribeSecurityGroups": _Listing(
        members=("SecurityGroups", "SecurityGroup"), key="SecurityGroupId", most=100, by_token=True
    ),
    "vpc:DescribeVSwitches": _Listing(members=("VSwitches", "VSwitch"), key="VSwitchId", most=50),
    "vpc:DescribeVpcs": _Listing(members=("Vpcs", "Vpc"), key="VpcId", most=50),
}
"""Most items a page: API references of ECS and VPC, MaxResults and PageSize of each."""


def items(answer: Answer, members: tuple[str, str]) -> list[Item]:
    """The list within an answer, such as `Vpcs.Vpc`; an answer without it has none."""
    found = (answer.get(members[0]) or {}).get(members[1]) or []
    return list(found)


async def pages(ask: Ask, action: str, request: Answer) -> list[Item]:
    """All items of a listing, each once. Raises as `ask`, and says how far it came; it always ends."""
    how = LISTINGS[action]
    found = dict[Any, Item]()
    token, number = "", 1
    while True:
        where = {"MaxResults": how.most} if how.by_token else {"PageNumber": number, "PageSize": how.most}
        page = await _page(ask, action, {**request, **where, **({"NextToken": token} if token else {})}, number, found)
        before = len(found)
        for item in items(page, how.members):
            found[item.get(how.key) or f"#{len(found)}"] = item
        following = str(page.get("NextToken") or "") if how.by_token else ""
        if how.by_token and not following:
            break
        if not how.by_token and len(found) >= int(page.get("TotalCount") or 0):
            break
        if following == token and len(found) == before:
            raise _stuck(action, number, len(found), "the next page is said to be the same one")
        if number >= _MOST_PAGES:
            raise _stuck(action, number, len(found), "there is no end of pages")
        token, number = following, number + 1
    return list(found.values())


async def _page(ask: Ask, action: str, request: Answer, number: int, found: Mapping[Any, Item]) -> Answer:
    try:
        return await ask(action, request)
    except BackendError as error:
        if number == 1:
            raise
        told = f"{action}: page {number} failed after {len(found)} items: {error.message}"
        kind = next((one for one in _KINDS if isinstance(error, one)), BackendError)
        raise kind(error.code, told, error.reason) from error


def _stuck(action: str, number: int, count: int, why: str) -> OutcomeUnknown:
    return OutcomeUnknown("EndlessPages", f"{action}: given up at page {number} after {count} items: {why}")
