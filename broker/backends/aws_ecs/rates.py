"""How often Amazon lets its families of calls be called."""

from enum import StrEnum
from typing import Final

from broker.backends.throttle import Quotas


class Family(StrEnum):
    """Calls that the cloud counts together."""

    RUN = "RunTask"
    STOP = "StopTask"
    READ = "DescribeTasks"
    DEFINITIONS = "RegisterTaskDefinition"
    LOGS = "GetLogEvents"
    SECRETS = "PutParameter"
    NETWORK = "DescribeSubnets"


QUOTAS: Final = Quotas(
    cloud="aws",
    rates={
        Family.RUN: (20.0, 20),
        Family.STOP: (20.0, 50),
        Family.READ: (20.0, 50),
        Family.DEFINITIONS: (1.0, 20),
        Family.LOGS: (10.0, 10),
        Family.SECRETS: (3.0, 5),
        Family.NETWORK: (5.0, 20),
    },
    by_api_rate=frozenset({Family.RUN, Family.STOP, Family.READ}),
)
"""Calls a second and at once. RunTask: "AWS Fargate service quotas"; the others are what threads tell, and smaller ones
are found."""
