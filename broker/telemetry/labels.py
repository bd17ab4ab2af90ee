"""Which values a metric's label may have: names from the config, or a value of a closed list; all else is `other`.

The lists of reasons at the end are those whose series exist from the start at 0, so that `rate` and alerts see the
first failure; any other reason gets its series when it first occurs.
"""

from collections.abc import Iterator
from typing import Final

from broker.domain.definitions import Definitions
from broker.domain.instance import STEPS as INSTANCE_STEPS
from broker.domain.lifecycle import Outcome
from broker.domain.policy import Policy
from broker.domain.reason import REASONS as ABOUT_REASONS
from broker.domain.reason import Reason

OTHER: Final = "other"

METHODS: Final = frozenset(
    {"Handshake", "RequestAgents", "ReleaseAgents", "SyncNodes", "WatchAgents", "DescribeFleet", "Check", "Watch"}
)
"""Of `agents.proto`, and of gRPC's health service."""
CODES: Final = frozenset(
    {
        "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
        "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
        "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
    },
)  # fmt: skip
"""The names of gRPC's status codes (grpc.github.io/grpc/core/md_doc_statuscodes.html)."""
_API: Final = "/api/v1"
ENDPOINTS: Final = frozenset(
    f"{_API}{path}"
    for path in (
        "/status", "/agents", "/agents/{name}", "/agents/{name}:terminate", "/agents/{name}:drain",
        "/launches", "/launches/{name}", "/plan", "/placement",
        "/hosts", "/hosts/{name}", "/hosts/{name}:drain", "/hosts/{name}:delete",
        "/pools/{name}:pause", "/pools/{name}:drain", "/pools/{name}:resume",
        "/pools/{name}:set", "/pools/{name}:unset",
        "/pools", "/pools/{name}", "/policies",
        "/policies/{name}", "/controllers", "/events", "/explain", "/openapi.json", "/reload",
        "/config",
    )
)  # fmt: skip
"""The paths of the operators' API."""
HTTP_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
CLAIMS: Final = ("hit", "miss")
WARM: Final = ("actual", "wanted")
LAUNCH_OUTCOMES: Final = frozenset({"succeeded", "failed"})
_OF_HOSTS: Final = frozenset({"create_hosts", "locate_hosts", "describe_hosts", "delete_hosts", "list_hosts"})
_OF_BACKENDS: Final = frozenset({"offers", "launch", "locate", "describe", "terminate", "list_owned"}) | _OF_HOSTS
"""The calls of `broker.ports.Backend`."""
CLOUD_CALLS: Final = frozenset(
    {
        *(
            f"ecs:{action}"
            for action in (
                "RunTask", "StopTask", "DescribeTasks", "ListTasks", "ListClusters", "DescribeClusters",
                "ListContainerInstances", "DescribeContainerInstances", "DescribeCapacityProviders",
                "RegisterTaskDefinition", "DescribeTaskDefinition", "ListTaskDefinitions", "ListTaskDefinitionFamilies",
                "DeregisterTaskDefinition", "DeleteTaskDefinitions", "TagResource", "ListTagsForResource",
            )
        ),
        *(
            f"ecs:{action}"
            for action in (
                "RunInstances", "DescribeInstances", "DeleteInstances", "ModifyInstanceAutoReleaseTime", "AttachDisk",
                "DescribeDisks", "DescribeAvailableResource", "DescribeInstanceTypes", "DescribeSpotPriceHistory",
                "DescribeKeyPairs", "ImportKeyPair", "GetInstanceConsoleOutput", "RunCommand", "StopInvocation",
                "DescribeInvocationResults", "DescribeImages", "DescribeSecurityGroups", "CreateSecurityGroup",
                "DescribeSecurityGroupAttribute", "AuthorizeSecurityGroup", "RevokeSecurityGroup",
            )
        ),
        *(f"vpc:{action}" for action in ("DescribeVSwitches", "DescribeVpcs", "CreateVSwitch", "CreateVpc")),
        *(f"ec2:{action}" for action in ("DescribeSubnets", "DescribeSecurityGroups")),
        *(f"sts:{action}" for action in ("AssumeRole", "GetCallerIdentity")),
        *(f"logs:{action}" for action in ("GetLogEvents",)),
        *(f"ssm:{action}" for action in ("PutParameter", "DeleteParameter", "DeleteParameters", "AddTagsToResource")),
        *(f"secretsmanager:{action}" for action in ("CreateSecret", "PutSecretValue", "DeleteSecret", "TagResource")),
    }
)  # fmt: skip
"""Calls of clouds, of backends that tell them one by one: service and action, as in the clouds' own policies."""
OPERATIONS: Final = _OF_BACKENDS | CLOUD_CALLS
STEPS: Final = frozenset(INSTANCE_STEPS)
BACKEND_CODES: Final = frozenset(
    {"ok", "throttled", "denied", "unauthenticated", "capacity", "invalid", "timeout", "error"},
)
PROTOCOLS: Final = frozenset({"websocket", "jnlp4"})
HANDSHAKE_OUTCOMES: Final = frozenset({"succeeded", "failed"})
DISCONNECT_REASONS: Final = frozenset({"agent", "controller", "ping_timeout", "shutdown", "error"})
DROP_REASONS: Final = frozenset({"not_allowed", "driven_out", "full"})
REASONS: Final[frozenset[str]] = frozenset(ABOUT_REASONS)
"""Every code that the docs, the API and the logs know, and no other."""

REJECTIONS: Final = (
    Reason.POOL_AT_LIMIT,
    Reason.POLICY_AT_LIMIT,
    Reason.CONTROLLER_AT_LIMIT,
    Reason.BROKER_AT_LIMIT,
    Reason.POOL_COOLING_DOWN,
    Reason.MAX_SKEW,
    Reason.INSUFFICIENT_CAPACITY,
)
LACK: Final = Reason.INSUFFICIENT_CAPACITY
LAUNCH_FAILURES: Final = (
    Reason.INSUFFICIENT_CAPACITY,
    Reason.THROTTLED,
    Reason.QUOTA_EXCEEDED,
    Reason.ACCESS_DENIED,
    Reason.CREDENTIALS_INVALID,
    Reason.INVALID_TEMPLATE,
    Reason.BACKEND_ERROR,
)
START_FAILURES: Final = (
    *LAUNCH_FAILURES,
    Reason.QUEUE_TIMEOUT,
    Reason.LAUNCH_TIMEOUT,
    Reason.BOOT_TIMEOUT,
    Reason.CONNECT_TIMEOUT,
    Reason.CONTAINER_EXITED,
    Reason.IMAGE_PULL_FAILED,
    Reason.INSTANCE_VANISHED,
    Reason.HANDSHAKE_REJECTED,
    Reason.CONTROLLER_UNREACHABLE,
)
UNFAILED_ANSWERS: Final = ((Outcome.SUCCEEDED, Reason.ONLINE), (Outcome.CANCELLED, Reason.CANCELLED))
ENDS: Final = (
    Reason.COMPLETED,
    Reason.IDLE_TIMEOUT,
    Reason.MAX_LIFETIME,
    Reason.CANCELLED,
    Reason.SUPERSEDED,
    Reason.AGENT_LOST,
    Reason.RECONNECT_TIMEOUT,
    Reason.DRAIN_TIMEOUT,
    Reason.INSTANCE_VANISHED,
    Reason.SPOT_INTERRUPTED,
)


def rejections_of(policy: Policy) -> Iterator[Reason]:
    """Why placement passes over pools of any policy, and of this one by its own keys."""
    yield from REJECTIONS
    if policy.per_job is not None:
        yield Reason.JOB_AT_LIMIT
    if policy.budget is not None:
        yield Reason.BUDGET_EXCEEDED
    if any(step.only for step in policy.fallback):
        yield Reason.OUTSIDE_HOURS


def one_of(allowed: frozenset[str], value: str) -> str:
    """The value if the closed list has it; an empty one stands for "does not apply" and stays."""
    return value if not value or value in allowed else OTHER


class ConfiguredNames:
    """The names that the config has had since the start; one that a reload removed stays good for its last agents."""

    def __init__(self) -> None:
        """Knows no name yet."""
        self._controllers: frozenset[str] = frozenset()
        self._policies: frozenset[str] = frozenset()
        self._pools: frozenset[str] = frozenset()
        self._backends: frozenset[str] = frozenset()

    def learn(self, definitions: Definitions) -> None:
        """Adds all names of a config."""
        self._controllers |= definitions.controllers.keys()
        self._policies |= definitions.policies.keys()
        self._pools |= definitions.pools.keys()
        self._backends |= definitions.backends.keys()

    def controller(self, name: str) -> str:
        """The name if it is a controller's; without one (nobody could tell who called) it is `other` too."""
        return name if name in self._controllers else OTHER

    def policy(self, name: str) -> str:
        """The name if it is a policy's."""
        return one_of(self._policies, name)

    def pool(self, name: str | None) -> str:
        """The name if it is a pool's; empty for an agent that has none."""
        return one_of(self._pools, name or "")

    def backend(self, name: str) -> str:
        """The name if it is a backend's."""
        return one_of(self._backends, name)
