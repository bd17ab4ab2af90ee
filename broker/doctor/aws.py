"""Whether a backend of type aws-ecs can do its work: questions to AWS that change nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from broker.backends.aws_ecs.iam import Place
from broker.backends.aws_ecs.session import Sessions
from broker.backends.aws_ecs.used import Used
from broker.doctor.aws_ask import Cloud, Refused, answered_at
from broker.doctor.aws_network import check_security_groups, check_subnets
from broker.doctor.aws_rights import check_rights, check_roles
from broker.doctor.aws_tasks import check_definitions, check_instances, check_logs
from broker.doctor.report import Check, Doubtful, Report, Wrong
from broker.errors import BackendError
from broker.ports import Clock

_ALL: Final = ("clock", "cluster", "subnets", "security groups", "iam")
_ODD_S: Final = 30.0
_TOO_FAR_S: Final = 300.0
"""What a signature may be off (IAM user guide, "Signature Version 4", X-Amz-Date)."""


@dataclass(slots=True, kw_only=True)
class AwsVisit:
    """One backend's visit. `agents_dial` is host and port of what agents connect to, empty if nobody knows."""

    used: Used
    clock: Clock
    agents_dial: tuple[str, int] | None = None
    _skew_s: float | None = field(default=None, init=False)
    _principal: str = field(default="", init=False)
    _place: Place = field(default=Place(region=""), init=False)

    async def checks(self) -> list[Check]:
        """All checks in their order; after keys that do not stand the rest is skipped."""
        report = Report(f"backend {self.used.name}")
        sessions = Sessions(self.used.options, self.clock, self.used.name)
        try:
            cloud = Cloud(sessions, self.used.name)
            if await report.check("credentials", self._credentials(cloud)):
                await self._rest(cloud, report)
            else:
                if self._skew_s is not None:
                    await report.check("clock", self._clock())
                report.skip(tuple(name for name in _ALL if name != "clock" or self._skew_s is None), "no credentials")
        finally:
            await sessions.close()
        return report.checks

    async def _rest(self, cloud: Cloud, report: Report) -> None:
        used = self.used
        await report.check("clock", self._clock())
        cluster = dict[str, Any]()
        if await report.check("cluster", self._cluster(cloud, cluster)) and used.pools:
            await report.check("capacity", _capacity(used, cluster))
        if any(pool.subnets for pool in used.pools.values()):
            vpcs = dict[str, str]()
            if await report.check("subnets", check_subnets(cloud, used, vpcs)):
                await report.check("security groups", check_security_groups(cloud, used, vpcs, self.agents_dial))
        await report.check("iam", check_rights(cloud, used, self._place, self._principal))
        await check_roles(cloud, used, self._place, self._principal, report)
        await check_logs(cloud, used, self._place.region, report)
        await check_definitions(cloud, used, report)
        if cluster:
            await check_instances(cloud, used, cluster, report)

    async def _credentials(self, cloud: Cloud) -> str:
        try:
            region = await cloud.sessions.region()
            answer = await cloud.ask("sts:GetCallerIdentity")
            expires = await cloud.sessions.expires()
        except Refused as refused:
            self._note_time(refused.answered_at)
            raise
        except BackendError as error:
            raise Wrong(error.message) from error
        self._note_time(answered_at(answer))
        account, self._principal = str(answer["Account"]), str(answer["Arn"])
        self._place = Place(region=region, account=account)
        until = f", until {expires.astimezone(UTC):%H:%M} UTC, renewed before" if expires else ""
        told = f"{_who(self._principal)}, account {account}, region {region}{until}"
        if self._principal.endswith(":root"):
            raise Doubtful(told, "give the broker a user or a role of its own: root may do everything")
        return told

    def _note_time(self, theirs: datetime | None) -> None:
        if theirs is not None:
            self._skew_s = (self.clock.now() - theirs).total_seconds()

    async def _clock(self) -> str:
        if self._skew_s is None:
            raise Doubtful("AWS did not tell its time")
        off = f"{abs(self._skew_s):.0f} s {'ahead of' if self._skew_s > 0 else 'behind'} AWS's clock"
        hint = "set the clock of this machine, and let something keep it (NTP)"
        if abs(self._skew_s) >= _TOO_FAR_S:
            raise Wrong(f"{off}: AWS refuses signatures that are {_TOO_FAR_S / 60:.0f} min off", hint)
        if abs(self._skew_s) >= _ODD_S:
            raise Doubtful(off, hint)
        return "that of AWS"

    async def _cluster(self, cloud: Cloud, found: dict[str, Any]) -> str:
        used, key = self.used, f"backends.{self.used.name}.cluster"
        answer = await cloud.ask("ecs:DescribeClusters", {"clusters": [used.options.cluster or "default"]})
        if not answer.get("clusters"):
            raise Wrong(f"no cluster {used.cluster} in {self._place.region}", await _known_clusters(cloud, key))
        cluster: Mapping[str, Any] = answer["clusters"][0]
        if cluster.get("status") != "ACTIVE":
            raise Wrong(f"{used.cluster} is {cluster.get('status')}", f"make it anew, or set {key}")
        found.update(cluster)
        providers = ", ".join(cluster.get("capacityProviders") or []) or "none"
        return f"{used.cluster} ACTIVE; capacity providers: {providers}"


async def _capacity(used: Used, cluster: Mapping[str, Any]) -> str:
    """What the pools name is there: a cluster uses only the capacity providers that it was given."""
    known = list(cluster.get("capacityProviders") or [])
    for name, pool in used.pools.items():
        for one in pool.strategy:
            if one.capacity_provider not in known:
                raise Wrong(
                    f"pool {name}: cluster {used.cluster} has no capacity provider {one.capacity_provider}",
                    f"known: {', '.join(known) or 'none'}; mend pools.{name}, or give it to the cluster",
                )
    hosts = cluster.get("registeredContainerInstancesCount", 0)
    bare = [name for name, pool in used.pools.items() if not pool.strategy and not pool.launch_type]
    if bare and not hosts and not cluster.get("defaultCapacityProviderStrategy"):
        raise Wrong(
            f"pool {bare[0]} leaves the capacity to cluster {used.cluster}, which has no default and no instances",
            f"set pools.{bare[0]}.capacity_provider or .launch_type",
        )
    wanted = sorted({one.capacity_provider for pool in used.pools.values() for one in pool.strategy})
    types = sorted({pool.launch_type for pool in used.pools.values() if pool.launch_type})
    return ", ".join([*wanted, *types]) or "the cluster's default"


async def _known_clusters(cloud: Cloud, key: str) -> str:
    try:
        arns = await cloud.pages("ecs:ListClusters", "clusterArns")
    except Refused:
        return f"look at {key} and at the region"
    names = sorted(arn.rpartition("/")[2] for arn in arns)
    return f"known: {', '.join(names) or 'none'}; set {key}"


def _who(arn: str) -> str:
    kind, _, name = arn.rpartition(":")[2].partition("/")
    if kind == "assumed-role":
        return f"role {name.partition('/')[0]} (assumed)"
    return f"{kind} {name}".strip()
