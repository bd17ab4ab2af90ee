"""CloudWatch Logs, as far as one reads a task's last lines."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from broker.demo.clouds.model import ApiError, Call, Parameters, Service
from broker.demo.clouds.pages import page_of
from broker.demo.clouds.world import World

_PAGE: Final = 10_000


class FakeLogs(Service):
    """Streams by region, group and name; the fake's tasks write them."""

    name = "logs"

    def __init__(self, world: World) -> None:
        """Empty."""
        self._world = world
        self._groups: dict[tuple[str, str], dict[str, list[tuple[datetime, str]]]] = {}

    def create_group(self, group: str, region: str = "") -> None:
        """An empty group; one that is there stays."""
        self._groups.setdefault((region or self._world.region, group), {})

    def put(self, group: str, stream: str, lines: Iterable[str], region: str = "") -> None:
        """Writes lines now, making what is not there yet."""
        self.create_group(group, region)
        events = self._groups[region or self._world.region, group].setdefault(stream, [])
        events.extend((self._world.clock.now(), line) for line in lines)

    def lines(self, group: str, stream: str, region: str = "") -> list[str]:
        """What was written to a stream."""
        events = self._groups.get((region or self._world.region, group), {}).get(stream, [])
        return [line for _, line in events]

    async def DescribeLogGroups(self, call: Call) -> Parameters:
        """By the names' beginning, in pages."""
        prefix, size = call.parameters.get("logGroupNamePrefix", ""), call.parameters.get("limit", 50)
        names = sorted(name for region, name in self._groups if region == call.region and name.startswith(prefix))
        wrong = ApiError("InvalidParameterException", "The specified nextToken is invalid.")
        page, following = page_of(names, token=call.parameters.get("nextToken"), size=size, wrong=wrong)
        groups = [{"logGroupName": name, "arn": self._arn(call.region, name)} for name in page]
        return {"logGroups": groups, **({"nextToken": following} if following else {})}

    def _arn(self, region: str, group: str) -> str:
        return f"arn:aws:logs:{region}:{self._world.account}:log-group:{group}:*"

    async def GetLogEvents(self, call: Call) -> Parameters:
        """The last events, or with `startFromHead` the first; in either case in the order of their time."""
        said = call.parameters
        if ("logGroupName" in said) == ("logGroupIdentifier" in said):
            raise ApiError("InvalidParameterException", "Exactly one of logGroupName and logGroupIdentifier is needed.")
        name = said.get("logGroupName") or said["logGroupIdentifier"].removesuffix(":*").rpartition("log-group:")[2]
        group = self._groups.get((call.region, name))
        if group is None:
            raise ApiError("ResourceNotFoundException", "The specified log group does not exist.")
        if said["logStreamName"] not in group:
            raise ApiError("ResourceNotFoundException", "The specified log stream does not exist.")
        events = _within(group[said["logStreamName"]], said.get("startTime"), said.get("endTime"))
        start, end = _window(said, len(events))
        return {
            "events": [_event(at, line) for at, line in events[start:end]],
            "nextForwardToken": f"f/{end}",
            "nextBackwardToken": f"b/{start}",
        }


def _within(events: list[tuple[datetime, str]], start_ms: int | None, end_ms: int | None) -> list[tuple[datetime, str]]:
    return [
        (at, line)
        for at, line in events
        if (start_ms is None or _ms(at) >= start_ms) and (end_ms is None or _ms(at) < end_ms)
    ]


def _window(said: Parameters, count: int) -> tuple[int, int]:
    limit = said.get("limit", _PAGE)
    way, _, place = said.get("nextToken", "").partition("/")
    if way == "f" and place.isdigit():
        start = min(int(place), count)
        return start, min(start + limit, count)
    if way == "b" and place.isdigit():
        end = min(int(place), count)
        return max(0, end - limit), end
    if way:
        raise ApiError("InvalidParameterException", "The specified nextToken is invalid.")
    return (0, min(limit, count)) if said.get("startFromHead") else (max(0, count - limit), count)


def _event(at: datetime, line: str) -> Parameters:
    return {"timestamp": _ms(at), "message": line, "ingestionTime": _ms(at)}


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)
