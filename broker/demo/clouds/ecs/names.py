"""ARNs of one account and region, ids that repeat with the seed, and the cloud's own time."""

import random
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from broker.demo.clouds.ecs import errors
from broker.ports import Clock

NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,255}")
_TASK_ID: Final = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Names:
    """What things are called here."""

    account: str
    region: str

    def arn(self, kind: str, *parts: str) -> str:
        """The ARN of a cluster, task, container, …: its kind and the parts of its path."""
        return f"arn:aws:ecs:{self.region}:{self.account}:{kind}/{'/'.join(parts)}"

    def path(self, identifier: str, kind: str) -> list[str]:
        """The parts of an ARN's path, or the identifier alone if it is no ARN; raises for another kind or region."""
        if not identifier.startswith("arn:"):
            return [identifier]
        prefix = self.arn(kind, "")
        if not identifier.startswith(prefix):
            raise errors.invalid(f"Invalid identifier: {identifier}")
        return identifier.removeprefix(prefix).split("/")

    def cluster(self, reference: str) -> str:
        """The short name in a cluster's name or ARN."""
        parts = self.path(reference or "default", "cluster")
        if len(parts) != 1 or not NAME.fullmatch(parts[0]):
            raise errors.invalid("Identifier is not a valid cluster name or ARN.")
        return parts[0]

    def inside(self, reference: str, kind: str, cluster: str) -> str:
        """The ARN of a task or container instance of a cluster, from its id or ARN."""
        *where, found = self.path(reference, kind)
        if where and where != [cluster]:
            raise errors.invalid(
                f"Invalid identifier: Identifier is for cluster {'/'.join(where)}. Your cluster is {cluster}"
            )
        if not _TASK_ID.fullmatch(found):
            word = "taskId" if kind == "task" else "containerInstanceId"
            raise errors.invalid(f"{word} length should be one of [32,36]")
        return self.arn(kind, cluster, found)


@dataclass(slots=True)
class Ids:
    """Fresh ids, the same ones again with the same seed."""

    random: random.Random

    def hex(self, length: int = 32) -> str:
        """So many hexadecimal digits."""
        return f"{self.random.getrandbits(4 * length):0{length}x}"

    def uuid(self) -> str:
        """With hyphens."""
        text = self.hex()
        return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


@dataclass(slots=True)
class CloudTime:
    """The cloud's seconds since 1970: they go on evenly, also when the machine's wall clock is set."""

    clock: Clock
    _offset: float = field(init=False)

    def __post_init__(self) -> None:
        """Agrees with the wall clock now."""
        self._offset = self.clock.now().timestamp() - self.clock.monotonic()

    def now(self) -> float:
        """Seconds since 1970."""
        return self._offset + self.clock.monotonic()

    def monotonic(self, at: float) -> float:
        """What `clock.monotonic()` shows at that time."""
        return at - self._offset


def stamp(at: float) -> datetime:
    """A time as the API tells it: to the millisecond."""
    return datetime.fromtimestamp(round(at, 3), UTC)
