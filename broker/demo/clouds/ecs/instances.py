"""Container instances: what they have, what is left of it, and which tasks it went to."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from broker.demo.clouds.ecs.names import stamp

AGENT_PORTS: Final = frozenset({22, 2375, 2376, 51678, 51679})
"""What the ECS agent reserves for itself when it registers."""

CAPABILITIES: Final = (
    *(f"com.amazonaws.ecs.capability.docker-remote-api.1.{minor}" for minor in range(17, 45)),
    *(f"com.amazonaws.ecs.capability.logging-driver.{name}" for name in ("awslogs", "json-file", "syslog", "journald")),
    *(f"com.amazonaws.ecs.capability.logging-driver.{name}" for name in ("gelf", "fluentd", "splunk", "awsfirelens")),
    "com.amazonaws.ecs.capability.privileged-container",
    "com.amazonaws.ecs.capability.ecr-auth",
    "com.amazonaws.ecs.capability.task-iam-role",
    "com.amazonaws.ecs.capability.task-iam-role-network-host",
    "ecs.capability.container-health-check",
    "ecs.capability.container-ordering",
    "ecs.capability.docker-plugin.local",
    "ecs.capability.efs",
    "ecs.capability.efsAuth",
    "ecs.capability.env-files.s3",
    "ecs.capability.execution-role-awslogs",
    "ecs.capability.execution-role-ecr-pull",
    "ecs.capability.extensible-ephemeral-storage",
    "ecs.capability.firelens.fluentbit",
    "ecs.capability.firelens.fluentd",
    "ecs.capability.increased-task-cpu-limit",
    "ecs.capability.pid-ipc-namespace-sharing",
    "ecs.capability.private-registry-authentication.secretsmanager",
    "ecs.capability.secrets.asm.environment-variables",
    "ecs.capability.secrets.ssm.environment-variables",
    "ecs.capability.storage.ebs-task-volume-attach",
    "ecs.capability.task-cpu-mem-limit",
    "ecs.capability.task-eni",
)
"""The attributes that a current agent on Amazon Linux registers; a test takes away what its instance shall lack."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What one task takes from an instance."""

    cpu: int = 0
    memory: int = 0
    tcp_ports: frozenset[int] = frozenset()
    udp_ports: frozenset[int] = frozenset()
    gpus: int = 0
    all_gpus: bool = False
    """Every GPU that the instance has, and at least one."""
    enis: int = 0
    attributes: tuple[tuple[str, str | None], ...] = ()
    """Names and values; None: any value."""


@dataclass(slots=True, kw_only=True)
class ContainerInstance:
    """One machine of a cluster. A test may set `agent_connected`, `status` and `attributes` as it likes."""

    arn: str
    cluster: str
    ec2_instance_id: str
    cpu: int
    memory: int
    gpus: tuple[str, ...] = ()
    enis: int = 14
    """Interfaces that tasks can have: the type's, less the machine's own."""
    instance_type: str = "m6i.xlarge"
    external: bool = False
    capacity_provider: str = ""
    attributes: dict[str, str | None] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    registered_at: float = 0.0
    agent_connected: bool = True
    agent_version: str = "1.94.0"
    status: str = "ACTIVE"
    version: int = 1
    held: dict[str, Need] = field(default_factory=dict)
    """By task ARN."""
    gpus_of: dict[str, tuple[str, ...]] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    """The group of each task here, by its ARN."""
    running: set[str] = field(default_factory=set)

    def remaining(self) -> Need:
        """What is left; of ports those that are taken, as the API tells it."""
        held = self.held.values()
        return Need(
            cpu=self.cpu - sum(need.cpu for need in held),
            memory=self.memory - sum(need.memory for need in held),
            tcp_ports=AGENT_PORTS.union(*(need.tcp_ports for need in held)),
            udp_ports=frozenset().union(*(need.udp_ports for need in held)),
            gpus=len(self.gpus) - sum(need.gpus for need in held),
            enis=self.enis - sum(need.enis for need in held),
        )

    def free_gpus(self) -> tuple[str, ...]:
        """The ids of those that no task has."""
        given = {gpu for gpus in self.gpus_of.values() for gpu in gpus}
        return tuple(gpu for gpu in self.gpus if gpu not in given)

    def lacks(self, need: Need) -> str | None:
        """Why a task does not fit, as `failures[].reason` says it; None if it does."""
        if not self.agent_connected:
            return "AGENT"
        for name, value in need.attributes:
            if name not in self.attributes or (value is not None and self.attributes[name] != value):
                return "ATTRIBUTE"
        left = self.remaining()
        short = {
            "CPU": need.cpu > left.cpu,
            "MEMORY": need.memory > left.memory,
            "GPU": need.gpus > left.gpus or (need.all_gpus and not 0 < len(self.gpus) == left.gpus),
            "ENI": need.enis > left.enis,
            "PORTS": bool(need.tcp_ports & left.tcp_ports or need.udp_ports & left.udp_ports),
        }
        return next((f"RESOURCE:{name}" for name, is_short in short.items() if is_short), None)

    def take(self, task_arn: str, need: Need, group: str) -> tuple[str, ...]:
        """Gives a task what it needs; its GPUs by id."""
        if need.all_gpus:
            need = replace(need, gpus=len(self.gpus))
        given = self.free_gpus()[: need.gpus]
        self.held[task_arn], self.groups[task_arn], self.gpus_of[task_arn] = need, group, given
        self.version += 1
        return given

    def release(self, task_arn: str) -> None:
        """Takes it back; a task that holds nothing is a success."""
        if self.held.pop(task_arn, None) is not None:
            self.version += 1
        self.groups.pop(task_arn, None)
        self.gpus_of.pop(task_arn, None)
        self.running.discard(task_arn)

    def queried(self, subject: str) -> list[str] | None:
        """For the cluster query language."""
        if subject.startswith("attribute:"):
            name = subject.removeprefix("attribute:")
            return [self.attributes[name] or ""] if name in self.attributes else None
        return {
            "agentConnected": ["true" if self.agent_connected else "false"],
            "agentVersion": [self.agent_version],
            "ec2InstanceId": [self.ec2_instance_id],
            "registeredAt": [stamp(self.registered_at).isoformat()],
            "runningTasksCount": [str(len(self.running))],
            "task:group": sorted(set(self.groups.values())),
        }[subject]


def usual_attributes(zone: str, instance_type: str, architecture: str, os_family: str) -> dict[str, str | None]:
    """What an instance registers without being asked."""
    return {
        **dict.fromkeys(CAPABILITIES),
        "ecs.ami-id": "ami-0123456789abcdef0",
        "ecs.availability-zone": zone,
        "ecs.cpu-architecture": architecture,
        "ecs.instance-type": instance_type,
        "ecs.os-family": os_family,
        "ecs.os-type": "windows" if os_family.startswith("WINDOWS") else "linux",
    }


def told(instance: ContainerInstance, include: Iterable[str] = ()) -> dict[str, Any]:
    """An instance as DescribeContainerInstances tells it."""
    left = instance.remaining()
    whole = Need(cpu=instance.cpu, memory=instance.memory, tcp_ports=AGENT_PORTS, gpus=len(instance.gpus))
    view: dict[str, Any] = {
        "containerInstanceArn": instance.arn,
        "ec2InstanceId": instance.ec2_instance_id,
        "version": instance.version,
        "versionInfo": {"agentVersion": instance.agent_version, "agentHash": "0f1e2d3c", "dockerVersion": "25.0.8"},
        "remainingResources": _resources(left, instance.free_gpus()),
        "registeredResources": _resources(whole, instance.gpus),
        "status": instance.status,
        "agentConnected": instance.agent_connected,
        "runningTasksCount": len(instance.running),
        "pendingTasksCount": len(instance.held.keys() - instance.running),
        "attributes": [_attribute(name, value) for name, value in instance.attributes.items()],
        "registeredAt": stamp(instance.registered_at),
        "attachments": [],
        "tags": [{"key": key, "value": value} for key, value in instance.tags.items()] if "TAGS" in include else [],
    }
    if instance.capacity_provider:
        view["capacityProviderName"] = instance.capacity_provider
    return view


def _attribute(name: str, value: str | None) -> Mapping[str, str]:
    return {"name": name} if value is None else {"name": name, "value": value}


def _resources(amount: Need, gpus: tuple[str, ...]) -> list[dict[str, Any]]:
    found = [_number("CPU", amount.cpu), _number("MEMORY", amount.memory)]
    found += [
        _texts("PORTS", map(str, sorted(amount.tcp_ports))),
        _texts("PORTS_UDP", map(str, sorted(amount.udp_ports))),
    ]
    return [*found, _texts("GPU", gpus)]


def _number(name: str, value: int) -> dict[str, Any]:
    return {"name": name, "type": "INTEGER", "doubleValue": 0.0, "longValue": 0, "integerValue": value}


def _texts(name: str, values: Iterable[str]) -> dict[str, Any]:
    return {
        "name": name, "type": "STRINGSET", "doubleValue": 0.0, "longValue": 0, "integerValue": 0,
        "stringSetValue": list(values),
    }  # fmt: skip
