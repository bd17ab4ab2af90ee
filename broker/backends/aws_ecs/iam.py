"""The rights that the broker's credentials need: least privilege, worked out from the config.

`CALLS` has every action that this backend, its doctor or `agentbroker discover` ever calls; a client refuses any other
one (`session.py`), and a test compares what is granted with what is called. Which resources and conditions an action
knows is from the service authorization reference of each service.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from broker.backends.aws_ecs.hosts import HOSTED
from broker.backends.aws_ecs.used import Used

CALLS: Final = frozenset(
    {
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeSubnets",
        "ecs:DeregisterTaskDefinition",
        "ecs:DescribeCapacityProviders",
        "ecs:DescribeClusters",
        "ecs:DescribeContainerInstances",
        "ecs:DescribeTaskDefinition",
        "ecs:DescribeTasks",
        "ecs:ListClusters",
        "ecs:ListContainerInstances",
        "ecs:ListTaskDefinitionFamilies",
        "ecs:ListTaskDefinitions",
        "ecs:ListTasks",
        "ecs:RegisterTaskDefinition",
        "ecs:RunTask",
        "ecs:StopTask",
        "iam:SimulatePrincipalPolicy",
        "logs:DescribeLogGroups",
        "logs:GetLogEvents",
        "secretsmanager:CreateSecret",
        "secretsmanager:DeleteSecret",
        "ssm:DeleteParameter",
        "ssm:PutParameter",
        "sts:AssumeRole",
        "sts:GetCallerIdentity",
    }
)
EVERYBODY: Final = frozenset({"sts:GetCallerIdentity"})
"""What needs no right."""
PEOPLE: Final = frozenset({"ecs:DescribeCapacityProviders", "ecs:ListClusters", "ecs:ListTaskDefinitionFamilies"})
"""What only `discover` calls, with the rights of the person who types it."""

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the rights hold. An account that is not known is `*`: any."""

    region: str
    account: str = "*"

    @property
    def partition(self) -> str:
        """What ARNs begin with: China and the US government have their own."""
        if self.region.startswith("cn-"):
            return "aws-cn"
        return "aws-us-gov" if self.region.startswith("us-gov-") else "aws"

    def arn(self, service: str, resource: str, region: str | None = None) -> str:
        """The ARN of something here."""
        return f"arn:{self.partition}:{service}:{self.region if region is None else region}:{self.account}:{resource}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """Some actions that are allowed on some resources."""

    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...] = ("*",)
    equal: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Keys of the request's context with what they must be one of."""

    @property
    def json(self) -> Json:
        """As in a policy document."""
        found: Json = {
            "Sid": self.sid,
            "Effect": "Allow",
            "Action": _one(self.actions),
            "Resource": _one(self.resources),
        }
        if self.equal:
            found["Condition"] = {}
            for key, values in self.equal.items():
                operator = "ArnEquals" if values[0].startswith("arn:") else "StringEquals"
                found["Condition"].setdefault(operator, {})[key] = _one(values)
        return found


def document(statements: list[Statement]) -> Json:
    """A policy document."""
    return {"Version": "2012-10-17", "Statement": [statement.json for statement in statements]}


def _one(values: tuple[str, ...]) -> str | list[str]:
    return values[0] if len(values) == 1 else list(values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Besides:
    """What the config cannot know: of task definitions that it only names."""

    roles: tuple[str, ...] = ()
    log_groups: tuple[str, ...] = ()


def taking(role_arn: str) -> list[Statement]:
    """What someone needs who takes a role with `assume_role_arn`."""
    return [Statement(sid="TakeTheBrokersRole", actions=("sts:AssumeRole",), resources=(role_arn,))]


def needed(used: Used, place: Place, *, doctor: bool = True, besides: Besides | None = None) -> list[Statement]:
    """What whoever calls ECS needs, for what the config uses; `doctor` adds what only its questions need."""
    besides = besides or Besides()
    cluster = {"ecs:cluster": (place.arn("ecs", f"cluster/{used.cluster}"),)}
    found = [*_tasks(used, place, cluster), *_definitions(used, place), *_passing(used, place, besides)]
    pools = used.pools.values()
    if any(pool.launch_type in HOSTED or (doctor and not pool.is_fargate) for pool in pools):
        found += _instances(used, place, cluster)
    if groups := sorted({*log_groups(used, place.region), *((group, place.region) for group in besides.log_groups)}):
        streams = tuple(place.arn("logs", f"log-group:{group}:log-stream:*", region) for group, region in groups)
        found.append(Statement(sid="LastLinesOfTasks", actions=("logs:GetLogEvents",), resources=streams))
    found += _secrets(used, place)
    if any(pool.subnets and (doctor or pool.launch_type not in HOSTED) for pool in pools):
        found.append(Statement(sid="ZonesOfSubnets", actions=("ec2:DescribeSubnets",)))
    return found + (_doctor(used, place, bool(groups)) if doctor else [])


def _tasks(used: Used, place: Place, cluster: Mapping[str, tuple[str, ...]]) -> Iterator[Statement]:
    tasks = place.arn("ecs", f"task/{used.cluster}/*")
    families = (*_ours(used, place), *_named(used, place))
    yield Statement(sid="RunTasks", actions=("ecs:RunTask",), resources=families, equal=cluster)
    yield Statement(
        sid="WatchAndStopTasks", actions=("ecs:DescribeTasks", "ecs:StopTask"), resources=(tasks,), equal=cluster
    )
    yield Statement(sid="FindTasks", actions=("ecs:ListTasks",), equal=cluster)
    by = ("RegisterTaskDefinition", "RunTask") if _ours(used, place) else ("RunTask",)
    yield Statement(
        sid="TagWhatIsMade",
        actions=("ecs:TagResource",),
        resources=(tasks, *_ours(used, place)),
        equal={"ecs:CreateAction": by},
    )


def _definitions(used: Used, place: Place) -> Iterator[Statement]:
    if ours := _ours(used, place):
        yield Statement(sid="RegisterDefinitions", actions=("ecs:RegisterTaskDefinition",), resources=ours)
        reads = ("ecs:DeregisterTaskDefinition", "ecs:DescribeTaskDefinition", "ecs:ListTaskDefinitions")
        yield Statement(sid="ReadAndPruneDefinitions", actions=reads)
    else:
        yield Statement(sid="ReadDefinitions", actions=("ecs:DescribeTaskDefinition",))


def _ours(used: Used, place: Place) -> tuple[str, ...]:
    """The families that the broker registers."""
    registers = not used.tasks or any(not task.task_definition for task in used.tasks.values())
    return (place.arn("ecs", f"task-definition/{used.options.family_prefix}-*:*"),) if registers else ()


def _named(used: Used, place: Place) -> tuple[str, ...]:
    """Task definitions that the config names; by family any revision of it."""
    names = sorted({task.task_definition for task in used.tasks.values() if task.task_definition})
    return tuple(
        name if name.startswith("arn:") else place.arn("ecs", f"task-definition/{name if ':' in name else name + ':*'}")
        for name in names
    )


def _instances(used: Used, place: Place, cluster: Mapping[str, tuple[str, ...]]) -> Iterator[Statement]:
    here = cluster["ecs:cluster"]
    yield Statement(sid="ListInstances", actions=("ecs:ListContainerInstances",), resources=here)
    instances = (place.arn("ecs", f"container-instance/{used.cluster}/*"),)
    yield Statement(
        sid="RoomOfInstances", actions=("ecs:DescribeContainerInstances",), resources=instances, equal=cluster
    )


def roles(used: Used) -> tuple[str, ...]:
    """The roles that pools and templates give to tasks."""
    pools, tasks = used.pools.values(), used.tasks.values()
    said = [role for pool in pools for role in (pool.execution_role_arn, pool.task_role_arn)]
    said += [task.task.get(key, "") for task in tasks for key in ("executionRoleArn", "taskRoleArn")]
    return tuple(sorted({role for role in said if role}))


def _passing(used: Used, place: Place, besides: Besides) -> Iterator[Statement]:
    of_volumes = {
        one.get("managedEBSVolume", {}).get("roleArn", "")
        for task in used.tasks.values()
        for one in task.volume_configurations
    }
    for sid, passed, service in (
        ("PassTheTasksRoles", {*roles(used), *besides.roles}, "ecs-tasks.amazonaws.com"),
        ("PassTheVolumesRoles", of_volumes - {""}, "ecs.amazonaws.com"),
    ):
        if passed:
            to = {"iam:PassedToService": (service,)}
            yield Statement(sid=sid, actions=("iam:PassRole",), resources=tuple(sorted(passed)), equal=to)


def log_groups(used: Used, region: str) -> tuple[tuple[str, str], ...]:
    """The log groups that agents' containers write to with `awslogs`, each with its region."""
    logs = [task.container.get("logConfiguration") or {} for task in used.tasks.values()]
    options = [dict(log.get("options") or {}) for log in logs if log.get("logDriver") == "awslogs"]
    found = {(one.get("awslogs-group", ""), one.get("awslogs-region") or region) for one in options}
    return tuple(sorted(pair for pair in found if pair[0]))


def _secrets(used: Used, place: Place) -> Iterator[Statement]:
    """Secrets of single agents, kept where their tasks read them."""
    ways = {
        "ssm": ("ssm", "parameter", ("ssm:DeleteParameter", "ssm:PutParameter")),
        "secrets-manager": ("secretsmanager", "secret", ("secretsmanager:CreateSecret", "secretsmanager:DeleteSecret")),
    }
    for way, (service, kind, actions) in ways.items():
        pools = [pool for pool in used.pools.values() if pool.secret_delivery == way]
        mark = "/" if way == "ssm" else ":"
        names = sorted({place.arn(service, f"{kind}{mark}{pool.secret_prefix.strip('/')}/*") for pool in pools})
        if names:
            sid = "AgentsSecretsIn" + ("Parameters" if way == "ssm" else "SecretsManager")
            yield Statement(sid=sid, actions=actions, resources=tuple(names))
        if keys := sorted({pool.secret_kms_key_id for pool in pools if pool.secret_kms_key_id}):
            arns = tuple(key if key.startswith("arn:") else place.arn("kms", f"key/{key}") for key in keys)
            yield Statement(
                sid="KeysOfAgentsSecretsIn" + ("Parameters" if way == "ssm" else "SecretsManager"),
                actions=("kms:Encrypt",) if way == "ssm" else ("kms:Decrypt", "kms:GenerateDataKey"),
                resources=arns,
            )


def _doctor(used: Used, place: Place, logs: bool) -> list[Statement]:
    """What `agentbroker doctor` asks beside what the broker does."""
    cluster = place.arn("ecs", f"cluster/{used.cluster}")
    found = [Statement(sid="DoctorCluster", actions=("ecs:DescribeClusters",), resources=(cluster,))]
    if any(pool.security_groups for pool in used.pools.values()):
        found.append(Statement(sid="DoctorNetwork", actions=("ec2:DescribeSecurityGroups",)))
    if logs:
        found.append(Statement(sid="DoctorLogs", actions=("logs:DescribeLogGroups",)))
    chain = used.options.assume_role_arn
    me = chain[-1].role_arn if chain else place.arn("iam", "*", region="")
    found.append(Statement(sid="DoctorRights", actions=("iam:SimulatePrincipalPolicy",), resources=(me,)))
    return found
