"""Amazon ECS of the strict fake: the actions, and what a test turns and does.

States follow the clock and are worked out when somebody asks. Every region has a state of its own.
"""

import random
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from broker.demo.clouds.ec2 import FakeEc2
from broker.demo.clouds.ecs import describe, ending, machines
from broker.demo.clouds.ecs.actions import ACTIONS
from broker.demo.clouds.ecs.clusters import FARGATE, CapacityProvider, Cluster
from broker.demo.clouds.ecs.definitions import Definition
from broker.demo.clouds.ecs.instances import ContainerInstance
from broker.demo.clouds.ecs.knobs import Fate, Quotas, Span, Timing
from broker.demo.clouds.ecs.names import CloudTime, Names
from broker.demo.clouds.ecs.network import Network
from broker.demo.clouds.ecs.region import Region
from broker.demo.clouds.ecs.scaling import Group
from broker.demo.clouds.ecs.tasks import Task
from broker.demo.clouds.model import Call, Parameters, Service
from broker.demo.clouds.world import World


class FakeEcs(Service):
    """One account's ECS. The attributes and methods of tests are about the region that it was made for.

    It begins with the cluster `default`, which has Fargate's two capacity providers and no container instance.
    """

    name = "ecs"

    def __init__(
        self, world: World, ec2: FakeEc2, secret: Callable[[str], object] | None = None, seed: int = 0
    ) -> None:
        """Tasks get addresses in the subnets of `ec2`, and secrets by `secret`; ids and spans repeat with the seed."""
        self._world, self._ec2, self._secret, self._seed = world, ec2, secret, seed
        self._regions: dict[str, Region] = {}
        self._runner: object | None = None
        self.region = self.elsewhere(world.region)

    def elsewhere(self, region: str) -> Region:
        """The state of a region, a fresh one if nobody was there yet."""
        found = self._regions.get(region)
        if found is None:
            names, chance = Names(self._world.account, region), random.Random(f"{self._seed}{region}")
            network = Network(self._ec2, region)
            found = Region(names, CloudTime(self._world.clock), network, chance, self._world.throttles)
            found.clusters.create({"clusterName": "default", "capacityProviders": list(FARGATE)})
            found.arrive = partial(machines.arrive, found)
            found.secret = self._secret
            self._regions[region] = found
        return found

    def handler(self, action: str) -> Callable[[Call], Awaitable[Parameters]] | None:
        """What answers an action, None for one that is not built."""
        act = ACTIONS.get(action)
        if act is None:
            return None

        async def answer(call: Call) -> Parameters:
            return act(self.elsewhere(call.region), call)

        return answer

    # What is there.

    @property
    def network(self) -> Network:
        """Subnets and security groups."""
        return self.region.network

    @property
    def clusters(self) -> dict[str, Cluster]:
        """By name."""
        return self.region.clusters.known

    @property
    def tasks(self) -> dict[str, Task]:
        """By ARN, those that can still be described; as of now."""
        self.region.settle()
        return self.region.tasks

    @property
    def task_definitions(self) -> dict[str, Definition]:
        """By ARN, of all families."""
        families = self.region.definitions.families.values()
        return {one.arn: one for revisions in families for one in revisions.values()}

    @property
    def container_instances(self) -> dict[str, ContainerInstance]:
        """By ARN, of all clusters; as of now."""
        self.region.settle()
        return {arn: one for cluster in self.clusters.values() for arn, one in cluster.instances.items()}

    @property
    def living(self) -> list[Task]:
        """Tasks that are not STOPPED."""
        now = self.region.settle()
        return [task for task in self.region.tasks.values() if not task.is_over(now)]

    def told(self, arn: str) -> dict[str, Any]:
        """A task as DescribeTasks tells it now, with its tags; raises KeyError."""
        return describe.told(self.tasks[arn], self.region.time.now(), with_tags=True)

    @property
    def now(self) -> float:
        """The time that the methods of tasks take: seconds since 1970, by the fake's clock."""
        return self.region.time.now()

    # What a test turns.

    @property
    def runner(self) -> object | None:
        """Who runs the containers: while there is one, a task that runs ends only when `stop` says so.

        It looks at `living` for tasks that are RUNNING, and for those that are no longer wanted, which it has to end.
        """
        return self._runner

    @runner.setter
    def runner(self, runner: object | None) -> None:
        self._runner = runner
        self.region.runs = lambda task: runner is not None

    @property
    def timing(self) -> Timing:
        """How long tasks to come stay in their states."""
        return self.region.timing

    @timing.setter
    def timing(self, timing: Timing) -> None:
        self.region.timing = timing

    @property
    def quotas(self) -> Quotas:
        """The account's limits."""
        return self.region.quotas

    @property
    def visible_after_s(self) -> Span:
        """How long a fresh task is MISSING and in no list."""
        return self.region.visible_after_s

    @visible_after_s.setter
    def visible_after_s(self, span: Span) -> None:
        self.region.visible_after_s = span

    @property
    def listed_after_end_s(self) -> float:
        """How long a task that is wanted STOPPED stays in lists of RUNNING ones."""
        return self.region.listed_after_end_s

    @listed_after_end_s.setter
    def listed_after_end_s(self, seconds: float) -> None:
        self.region.listed_after_end_s = seconds

    def failures_next(self, reason: str, times: int = 1) -> None:
        """So many RunTask from now on answer failures with this reason and make nothing."""
        self.region.failures += [reason] * times

    def fate_next(self, fate: Fate, times: int = 1) -> None:
        """So many tasks that start from now on come to this end (`knobs.cannot_pull(…)` and its like)."""
        self.region.fates += [fate] * times

    def close_capacity(self, provider: str = FARGATE[0], zone: str = "") -> None:
        """Fargate, or Fargate Spot, has no capacity in a zone, or anywhere."""
        self.region.closed.add((provider, zone))

    def open_capacity(self) -> None:
        """It has again."""
        self.region.closed.clear()

    def add_cluster(self, name: str, providers: list[str] | None = None) -> Cluster:
        """A cluster; with Fargate's providers unless others are named."""
        return self.region.clusters.create(
            {"clusterName": name, "capacityProviders": list(FARGATE) if providers is None else providers}
        )

    def add_provider(
        self, name: str, cluster: str = "default", *, scales: bool = True, machine: Mapping[str, Any] | None = None,
        comes_after_s: float = 90.0, most: int = 100,
    ) -> CapacityProvider:  # fmt: skip
        """A provider over an auto-scaling group, and in a cluster; with managed scaling or without.

        With `machine` (as `add_instance` takes it) machines come for tasks that wait; else the test brings them.
        """
        if machine is not None:
            self.region.groups[name] = Group(
                provider=name, cluster=cluster, machine=machine, comes_after_s=comes_after_s, most=most
            )
        group = f"arn:aws:autoscaling:{self.region.names.region}:{self._world.account}:autoScalingGroup:{name}"
        scaling = {"status": "ENABLED" if scales else "DISABLED"}
        asked = {"autoScalingGroupArn": group, "managedScaling": scaling}
        provider = self.region.clusters.create_provider({"name": name, "autoScalingGroupProvider": asked})
        self.clusters[cluster].providers.append(name)
        return provider

    def add_instance(
        self, cluster: str = "default", *, cpu: int = 4096, memory: int = 15_700, **shape: Any
    ) -> ContainerInstance:
        """A machine in a cluster. `shape`: zone, instance_type, architecture, os_family, gpus (a number), enis,
        attributes, capacity_provider, external, tags."""  # fmt: skip
        return machines.register(self.region, self.clusters[cluster], cpu=cpu, memory=memory, **shape)

    # What a test does.

    def stop(
        self, arn: str, *, exit_code: int = 0, reason: str = "", stop_code: str = "EssentialContainerExited",
        stopped_reason: str = ending.EXITED, container: str = "",
    ) -> None:  # fmt: skip
        """A container ends now, with `reason` as its own, and its task if it was essential, as the first such one is.

        Nothing for a task that is over.
        """
        end = ending.Exit(
            container=container, exit_code=exit_code, reason=reason, code=stop_code, stopped_reason=stopped_reason
        )
        now = self.region.settle()
        ending.exit_now(self.region, self.region.tasks[arn], now, end)

    def interrupt(self, arn: str, *, notice_s: float = 120.0, stop_code: str = "") -> None:
        """The cloud takes a task's machine back: SIGTERM now, SIGKILL after the notice or a shorter stopTimeout."""
        now = self.region.settle()
        task = self.region.tasks[arn]
        spot = task.capacity_provider == FARGATE[1] or task.instance is None
        code = stop_code or ("SpotInterruption" if spot else "TerminationNotice")
        ending.interrupt(self.region, task, now, code, "Your Spot Task was interrupted.", notice_s)

    def terminate_instance(self, arn: str) -> None:
        """A machine goes, and its tasks with it."""
        now = self.region.settle()
        for cluster in self.clusters.values():
            instance = cluster.instances.pop(arn, None)
            for held in list(instance.held) if instance else ():
                words = f"Host EC2 (instance {instance.ec2_instance_id}) terminated." if instance else ""
                end = ending.Exit(exit_code=137, code="TerminationNotice", stopped_reason=words)
                ending.exit_now(self.region, self.region.tasks[held], now, end)
