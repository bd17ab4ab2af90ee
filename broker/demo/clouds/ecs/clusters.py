"""Clusters and capacity providers."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from broker.demo.clouds.ecs import errors, strategy, tags
from broker.demo.clouds.ecs.instances import ContainerInstance
from broker.demo.clouds.ecs.names import NAME, Names
from broker.demo.clouds.ecs.paging import Entry, page
from broker.demo.clouds.model import ApiError

FARGATE: Final = ("FARGATE", "FARGATE_SPOT")


@dataclass(slots=True, kw_only=True)
class CapacityProvider:
    """One provider; those of Fargate are in every account."""

    name: str
    arn: str
    group_arn: str = ""
    """Its auto-scaling group's; "" for those of Fargate."""
    managed_scaling: dict[str, Any] = field(default_factory=dict)
    termination_protection: str = "DISABLED"
    managed_draining: str = "ENABLED"
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def is_fargate(self) -> bool:
        """Whether its tasks run on no machine of the account."""
        return self.name in FARGATE

    @property
    def scales(self) -> bool:
        """Whether tasks that find no room wait for machines to come."""
        return self.managed_scaling.get("status") == "ENABLED"

    def told(self, include: Sequence[str] = ()) -> dict[str, Any]:
        """As DescribeCapacityProviders tells it."""
        view: dict[str, Any] = {
            "capacityProviderArn": self.arn,
            "name": self.name,
            "status": "ACTIVE",
            "type": self.name if self.is_fargate else "EC2_AUTOSCALING",
            "tags": tags.listed(self.tags) if "TAGS" in include else [],
        }
        if not self.is_fargate:
            view["autoScalingGroupProvider"] = {
                "autoScalingGroupArn": self.group_arn,
                "managedScaling": self.managed_scaling,
                "managedTerminationProtection": self.termination_protection,
                "managedDraining": self.managed_draining,
            }
        return view


@dataclass(slots=True, kw_only=True)
class Cluster:
    """One cluster. A test may set `status` as it likes."""

    name: str
    arn: str
    status: str = "ACTIVE"
    tags: dict[str, str] = field(default_factory=dict)
    settings: list[dict[str, str]] = field(default_factory=list)
    configuration: dict[str, Any] = field(default_factory=dict)
    providers: list[str] = field(default_factory=list)
    default_strategy: tuple[strategy.Item, ...] = ()
    instances: dict[str, ContainerInstance] = field(default_factory=dict)
    """By ARN, in the order in which they registered."""

    def told(self, include: Sequence[str], counts: Mapping[str, int]) -> dict[str, Any]:
        """As DescribeClusters tells it; `counts` of running and pending tasks, also by launch type."""
        view: dict[str, Any] = {
            "clusterArn": self.arn,
            "clusterName": self.name,
            "status": self.status,
            "registeredContainerInstancesCount": sum(one.status != "INACTIVE" for one in self.instances.values()),
            "runningTasksCount": counts["running"],
            "pendingTasksCount": counts["pending"],
            "activeServicesCount": 0,
            "statistics": [],
            "tags": tags.listed(self.tags) if "TAGS" in include else [],
            "settings": self.settings if "SETTINGS" in include else [],
            "capacityProviders": self.providers,
            "defaultCapacityProviderStrategy": [
                {"capacityProvider": item.provider, "weight": item.weight, "base": item.base}
                for item in self.default_strategy
            ],
        }
        if "STATISTICS" in include:
            view["statistics"] = [
                {"name": name, "value": str(value)}
                for name, value in counts.items()
                if name not in {"running", "pending"}
            ]
        if "ATTACHMENTS" in include:
            view["attachments"] = []
        if "CONFIGURATIONS" in include:
            view["configuration"] = self.configuration
        return view


@dataclass(slots=True)
class Clusters:
    """All of one account and region."""

    names: Names
    known: dict[str, Cluster] = field(default_factory=dict)
    """By name."""
    providers: dict[str, CapacityProvider] = field(default_factory=dict)
    """By name."""

    def __post_init__(self) -> None:
        """Fargate is there from the beginning."""
        for name in FARGATE:
            self.providers[name] = CapacityProvider(name=name, arn=self.names.arn("capacity-provider", name))

    def create(self, request: Mapping[str, Any]) -> Cluster:
        """A new cluster, or the one of that name that is there already."""
        name = request.get("clusterName") or "default"
        if not NAME.fullmatch(name):
            raise errors.invalid("Cluster name must have 1 to 255 letters, numbers, hyphens and underscores.")
        if (found := self.known.get(name)) and found.status == "ACTIVE":
            return found
        cluster = Cluster(
            name=name,
            arn=self.names.arn("cluster", name),
            tags=tags.of(request.get("tags")),
            settings=list(request.get("settings", [{"name": "containerInsights", "value": "disabled"}])),
            configuration=dict(request.get("configuration", {})),
        )
        self._provide(cluster, request.get("capacityProviders", []), request.get("defaultCapacityProviderStrategy", []))
        self.known[name] = cluster
        return cluster

    def find(self, reference: str | None) -> Cluster:
        """The cluster of a name or ARN, `default` without one; raises ClusterNotFoundException."""
        cluster = self.known.get(self.names.cluster(reference or "default"))
        if cluster is None:
            raise errors.no_cluster()
        return cluster

    def active(self, reference: str | None) -> Cluster:
        """A cluster that takes tasks."""
        cluster = self.find(reference)
        if cluster.status != "ACTIVE":
            raise errors.invalid("The specified cluster is inactive. Specify an active cluster and try again.")
        return cluster

    def listed(self, request: Mapping[str, Any]) -> tuple[list[str], str | None]:
        """One page of the ARNs of active clusters."""
        found = [Entry((one.arn,), one.arn) for one in self.known.values() if one.status == "ACTIVE"]
        return page(sorted(found, key=lambda entry: entry.place), request)

    def create_provider(self, request: Mapping[str, Any]) -> CapacityProvider:
        """A provider over an auto-scaling group."""
        name = request["name"]
        if not NAME.fullmatch(name) or re.match("aws|ecs|fargate", name, re.IGNORECASE):
            raise errors.invalid("The specified capacity provider name is invalid.")
        if name in self.providers:
            raise errors.invalid(
                "A capacity provider with the specified name already exists. Change the name and try again."
            )
        if "managedInstancesProvider" in request:
            raise errors.unsupported("Amazon ECS Managed Instances are not supported in this Region.")
        group = request.get("autoScalingGroupProvider")
        if not group:
            raise errors.invalid("An auto scaling group provider must be specified.")
        scaling = {"status": "DISABLED", **group.get("managedScaling", {})}
        if scaling["status"] == "ENABLED":
            scaling = {
                "targetCapacity": 100, "minimumScalingStepSize": 1, "maximumScalingStepSize": 10_000,
                "instanceWarmupPeriod": 300, **scaling,
            }  # fmt: skip
        provider = CapacityProvider(
            name=name,
            arn=self.names.arn("capacity-provider", name),
            group_arn=group["autoScalingGroupArn"],
            managed_scaling=scaling,
            termination_protection=group.get("managedTerminationProtection", "DISABLED"),
            managed_draining=group.get("managedDraining", "ENABLED"),
            tags=tags.of(request.get("tags")),
        )
        self.providers[name] = provider
        return provider

    def put_providers(self, request: Mapping[str, Any], in_use: set[str]) -> Cluster:
        """Which providers a cluster has, and its default strategy; one `in_use` by a task may not go."""
        cluster = self.active(request["cluster"])
        wanted = [self.provider_name(one) for one in request["capacityProviders"]]
        if lost := (set(cluster.providers) - set(wanted)) & in_use:
            raise ApiError(
                "ResourceInUseException",
                f"The specified capacity provider is in use and cannot be removed: {', '.join(sorted(lost))}.",
            )
        self._provide(cluster, wanted, request["defaultCapacityProviderStrategy"])
        return cluster

    def described(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """One page of providers by name or ARN, all of them without a name; those that are not there as failures."""
        asked = [self.provider_name(one) for one in request.get("capacityProviders", [])]
        if len(asked) > 100:
            raise errors.invalid("Up to 100 capacity providers can be described in an action.")
        allowed = self.find(request["cluster"]).providers if "cluster" in request else list(self.providers)
        found = [name for name in asked or allowed if name in self.providers and name in allowed]
        shown, token = page([Entry((name,), name) for name in sorted(found)], request, most=10)
        reply: dict[str, Any] = {
            "capacityProviders": [self.providers[name].told(request.get("include", [])) for name in shown],
            "failures": [
                {"arn": self.names.arn("capacity-provider", name), "reason": "MISSING"}
                for name in asked
                if name not in found
            ],
        }
        return {**reply, "nextToken": token} if token else reply

    def provider_name(self, reference: str) -> str:
        """The short name in a provider's name or ARN."""
        return self.names.path(reference, "capacity-provider")[-1]

    def strategy(self, cluster: Cluster, items: Sequence[Mapping[str, Any]]) -> tuple[strategy.Item, ...]:
        """A strategy over providers of a cluster; raises InvalidParameterException."""
        found = strategy.of(items)
        for item in found:
            if item.provider not in cluster.providers:
                raise errors.invalid(
                    "The specified capacity provider strategy cannot contain a capacity provider that is not "
                    "associated with the cluster. Associate the capacity provider with the cluster and try again."
                )
        if len({self.providers[item.provider].is_fargate for item in found}) > 1:
            raise errors.invalid("A strategy can contain only Fargate or only auto scaling group capacity providers.")
        return found

    def _provide(self, cluster: Cluster, providers: Sequence[str], items: Sequence[Mapping[str, Any]]) -> None:
        for name in providers:
            if name not in self.providers:
                raise errors.invalid(f"The specified capacity provider '{name}' was not found.")
        if len(providers) > 20:
            raise errors.invalid("A cluster can have a maximum of 20 capacity providers.")
        before = cluster.providers
        cluster.providers = list(providers)
        try:
            cluster.default_strategy = self.strategy(cluster, items)
        except ApiError:
            cluster.providers = before
            raise
