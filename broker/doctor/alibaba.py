"""Whether a backend of type alibaba-ecs can do its work: questions to the cloud that change nothing."""

import difflib
from dataclasses import dataclass, field
from typing import Final

from broker.backends.alibaba_ecs.asking import items
from broker.backends.alibaba_ecs.iam import EVERYBODY, Place, needed
from broker.backends.alibaba_ecs.options import BackendOptions
from broker.backends.alibaba_ecs.session import Sessions
from broker.backends.alibaba_ecs.used import Used
from broker.doctor.alibaba_ask import AlibabaCloud, Refused, time_of
from broker.doctor.alibaba_hosts import check_dry_run, check_images, check_key_pairs, check_stock
from broker.doctor.alibaba_network import check_groups, check_made, check_vswitches
from broker.doctor.alibaba_pools import Looked, look
from broker.doctor.report import Check, Doubtful, Report, Wrong
from broker.errors import BackendError
from broker.ports import Clock

_OF_POOLS: Final = ("image", "key pair", "vswitches", "security groups", "stock", "dry run")
_ODD_S: Final = 30.0
_TOO_FAR_S: Final = 900.0
"""What a signature may be off (API reference, "Request syntax and signature method V3", x-acs-date)."""
_SHOWN: Final = 6


@dataclass(slots=True, kw_only=True)
class AlibabaVisit:
    """One backend's visit."""

    used: Used
    clock: Clock
    _account: str = field(default="*", init=False)
    _pools: list[Looked] = field(default_factory=list, init=False)

    async def checks(self) -> list[Check]:
        """All checks in their order; after keys that do not stand, or a region that is none, the rest is skipped."""
        report = Report(f"backend {self.used.name}")
        options = BackendOptions.of(self.used.definition)
        sessions = Sessions(options, self.clock, self.used.name)
        try:
            cloud = AlibabaCloud(sessions, self.used.name)
            known = await report.check("credentials", self._credentials(cloud))
            await report.check("clock", self._clock(options))
            if not known:
                report.skip(("region", *_OF_POOLS, "rights"), "no credentials")
            elif not await report.check("region", self._region(cloud)):
                report.skip((*_OF_POOLS, "rights"), "no region")
            else:
                await self._rest(cloud, options, report)
        finally:
            await sessions.close()
        return report.checks

    async def _rest(self, cloud: AlibabaCloud, options: BackendOptions, report: Report) -> None:
        if not self.used.pools:
            report.skip(_OF_POOLS, "no pool uses it")
        elif await report.check("pools", self._look(cloud)):
            pools = self._pools
            await report.check("image", check_images(cloud, pools))
            await report.check("key pair", check_key_pairs(cloud, pools))
            if self.used.makes_network:
                await report.check("network", check_made(cloud, self.used, pools))
            await report.check("vswitches", check_vswitches(pools))
            await report.check("security groups", check_groups(cloud, self.used, pools))
            await report.check("stock", check_stock(pools))
            await report.check("dry run", check_dry_run(cloud, pools))
        else:
            report.skip(_OF_POOLS, "the pools could not be looked at")
        await report.check("auto release", _release(options, self.used.name))
        await report.check("rights", self._rights(cloud))

    async def _look(self, cloud: AlibabaCloud) -> str:
        self._pools = await look(cloud, self.used)
        return ", ".join(one.name for one in self._pools)

    async def _credentials(self, cloud: AlibabaCloud) -> str:
        try:
            answer = await cloud.ask("sts:GetCallerIdentity")
        except BackendError as error:
            raise Wrong(error.message) from error
        self._account = str(answer.get("AccountId") or "*")
        arn = str(answer.get("Arn") or "")
        told = f"{_who(arn)}, account {self._account}, {cloud.sessions.told}"
        if answer.get("IdentityType") == "Account" or arn.endswith(":root"):
            raise Doubtful(told, "give the broker a RAM user or role of its own: the account itself may do everything")
        return told

    async def _clock(self, options: BackendOptions) -> str:
        theirs = await time_of(options)
        if theirs is None:
            raise Doubtful("Alibaba Cloud did not tell its time")
        skew_s = (self.clock.now() - theirs).total_seconds()
        off = f"{abs(skew_s):.0f} s {'ahead of' if skew_s > 0 else 'behind'} Alibaba Cloud's clock"
        hint = "set the clock of this machine, and let something keep it (NTP)"
        if abs(skew_s) >= _TOO_FAR_S:
            raise Wrong(f"{off}: signatures that are {_TOO_FAR_S / 60:.0f} min off are refused", hint)
        if abs(skew_s) >= _ODD_S:
            raise Doubtful(off, hint)
        return "that of Alibaba Cloud"

    async def _region(self, cloud: AlibabaCloud) -> str:
        mine, key = self.used.region, f"backends.{self.used.name}.region"
        try:
            answer = await cloud.ask("ecs:DescribeRegions")
        except Refused as refused:
            if refused.code.startswith("InvalidRegionId"):
                raise Wrong(f"no region {mine}", f"set {key}") from refused
            raise
        known = [str(one.get("RegionId")) for one in items(answer, ("Regions", "Region"))]
        if mine not in known:
            near = difflib.get_close_matches(mine, known, n=3, cutoff=0.3) or known[:_SHOWN]
            raise Wrong(f"no region {mine} for this account", f"set {key}: {', '.join(near)}")
        return mine

    async def _rights(self, cloud: AlibabaCloud) -> str:
        """What was asked above tells of rights; what would change something is not tried."""
        if "ecs:DescribeInstances" not in cloud.allowed | cloud.denied:
            try:
                await cloud.ask("ecs:DescribeInstances", {"MaxResults": 10})
            except Refused as refused:
                if not refused.denied:
                    raise
        place = Place(region=self.used.region, account=self._account)
        wanted = {action for one in needed(self.used, place, doctor=False) for action in one.actions} - EVERYBODY
        lacking = sorted(cloud.denied - EVERYBODY)
        hint = f"allow it: agentbroker iam alibaba --backend {self.used.name} prints the policy"
        if needs := [action for action in lacking if action in wanted]:
            raise Wrong(f"not allowed: {', '.join(needs)}", hint)
        have, untried = sorted(wanted & cloud.allowed), sorted(wanted - cloud.allowed - cloud.denied)
        told = f"{len(have)} of {len(wanted)} actions tried and allowed"
        told += f"; not checkable without doing it: {', '.join(untried)}" if untried else ""
        if lacking:
            raise Doubtful(f"{told}; doctor itself may not: {', '.join(lacking)}", hint)
        return told


async def _release(options: BackendOptions, name: str) -> str:
    if not options.auto_release:
        hint = f"set backends.{name}.auto_release: then the cloud deletes them"
        raise Doubtful("never: hosts of a broker that is no more stay, and cost", hint)
    return f"{options.auto_release / 3600:g} h ahead, put off at half time"


def _who(arn: str) -> str:
    """`acs:ram::1:user/ci` in words."""
    kind, _, name = arn.rpartition(":")[2].partition("/")
    if kind == "assumed-role":
        return f"role {name.partition('/')[0]} (assumed)"
    return f"{kind} {name}".strip()
