"""RunInstances."""

from typing import Final

from broker.demo.clouds.alibaba import errors, life, order
from broker.demo.clouds.alibaba.instances import Disk, Instance
from broker.demo.clouds.alibaba.order import Order
from broker.demo.clouds.alibaba.region import Region
from broker.demo.clouds.model import ApiError, Call, Parameters

TAKES: Final = (
    "Amount AutoReleaseTime ClientToken CreditSpecification DataDisk DeletionProtection Description DryRun HostName"
    " HttpEndpoint HttpTokens ImageFamily ImageId InstanceChargeType InstanceName InstanceType InternetChargeType"
    " InternetMaxBandwidthIn InternetMaxBandwidthOut IoOptimized KeyPairName MinAmount Password PrivateIpAddress"
    " RamRoleName ResourceGroupId SecurityEnhancementStrategy SecurityGroupId SecurityGroupIds SpotDuration"
    " SpotInterruptionBehavior SpotPriceLimit SpotStrategy SystemDisk Tag UniqueSuffix UserData VSwitchId ZoneId"
)


def run_instances(region: Region, call: Call) -> Parameters:
    """Makes between MinAmount and Amount instances, or none and raises ApiError."""
    now = region.settle()
    said = call.parameters
    if (again := region.tokens.answer("RunInstances", said, now)) is not None:
        return again
    wanted = order.read(region, said, now)
    count = _in_stock(region, wanted)
    _check_quotas(region, wanted, count)
    if wanted.vswitch.free < count:
        message = "Don't have enough private IPs in this switch"
        raise ApiError("QuotaExceeded.PrivateIpAddress", message)
    if said.get("DryRun"):
        raise errors.dry_run()
    made = [_make(region, wanted, place, now) for place in range(count)]
    answer: Parameters = {
        "InstanceIdSets": {"InstanceIdSet": [one.id for one in made]},
        "OrderId": "",
        "TradePrice": round(wanted.price * count, 3),
    }
    return region.tokens.keep("RunInstances", said, now, answer)


def _in_stock(region: Region, wanted: Order) -> int:
    left = region.stock.left(wanted.zone, wanted.type.id, spot=wanted.spot.is_spot)
    count = wanted.amount if left is None else min(wanted.amount, left)
    if count < wanted.least:
        if region.stock.is_closed(wanted.zone):
            message = (
                "The resource in the specified zone is no longer available for sale. "
                "Please try other regions and zones."
            )
            raise ApiError("Zone.NotOnSale", message, 403)
        message = (
            "The requested resource is sold out in the specified zone; "
            "try other types of resources or other regions and zones."
        )
        raise ApiError("OperationDenied.NoStock", message, 403)
    return count


def _check_quotas(region: Region, wanted: Order, count: int) -> None:
    quotas = region.knobs.quotas
    living = [one for one in region.instances.values() if not one.ending]
    if quotas.instances is not None and len(living) + count > quotas.instances:
        raise ApiError("QuotaExceed.AfterpayInstance", "Living afterpay instances quota exceeded.")
    most = quotas.spot_vcpus if wanted.spot.is_spot else quotas.vcpus
    used = sum(one.type.cpus for one in living if one.spot.is_spot == wanted.spot.is_spot)
    if most is not None and used + count * wanted.type.cpus > most:
        message = "No additional quota is available for the specified ECS instance type."
        raise ApiError("QuotaExceed.ElasticQuota", message, 403)
    for group in wanted.groups:
        if sum(group in one.groups for one in living) + count > quotas.group_instances:
            message = "Exceeding the allowed amount of instances of a security group."
            raise ApiError("SecurityGroupInstanceLimitExceed", message, 403)


def _make(region: Region, wanted: Order, place: int, now: float) -> Instance:
    timing, said = region.knobs.timing, wanted.said
    instance_id = region.world.fresh("i")
    out = said.get("InternetMaxBandwidthOut", 0)
    region.made += 1
    instance = Instance(
        id=instance_id,
        name=wanted.names[place] if wanted.names else instance_id,
        host_name=wanted.host_names[place] if wanted.host_names else f"iZ{instance_id[2:]}Z",
        number=region.made,
        region=region.name,
        zone=wanted.zone,
        type=wanted.type,
        image=wanted.image,
        vpc=wanted.vswitch.vpc,
        vswitch=wanted.vswitch.id,
        groups=list(wanted.groups),
        created_at=now,
        visible_at=now + region.drawn(timing.visible_after_s),
        private_ip=wanted.vswitch.take(instance_id, said.get("PrivateIpAddress", "")),
        address_at=now + region.drawn(timing.address_s),
        public_ip=f"47.{96 + region.made // 62500 % 32}.{region.made // 250 % 250}.{region.made % 250 + 1}"
        if out
        else "",
        public_address_at=now + region.drawn(timing.public_address_s),
        bandwidth_out=out,
        bandwidth_in=said.get("InternetMaxBandwidthIn", max(10, out)) if out else 0,
        internet_charge=said.get("InternetChargeType", "PayByTraffic"),
        key_pair=said.get("KeyPairName", ""),
        password=said.get("Password", ""),
        ram_role=said.get("RamRoleName", ""),
        user_data=wanted.user_data,
        description=said.get("Description", ""),
        http_tokens=said.get("HttpTokens", "optional"),
        http_endpoint=said.get("HttpEndpoint", "enabled"),
        protected=said.get("DeletionProtection", False),
        spot=wanted.spot,
        price=wanted.price,
        auto_release_at=wanted.auto_release_at,
        tags=dict(wanted.tags),
        mac="00:16:3e:" + ":".join(f"{region.world.chance.randrange(256):02x}" for _ in range(3)),
        serial=region.world.fresh("serial")[7:],
    )
    region.stock.take(wanted.zone, wanted.type.id, spot=wanted.spot.is_spot)
    region.instances[instance.id] = instance
    _make_disks(region, wanted, instance, now)
    life.begin(region, instance, region.knobs.next_fate())
    return instance


def _make_disks(region: Region, wanted: Order, instance: Instance, now: float) -> None:
    for number, one in enumerate(wanted.disks):
        disk = Disk(
            id=region.world.fresh("d"),
            zone=instance.zone,
            category=one.category,
            level=one.level,
            size_gib=one.size_gib,
            created_at=now,
            kind=one.kind,
            device=f"/dev/xvd{chr(ord('a') + number)}",
            instance=instance.id,
            name=one.name,
            snapshot=one.snapshot,
            portable=one.kind == "data",
            delete_with_instance=one.delete_with_instance,
            encrypted=one.encrypted,
            tags=dict(instance.tags),
        )
        region.disks[disk.id] = disk
