"""Container instances by the API: lists, descriptions, draining; and how they come and go."""

from collections.abc import Mapping, Sequence
from typing import Any

from broker.demo.clouds.ecs import errors, instances, query, tags
from broker.demo.clouds.ecs.clusters import Cluster
from broker.demo.clouds.ecs.instances import ContainerInstance
from broker.demo.clouds.ecs.paging import Entry, page
from broker.demo.clouds.ecs.region import Region
from broker.demo.clouds.ecs.scaling import Group


def arrive(region: Region, group: Group, at: float) -> None:
    """A machine of an auto-scaling group has come."""
    cluster = region.clusters.known[group.cluster]
    _make(region, cluster, at, capacity_provider=group.provider, **group.machine)


def register(region: Region, cluster: Cluster, **shape: Any) -> ContainerInstance:
    """A new machine; `shape` as `FakeEcs.add_instance` takes it."""
    now = region.settle()
    instance = _make(region, cluster, now, **shape)
    region.place_waiting(now)
    return instance


def _make(region: Region, cluster: Cluster, now: float, **shape: Any) -> ContainerInstance:
    zone = shape.pop("zone", "") or f"{region.names.region}a"
    instance_type = shape.pop("instance_type", "m6i.xlarge")
    attributes = instances.usual_attributes(
        zone, instance_type, shape.pop("architecture", "x86_64"), shape.pop("os_family", "LINUX")
    )
    extra: Mapping[str, str | None] = shape.pop("attributes", {})
    gpus = tuple(f"GPU-{region.ids.uuid()}" for _ in range(shape.pop("gpus", 0)))
    external = shape.get("external", False)
    instance = ContainerInstance(
        arn=region.names.arn("container-instance", cluster.name, region.ids.hex()),
        cluster=cluster.name,
        ec2_instance_id=f"mi-{region.ids.hex(17)}" if external else f"i-{region.ids.hex(17)}",
        instance_type=instance_type,
        attributes={**attributes, **extra},
        gpus=gpus,
        registered_at=now,
        **shape,
    )
    cluster.instances[instance.arn] = instance
    return instance


def register_request(region: Region, request: Mapping[str, Any]) -> ContainerInstance:
    """RegisterContainerInstance: what the agent of a machine says of it."""
    cluster = region.clusters.active(request.get("cluster"))
    amounts = {one["name"]: one.get("integerValue", 0) for one in request.get("totalResources", ())}
    if "CPU" not in amounts or "MEMORY" not in amounts:
        raise errors.refused("totalResources must have CPU and MEMORY.")
    attributes = {one["name"]: one.get("value") for one in request.get("attributes", ())}
    gpus = [one for one in request.get("totalResources", ()) if one["name"] == "GPU"]
    return register(
        region,
        cluster,
        cpu=amounts["CPU"],
        memory=amounts["MEMORY"],
        gpus=len(gpus[0].get("stringSetValue", ())) if gpus else 0,
        zone=attributes.get("ecs.availability-zone") or "",
        attributes=attributes,
        tags=tags.of(request.get("tags")),
    )


def listed(region: Region, request: Mapping[str, Any]) -> dict[str, Any]:
    """One page of ARNs, of those that a query likes and of one status; without one of all that are not INACTIVE."""
    cluster = region.clusters.find(request.get("cluster"))
    region.settle()
    likes = query.parse(request["filter"]) if request.get("filter") else None
    found = [
        Entry((one.registered_at, one.arn), one.arn)
        for one in cluster.instances.values()
        if (one.status == request["status"] if "status" in request else one.status != "INACTIVE")
        and (likes is None or likes(one))
    ]
    arns, token = page(sorted(found, key=lambda entry: entry.place), request)
    return {"containerInstanceArns": arns, "nextToken": token} if token else {"containerInstanceArns": arns}


def described(region: Region, request: Mapping[str, Any]) -> dict[str, Any]:
    """Up to a hundred of them; one that is not there is MISSING."""
    cluster = region.clusters.find(request.get("cluster"))
    region.settle()
    found, failures = _found(region, cluster, request["containerInstances"], 100)
    views = [instances.told(one, request.get("include", ())) for one in found]
    return {"containerInstances": views, "failures": failures}


def put_state(region: Region, request: Mapping[str, Any]) -> dict[str, Any]:
    """UpdateContainerInstancesState: DRAINING ones take no new task and keep those that were started by RunTask."""
    cluster = region.clusters.active(request.get("cluster"))
    now = region.settle()
    if request["status"] not in {"ACTIVE", "DRAINING"}:
        raise errors.invalid("Container instance status should be one of [ACTIVE, DRAINING].")
    found, failures = _found(region, cluster, request["containerInstances"], 10)
    for one in found:
        one.status = request["status"]
        one.version += 1
    region.place_waiting(now)
    return {"containerInstances": [instances.told(one) for one in found], "failures": failures}


def _found(
    region: Region, cluster: Cluster, asked: Sequence[str], most: int
) -> tuple[list[ContainerInstance], list[dict[str, str]]]:
    if not asked:
        raise errors.invalid("Container instances cannot be empty.")
    if len(asked) > most:
        raise errors.invalid(f"Container instances length must be at most {most}.")
    arns = [region.names.inside(one, "container-instance", cluster.name) for one in asked]
    found = [cluster.instances[arn] for arn in arns if arn in cluster.instances]
    return found, [{"arn": arn, "reason": "MISSING"} for arn in arns if arn not in cluster.instances]
