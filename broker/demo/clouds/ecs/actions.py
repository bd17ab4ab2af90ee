"""The actions of Amazon ECS by name: a region's state and a call, to the members of the answer."""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from broker.demo.clouds.ecs import describe, ending, errors, instances, launch, machines, reading, tagging, tags
from broker.demo.clouds.ecs.region import Region
from broker.demo.clouds.model import Call, Parameters

Action: TypeAlias = Callable[[Region, Call], Parameters]
Pages: TypeAlias = tuple[list[str], str | None]


def _run_task(region: Region, call: Call) -> Parameters:
    tasks, failures = launch.run(region, call, region.throttles)
    now = region.time.now()
    return {"tasks": [describe.told(task, now, with_tags=True) for task in tasks], "failures": failures}


def _stop_task(region: Region, call: Call) -> Parameters:
    return {"task": describe.told(ending.stop(region, call.parameters), region.time.now())}


def _register_definition(region: Region, call: Call) -> Parameters:
    made = region.definitions.register(call.parameters, call.identity.arn)
    return {"taskDefinition": made.told(), "tags": tags.listed(made.tags)}


def _describe_definition(region: Region, call: Call) -> Parameters:
    found = region.definitions.describe(call.parameters["taskDefinition"])
    with_tags = "TAGS" in call.parameters.get("include", ())
    return {"taskDefinition": found.told(), **({"tags": tags.listed(found.tags)} if with_tags else {})}


def _deregister_definition(region: Region, call: Call) -> Parameters:
    return {"taskDefinition": region.definitions.deregister(call.parameters["taskDefinition"]).told()}


def _delete_definitions(region: Region, call: Call) -> Parameters:
    deleted, failures = region.definitions.delete(call.parameters["taskDefinitions"])
    return {"taskDefinitions": [one.told() for one in deleted], "failures": failures}


def _create_cluster(region: Region, call: Call) -> Parameters:
    cluster = region.clusters.create(call.parameters)
    return {"cluster": cluster.told(("TAGS", "SETTINGS"), reading.counts(region, cluster.name))}


def _put_providers(region: Region, call: Call) -> Parameters:
    now = region.settle()
    name = region.names.cluster(call.parameters["cluster"])
    alive = [task for task in region.tasks.values() if task.cluster == name and not task.is_over(now)]
    cluster = region.clusters.put_providers(call.parameters, {task.capacity_provider for task in alive})
    return {"cluster": cluster.told((), reading.counts(region, cluster.name))}


def _describe_clusters(region: Region, call: Call) -> Parameters:
    asked = call.parameters.get("clusters") or ["default"]
    if len(asked) > 100:
        raise errors.invalid("Clusters length must be at most 100.")
    names = [region.names.cluster(one) for one in asked]
    known, include = region.clusters.known, call.parameters.get("include", ())
    missing = [region.names.arn("cluster", one) for one in names if one not in known]
    return {
        "clusters": [known[one].told(include, reading.counts(region, one)) for one in names if one in known],
        "failures": [{"arn": arn, "reason": "MISSING"} for arn in missing],
    }


def _create_provider(region: Region, call: Call) -> Parameters:
    return {"capacityProvider": region.clusters.create_provider(call.parameters).told(("TAGS",))}


def _register_instance(region: Region, call: Call) -> Parameters:
    return {"containerInstance": instances.told(machines.register_request(region, call.parameters), ("TAGS",))}


def _tag(region: Region, call: Call) -> Parameters:
    tagging.put(region, call.parameters)
    return {}


def _untag(region: Region, call: Call) -> Parameters:
    tagging.take(region, call.parameters)
    return {}


def _listing(member: str, listed: Callable[[Region, Mapping[str, Any]], Pages]) -> Action:
    def act(region: Region, call: Call) -> Parameters:
        found, token = listed(region, call.parameters)
        return {member: found, "nextToken": token} if token else {member: found}

    return act


ACTIONS: Final[Mapping[str, Action]] = {
    "CreateCapacityProvider": _create_provider,
    "CreateCluster": _create_cluster,
    "DeleteTaskDefinitions": _delete_definitions,
    "DeregisterTaskDefinition": _deregister_definition,
    "DescribeCapacityProviders": lambda region, call: region.clusters.described(call.parameters),
    "DescribeClusters": _describe_clusters,
    "DescribeContainerInstances": lambda region, call: machines.described(region, call.parameters),
    "DescribeTaskDefinition": _describe_definition,
    "DescribeTasks": lambda region, call: reading.described(region, call.parameters),
    "ListClusters": _listing("clusterArns", lambda region, asked: region.clusters.listed(asked)),
    "ListContainerInstances": lambda region, call: machines.listed(region, call.parameters),
    "ListTagsForResource": lambda region, call: {"tags": tagging.listed(region, call.parameters)},
    "ListTaskDefinitionFamilies": _listing("families", lambda region, asked: region.definitions.listed_families(asked)),
    "ListTaskDefinitions": _listing("taskDefinitionArns", lambda region, asked: region.definitions.listed(asked)),
    "ListTasks": lambda region, call: reading.listed(region, call.parameters),
    "PutClusterCapacityProviders": _put_providers,
    "RegisterContainerInstance": _register_instance,
    "RegisterTaskDefinition": _register_definition,
    "RunTask": _run_task,
    "StopTask": _stop_task,
    "TagResource": _tag,
    "UntagResource": _untag,
    "UpdateContainerInstancesState": lambda region, call: machines.put_state(region, call.parameters),
}
"""What this fake can; everything else of ECS is refused by the front as not built."""
