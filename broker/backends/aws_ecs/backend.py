"""Agents as tasks of one ECS cluster: EC2, Fargate, Fargate Spot, external instances, or what its providers choose.

Nothing is kept in memory that matters: a launch's client token makes it one task for a day, a task's tags say whose it
is, and its ARN says where. What is kept saves calls.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from broker.backends.aws_ecs.arns import place_of
from broker.backends.aws_ecs.bases import Bases
from broker.backends.aws_ecs.calls import Calls
from broker.backends.aws_ecs.chosen import Chosen
from broker.backends.aws_ecs.errors import DefinitionGone, NoSuchThing
from broker.backends.aws_ecs.hosts import HOSTED, Hosts
from broker.backends.aws_ecs.known import NEVER, Known
from broker.backends.aws_ecs.launching import Runner
from broker.backends.aws_ecs.listing import Lister
from broker.backends.aws_ecs.logs import Logs
from broker.backends.aws_ecs.observe import Task, instance_of, is_ending
from broker.backends.aws_ecs.offers import Offers
from broker.backends.aws_ecs.options import BackendOptions, PoolOptions
from broker.backends.aws_ecs.ownership import Ownership, family_of_arn
from broker.backends.aws_ecs.rates import Family
from broker.backends.aws_ecs.request import SECRET, Marks, run_task
from broker.backends.aws_ecs.secrets import Secrets, Way, way_of
from broker.backends.aws_ecs.ticker import Ticker, Watching
from broker.domain.ids import InstanceRef
from broker.domain.instance import Instance, LaunchKey, Listing
from broker.domain.offer import Offer
from broker.domain.pool import Pool
from broker.domain.resources import Resources
from broker.domain.template import Template
from broker.errors import BackendRejected, InsufficientCapacity, OutcomeUnknown, Throttled
from broker.ports import Clock, LaunchSpec

_STOP_AGAIN_S: Final = 10.0
_WATCHED_S: Final = 30.0
"""Who was asked for within this time has an agent of the broker's, whose session was ended: it leaves by itself."""
_WHY: Final = "ended by agentbroker"


class Definitions(Protocol):
    """Which task definition a launch runs: `register.Definitions`."""

    async def arn_for(
        self,
        template: Template,
        pool: Pool,
        configured: Resources | None = None,
        secrets: Mapping[str, str] | None = None,
    ) -> Chosen:
        """The definition, registered if there is none."""
        ...

    async def discard(self, arn: str) -> None:
        """No other launch needs it. Raises nothing of the cloud's."""
        ...

    async def forget(self, arn: str) -> None:
        """It can no longer be run."""
        ...

    async def prune(self, living: Iterable[str]) -> None:
        """Those that no task of ours in the cloud runs, by their ARNs, may go."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a backend is put together of."""

    calls: Calls
    definitions: Definitions
    ownership: Ownership
    options: BackendOptions
    clock: Clock


class EcsBackend:
    """A `ports.Backend` on one cluster."""

    def __init__(self, parts: Parts) -> None:
        """Owns the calls' clients; nothing is called yet."""
        self.calls = parts.calls
        """For who has to ask the same cloud beside it: `doctor`, and tests."""
        self._definitions = parts.definitions
        self._ownership = parts.ownership
        self._clock = parts.clock
        self._cluster = parts.options.cluster or "default"
        self._leave_s = parts.options.leave_grace.total_seconds()
        self._logs = Logs(parts.calls)
        often = Watching(poll_s=parts.options.poll_interval.total_seconds())
        self._ticker = Ticker(parts.calls, self._logs, parts.ownership, parts.clock, often)
        self._runner = Runner(parts.calls, parts.ownership, self._cluster, parts.clock)
        self._lister = Lister(parts.calls, parts.ownership, self._cluster, parts.clock, self._ticker.tasks)
        self._secrets = Secrets(parts.calls, parts.clock)
        self._hosts = Hosts(parts.calls, self._cluster, parts.clock)
        self._offers = Offers(parts.calls, self._hosts, parts.clock, self._ticker.tasks)
        self._bases = Bases(self._ticker.tasks, parts.clock)

    async def offers(self, pool: Pool) -> Sequence[Offer]:
        """Its zones, or the room of its cluster's instances."""
        self._secrets.learn(pool)
        return await self._offers.of(pool)

    async def launch(self, spec: LaunchSpec) -> InstanceRef:
        """Runs a task, or answers the one of this key; one that has ended is not run again."""
        launch = self._ownership.launch_id(spec.key)
        way = way_of(spec)
        chosen = await self._definition(spec, way, launch)
        zone = spec.offering.zone if spec.offering is not None else ""
        subnets = await self._offers.subnets(spec.pool, zone)
        marks = Marks(
            cluster=self._cluster,
            client_token=self._ownership.client_token(spec.key),
            started_by=self._ownership.started_by,
            tags=self._ownership.tags(spec, family_of_arn(chosen.arn)),
        )
        try:
            request = run_task(spec, chosen, marks, subnets, kept_for="" if way is None else launch)
            task = await self._run(launch, spec, chosen, self._bases.begins(launch, request))
        except (BackendRejected, InsufficientCapacity):
            self._bases.ends(launch)
            if way is not None:
                self._secrets.leave(way, launch)
                await self._definitions.discard(chosen.arn)
            raise
        self._logs.learn(chosen.arn, chosen.logs)
        known = self._note(task, spec, chosen.container)
        known.zone = zone or self._offers.zone_of(spec.pool, subnets)
        self._bases.ends(launch)
        if way is not None:
            self._secrets.hold(known.ref, way, launch)
            await self._definitions.discard(chosen.arn)
        return known.ref

    async def locate(self, key: LaunchKey) -> InstanceRef | None:
        """The task of this key that is to run; OutcomeUnknown while one may still come."""
        launch = self._ownership.launch_id(key)
        if (answered := self._runner.answered(launch)) is not None:
            return answered
        for task, owner in (await self._lister.recent()).tasks:
            if owner.launch == launch:
                return InstanceRef(str(task["taskArn"]))
        if self._runner.is_unsure(launch):
            raise OutcomeUnknown("Unanswered", "ECS has not answered whether it runs the task")
        self._secrets.leave_all(launch)
        return None

    async def describe(self, refs: Sequence[InstanceRef]) -> Mapping[InstanceRef, Instance]:
        """What exists of these, as it was some seconds ago: mostly without a call."""
        found = await self._ticker.describe(refs) if refs else {}
        await self._secrets.tidy(self._ticker.tasks.by_ref[ref] for ref in refs if ref in self._ticker.tasks.by_ref)
        return found

    async def terminate(self, ref: InstanceRef) -> None:
        """Has a task ended, if it is ours: one whose agent was told to leave is given a moment to do so itself."""
        known = await self._ticker.look_at(ref)
        if known is None or known.owned is None:
            return
        now = self._clock.monotonic()
        first = known.ended_at == NEVER
        if first:
            known.ended_at = now
        if known.task is None or not is_ending(known.task):
            await self._stop(known, now, may_leave=known.asked >= now - _WATCHED_S)

    async def list_owned(self) -> Listing:
        """All tasks that carry our signature and are to run."""
        listed = await self._lister.now()
        if listed.failed is None:
            await self._definitions.prune(str(task.get("taskDefinitionArn")) for task, _ in listed.tasks)
        instances = tuple(instance_of(task, owner) for task, owner in listed.tasks)
        return Listing(instances=instances, complete=listed.failed is None)

    async def close(self) -> None:
        """Lets go of the connections."""
        await self.calls.close()

    async def _definition(self, spec: LaunchSpec, way: Way | None, launch: str) -> Chosen:
        """The one to run; with a secret by reference one of the launch's own."""
        if way is None:
            return await self._definitions.arn_for(spec.template, spec.pool, spec.configured)
        secrets = {SECRET: await self._secrets.put(way, launch, spec.secret)}
        try:
            return await self._definitions.arn_for(spec.template, spec.pool, spec.configured, secrets)
        except BackendRejected:
            self._secrets.leave(way, launch)
            raise

    async def _run(self, launch: str, spec: LaunchSpec, chosen: Chosen, request: Mapping[str, Any]) -> Task:
        """The task; a definition that is gone is had anew by the next call."""
        made = False
        if PoolOptions.of(spec.pool).launch_type in HOSTED:
            self._hosts.begins(launch, spec.template.resources)
        try:
            task = await self._runner.run(launch, request)
            made = True
            return task
        except DefinitionGone as error:
            await self._definitions.forget(chosen.arn)
            raise Throttled(error.code, f"{error.message}: {chosen.arn}; it is had anew", error.reason) from error
        finally:
            self._hosts.ends(launch, made=made)

    def _note(self, task: Task, spec: LaunchSpec, container: str) -> Known:
        now = self._clock.monotonic()
        known = self._ticker.tasks.of(InstanceRef(str(task["taskArn"])), now)
        known.owned = self._ownership.owner(spec.key)
        known.container = container
        known.note(task, now)
        return known

    async def _stop(self, known: Known, now: float, *, may_leave: bool) -> None:
        runs = known.task is not None and known.task.get("lastStatus") == "RUNNING"
        if runs and may_leave and now - known.ended_at < self._leave_s:
            return
        if now - known.stopped_at < _STOP_AGAIN_S:
            return
        place = place_of(known.ref)
        if place is None:
            return
        request = {"cluster": place.cluster, "task": known.ref, "reason": _WHY}
        try:
            told = await self.calls.ecs(Family.STOP, "StopTask", request, region=place.region)
        except NoSuchThing:
            known.stopped_at = now
            return
        known.stopped_at = now
        if told.get("task"):
            known.note(told["task"], self._clock.monotonic())
