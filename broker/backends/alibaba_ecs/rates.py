"""How often Alibaba Cloud lets its families of calls be called."""

from enum import StrEnum
from typing import Final

from broker.backends.throttle import Quotas


class Family(StrEnum):
    """Calls that are held to be counted together."""

    CREATE = "RunInstances"
    READ = "DescribeInstances"
    DELETE = "DeleteInstances"
    CHANGE = "ModifyInstanceAutoReleaseTime"
    STOCK = "DescribeAvailableResource"
    COMMAND = "RunCommand"
    CONSOLE = "GetInstanceConsoleOutput"
    NETWORK = "DescribeVSwitches"


QUOTAS: Final = Quotas(
    cloud="alibaba",
    rates={
        Family.CREATE: (5.0, 10),
        Family.READ: (10.0, 20),
        Family.DELETE: (5.0, 10),
        Family.CHANGE: (5.0, 10),
        Family.STOCK: (5.0, 10),
        Family.COMMAND: (10.0, 20),
        Family.CONSOLE: (5.0, 10),
        Family.NETWORK: (5.0, 10),
    },
    by_api_rate=frozenset({Family.CREATE, Family.READ, Family.DELETE}),
)
"""Calls a second and at once. The vendor tells each account its own ("API throttling", in Quota Center), none below
these; smaller ones are found. A call that is refused is not taken before the next minute begins (`calls.py`)."""

_BY_ACTION: Final = {
    "RunInstances": Family.CREATE,
    "DeleteInstances": Family.DELETE,
    "ModifyInstanceAutoReleaseTime": Family.CHANGE,
    "AttachDisk": Family.CHANGE,
    "ImportKeyPair": Family.CHANGE,
    "DescribeAvailableResource": Family.STOCK,
    "DescribeInstanceTypes": Family.STOCK,
    "DescribeSpotPriceHistory": Family.STOCK,
    "RunCommand": Family.COMMAND,
    "StopInvocation": Family.COMMAND,
    "DescribeInvocationResults": Family.COMMAND,
    "GetInstanceConsoleOutput": Family.CONSOLE,
}


def family_of(action: str) -> Family:
    """That of an action such as `ecs:RunInstances`; whatever no host needs, such as a VPC, is NETWORK."""
    service, _, name = action.partition(":")
    if service != "ecs":
        return Family.NETWORK
    return _BY_ACTION.get(name, Family.READ if name.startswith("DescribeInstance") else Family.NETWORK)
