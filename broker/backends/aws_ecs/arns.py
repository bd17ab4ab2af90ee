"""Task ARNs in their long form: `arn:aws:ecs:REGION:ACCOUNT:task/CLUSTER/ID`."""

import re
from dataclasses import dataclass
from typing import Final

_TASK: Final = re.compile(r"arn:[\w-]+:ecs:([\w-]+):(\d*):task/([\w-]+)/([\w-]+)")


@dataclass(frozen=True, slots=True)
class TaskPlace:
    """Where a task is looked for."""

    region: str
    cluster: str
    account: str
    """Whose it is: one call that names tasks of two accounts is refused as a whole."""


def place_of(ref: str) -> TaskPlace | None:
    """Of a task's ARN; None for any other text."""
    found = _TASK.fullmatch(ref)
    return TaskPlace(found[1], found[3], found[2]) if found else None


def task_id(ref: str) -> str:
    """The last part."""
    return ref.rpartition("/")[2]
