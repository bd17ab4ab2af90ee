"""What a RunTask asks for, checked: raises what AWS refuses before anything is placed."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from broker.demo.clouds.ec2 import Subnet
from broker.demo.clouds.ecs import errors, fargate, normal, strategy, tags
from broker.demo.clouds.ecs.clusters import Cluster, Clusters
from broker.demo.clouds.ecs.definitions import Definition
from broker.demo.clouds.ecs.instances import Need
from broker.demo.clouds.ecs.network import Network
from broker.demo.clouds.ecs.placement import Rules, rules
from broker.demo.clouds.model import ApiError

OVERRIDES: Final = 8192
_STARTED_BY: Final = re.compile(r"[A-Za-z0-9_/-]{0,128}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Tasks to be placed."""

    cluster: Cluster
    definition: Definition
    count: int
    launch_type: str
    """EC2, FARGATE or EXTERNAL."""
    strategy: tuple[strategy.Item, ...]
    """Empty: a launch type was asked for."""
    subnets: list[Subnet]
    need: Need
    rules: Rules
    cpu: str
    memory: str
    platform_version: str
    disk_gib: int
    overrides: Mapping[str, Any]
    tags: dict[str, str]
    group: str
    started_by: str
    execute_command: bool
    volumes: list[dict[str, Any]]


def check(request: Mapping[str, Any]) -> None:
    """What can be said of a request by itself."""
    if not 1 <= request.get("count", 1) <= 10:
        raise errors.invalid("count must be between 1 and 10.")
    if not _STARTED_BY.fullmatch(request.get("startedBy", "")):
        raise errors.invalid(
            "startedBy must have up to 128 letters, numbers, hyphens, forward slashes and underscores."
        )
    if request.get("launchType") and request.get("capacityProviderStrategy"):
        raise errors.invalid(
            "Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again."
        )
    if request.get("launchType") == "MANAGED_INSTANCES":
        raise errors.invalid("MANAGED_INSTANCES needs a capacity provider strategy.")
    if request.get("propagateTags") == "SERVICE":
        raise errors.invalid("The SERVICE option of propagateTags is not supported when running a task.")
    length = len(json.dumps(request.get("overrides", {}), separators=(",", ":"), ensure_ascii=False))
    if length > OVERRIDES:
        raise errors.invalid(f"Container Overrides length must be at most {OVERRIDES}")
    group = request.get("group", "")
    if group.startswith("service:") or len(group) > 255:
        raise errors.invalid("Invalid namespace for group.")


def of(
    request: Mapping[str, Any], cluster: Cluster, definition: Definition, clusters: Clusters, network: Network
) -> Order:
    """The order in a request; raises for what AWS refuses."""
    chosen, launch_type = _where(request, cluster, clusters)
    content, overrides = definition.content, request.get("overrides", {})
    is_fargate = launch_type == "FARGATE"
    _check_fit(request, definition, launch_type)
    subnets = _subnets(request, content, launch_type, network)
    constraints = [*content["placementConstraints"], *request.get("placementConstraints", ())]
    cpu, memory = _size(overrides, content, is_fargate)
    return Order(
        cluster=cluster,
        definition=definition,
        count=request.get("count", 1),
        launch_type=launch_type,
        strategy=chosen,
        subnets=subnets,
        need=_need(definition, overrides, cpu, memory),
        rules=rules(constraints, request.get("placementStrategy", ()), {subnet.zone for subnet in subnets}),
        cpu=cpu,
        memory=memory,
        platform_version=_platform(request, content, overrides, is_fargate),
        disk_gib=_disk(overrides, content, is_fargate),
        overrides=overrides,
        tags=_tags(request, cluster, definition),
        group=request.get("group") or f"family:{definition.family}",
        started_by=request.get("startedBy", ""),
        execute_command=bool(request.get("enableExecuteCommand")),
        volumes=_volumes(request, content),
    )


def _check_fit(request: Mapping[str, Any], definition: Definition, launch_type: str) -> None:
    """Whether the definition can run so."""
    if launch_type not in definition.compatibilities:
        raise errors.invalid(f"Task definition does not support launch_type {launch_type}.")
    overrides = request.get("overrides", {})
    _check_overrides(overrides, definition)
    if request.get("enableExecuteCommand") and not (
        overrides.get("taskRoleArn") or definition.content.get("taskRoleArn")
    ):
        raise errors.invalid("Execute command needs a task role: none is in the task definition or the overrides.")
    for field, what in (("placementConstraints", "constraints"), ("placementStrategy", "strategies")):
        if launch_type == "FARGATE" and request.get(field):
            raise errors.invalid(f"Placement {what} are not supported with FARGATE launch type.")


def _where(request: Mapping[str, Any], cluster: Cluster, clusters: Clusters) -> tuple[tuple[strategy.Item, ...], str]:
    if items := request.get("capacityProviderStrategy"):
        chosen = clusters.strategy(cluster, [{**one, "capacityProvider": _short(clusters, one)} for one in items])
    elif launch_type := request.get("launchType"):
        return (), launch_type
    else:
        chosen = cluster.default_strategy
    if not chosen:
        return (), "EC2"
    return chosen, "FARGATE" if clusters.providers[chosen[0].provider].is_fargate else "EC2"


def _short(clusters: Clusters, item: Mapping[str, Any]) -> str:
    return clusters.provider_name(item["capacityProvider"])


def _check_overrides(overrides: Mapping[str, Any], definition: Definition) -> None:
    for override in overrides.get("containerOverrides", ()):
        name = override.get("name")
        if not name:
            if len(override) > 0:
                raise errors.invalid("Container Override name cannot be null or empty.")
            continue
        if definition.container(name) is None:
            raise errors.invalid(f"Override for container named {name} is not a container in the TaskDefinition.")
        if any(not variable.get("name") for variable in override.get("environment", ())):
            raise errors.invalid("Environment variable name should not be null or empty.")
    if overrides.get("inferenceAcceleratorOverrides"):
        raise errors.invalid("Amazon Elastic Inference is no longer available.")


def _subnets(
    request: Mapping[str, Any], content: Mapping[str, Any], launch_type: str, network: Network
) -> list[Subnet]:
    asked = request.get("networkConfiguration", {}).get("awsvpcConfiguration")
    if content.get("networkMode") != "awsvpc":
        if asked:
            raise errors.invalid(
                "Network Configuration is not valid for the given networkMode of this task definition."
            )
        return []
    if asked is None:
        raise errors.invalid("Network Configuration must be provided when networkMode 'awsvpc' is specified.")
    if asked.get("assignPublicIp") == "ENABLED" and launch_type != "FARGATE":
        raise errors.invalid("Assign public IP is not supported for this launch type.")
    return network.chosen(list(asked["subnets"]), list(asked.get("securityGroups", ())))


def _size(overrides: Mapping[str, Any], content: Mapping[str, Any], is_fargate: bool) -> tuple[str, str]:
    cpu = normal.cpu_units(overrides["cpu"]) if "cpu" in overrides else content.get("cpu", "")
    memory = normal.memory_mib(overrides["memory"]) if "memory" in overrides else content.get("memory", "")
    if is_fargate and ("cpu" in overrides or "memory" in overrides):
        try:
            fargate.check_size(cpu, memory, windows=fargate.is_windows(content))
        except ApiError as error:
            raise errors.invalid(error.message) from None
    given = {one.get("name"): one for one in overrides.get("containerOverrides", ())}
    for field, most in (("cpu", cpu), ("memory", memory)):
        taken = sum(
            given.get(one["name"], {}).get(field, one.get(field) or 0) for one in content["containerDefinitions"]
        )
        if most and field in {key for one in given.values() for key in one} and taken > int(most):
            raise errors.invalid(f"The {field} of the containers is greater than the {field} of the task.")
    return cpu, memory


def _platform(
    request: Mapping[str, Any], content: Mapping[str, Any], overrides: Mapping[str, Any], is_fargate: bool
) -> str:
    asked = request.get("platformVersion")
    if not is_fargate:
        if asked:
            raise errors.invalid("The platform version must be null when specifying an EC2 launch type.")
        return ""
    newest = fargate.needs_newest({**content, **overrides})
    return fargate.platform(asked, windows=fargate.is_windows(content), needs_newest=newest)


def _disk(overrides: Mapping[str, Any], content: Mapping[str, Any], is_fargate: bool) -> int:
    asked = overrides.get("ephemeralStorage") or content.get("ephemeralStorage")
    if overrides.get("ephemeralStorage") and not is_fargate:
        raise errors.invalid("Ephemeral storage overrides are only supported for tasks on Fargate.")
    if not is_fargate:
        return 0
    if asked and not 21 <= asked["sizeInGiB"] <= 200:
        raise errors.invalid("EphemeralStorage.sizeInGiB must be between 21 and 200.")
    return int(asked["sizeInGiB"]) if asked else 20


def _tags(request: Mapping[str, Any], cluster: Cluster, definition: Definition) -> dict[str, str]:
    found = tags.of(request.get("tags"))
    if request.get("propagateTags") == "TASK_DEFINITION":
        found = tags.join(definition.tags, found)
    if request.get("enableECSManagedTags"):
        found = tags.join(found, {"aws:ecs:clusterName": cluster.name})
    return found


def _volumes(request: Mapping[str, Any], content: Mapping[str, Any]) -> list[dict[str, Any]]:
    wanted = {volume["name"] for volume in content["volumes"] if volume.get("configuredAtLaunch")}
    given = request.get("volumeConfigurations", [])
    if {one["name"] for one in given} != wanted:
        raise errors.invalid(
            "The volume configurations must name the volumes that are configured at launch, and no other."
        )
    for one in given:
        volume = one.get("managedEBSVolume")
        if volume is None or not ("sizeInGiB" in volume or "snapshotId" in volume):
            raise errors.invalid("A managed EBS volume needs a size or a snapshot.")
    return list(given)


def _need(definition: Definition, overrides: Mapping[str, Any], cpu: str, memory: str) -> Need:
    """What the task takes from an instance: the task's own size, or the sum of its containers'."""
    content = definition.content
    given = {one.get("name"): one for one in overrides.get("containerOverrides", ())}
    containers = [{**one, **given.get(one["name"], {})} for one in content["containerDefinitions"]]
    own = content.get("networkMode") in {"awsvpc", "none"}
    ports = [] if own else [port for one in containers for port in one["portMappings"] if port.get("hostPort")]
    requirements = [asked for one in containers for asked in one.get("resourceRequirements", ())]
    architecture = content.get("runtimePlatform", {}).get("cpuArchitecture")
    wanted = {"X86_64": "x86_64", "ARM64": "arm64"}
    platform = [("ecs.cpu-architecture", wanted[architecture])] if architecture else []
    os_type = "windows" if fargate.is_windows(content) else "linux"
    return Need(
        cpu=int(cpu) if cpu else sum(one["cpu"] for one in containers),
        memory=int(memory)
        if memory
        else sum(one.get("memoryReservation") or one.get("memory") or 0 for one in containers),
        tcp_ports=frozenset(port["hostPort"] for port in ports if port["protocol"] == "tcp"),
        udp_ports=frozenset(port["hostPort"] for port in ports if port["protocol"] == "udp"),
        gpus=sum(int(asked["value"]) for asked in requirements if asked["value"] != "ALL"),
        all_gpus=any(asked["value"] == "ALL" for asked in requirements),
        enis=int(content.get("networkMode") == "awsvpc"),
        attributes=(*definition.required, *platform, ("ecs.os-type", os_type)),
    )
