"""What RunInstances is asked for, checked against itself and against what there is."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from broker.demo.clouds.alibaba import errors, formats
from broker.demo.clouds.alibaba.catalog import Image, InstanceType
from broker.demo.clouds.alibaba.errors import NotBuilt
from broker.demo.clouds.alibaba.instances import Spot
from broker.demo.clouds.alibaba.networks import VSwitch
from broker.demo.clouds.alibaba.order_disks import DiskOrder, disks_of
from broker.demo.clouds.alibaba.region import Region
from broker.demo.clouds.alibaba.roles import ECS
from broker.demo.clouds.model import ApiError

_AHEAD_S: Final = 1800.0
_LATEST_S: Final = 3 * 366 * 86400.0


@dataclass(slots=True, kw_only=True)
class Order:
    """A request that is right."""

    amount: int
    least: int
    names: list[str]
    host_names: list[str]
    type: InstanceType
    image: Image
    vswitch: VSwitch
    zone: str
    groups: list[str]
    spot: Spot
    price: float
    disks: list[DiskOrder]
    auto_release_at: float | None
    user_data: bytes
    tags: dict[str, str]
    said: Mapping[str, Any] = field(repr=False)


def read(region: Region, said: Mapping[str, Any], now: float) -> Order:
    """Raises ApiError for what the vendor would not take."""
    amount, least = _amounts(said)
    _check_texts(said)
    image = _image(region, said)
    kind = _type(region, said)
    vswitch = _vswitch(region, said)
    groups = _groups(region, said, vswitch)
    _check_fit(region, said, image, kind, vswitch.zone)
    spot = _spot(said, region.stock.spot_price(vswitch.zone, kind))
    _check_private_address(said, vswitch, amount)
    return Order(
        amount=amount,
        least=least,
        names=_names(said, "InstanceName", amount),
        host_names=_names(said, "HostName", amount),
        type=kind,
        image=image,
        vswitch=vswitch,
        zone=vswitch.zone,
        groups=groups,
        spot=spot,
        price=region.stock.spot_price(vswitch.zone, kind) if spot.is_spot else kind.price,
        disks=disks_of(said, image, kind, region.knobs.quotas.data_disks),
        auto_release_at=release_time(said.get("AutoReleaseTime"), now),
        user_data=formats.user_data(said["UserData"]) if "UserData" in said else b"",
        tags=formats.tags(said.get("Tag")),
        said=said,
    )


def release_time(text: str | None, now: float) -> float | None:
    """When an instance is to be released, to the minute; raises ApiError for less than half an hour ahead."""
    if text is None:
        return None
    at = formats.moment(text)
    if at is None or not now + _AHEAD_S <= at <= now + _LATEST_S:
        message = "The specified parameter AutoReleaseTime is not valid."
        raise ApiError("InvalidAutoReleaseTime.Malformed", message)
    return at - at % 60


def _amounts(said: Mapping[str, Any]) -> tuple[int, int]:
    amount = said.get("Amount", 1)
    if not 1 <= amount <= 100:
        raise ApiError("InvalidParam.Amount", "The specified parameter Amount is not valid.", 403)
    least = said.get("MinAmount", amount)
    if not 1 <= least <= amount:
        raise ApiError("InvalidMinAmount.Malformed", "The specified parameter MinAmount is not valid.")
    return amount, least


def _names(said: Mapping[str, Any], name: str, amount: int) -> list[str]:
    return formats.names(said[name], amount, unique=said.get("UniqueSuffix", False)) if name in said else []


def _check_texts(said: Mapping[str, Any]) -> None:
    name = said.get("InstanceName")
    if name is not None and not all(formats.is_name(one) for one in _names(said, "InstanceName", 1)):
        raise errors.invalid("InstanceName", "InvalidInstanceName.Malformed")
    if "Description" in said and not formats.is_description(said["Description"]):
        raise errors.invalid("Description", "InvalidDescription.Malformed")
    formats.check_choice("InstanceChargeType", said.get("InstanceChargeType"), "PostPaid PrePaid",
                         "InvalidInstanceChargeType.NotFound", 404)  # fmt: skip
    if said.get("InstanceChargeType") == "PrePaid":
        raise NotBuilt("instances that are paid in advance")
    formats.check_choice("InternetChargeType", said.get("InternetChargeType"), "PayByTraffic PayByBandwidth",
                         "InvalidInternetChargeType.ValueNotSupported")  # fmt: skip
    formats.check_choice(
        "IoOptimized", said.get("IoOptimized"), "none optimized", "InvalidIoOptimize.ValueNotSupported"
    )
    formats.check_choice("HttpTokens", said.get("HttpTokens"), "optional required")
    formats.check_choice("HttpEndpoint", said.get("HttpEndpoint"), "enabled disabled")
    formats.check_choice("SecurityEnhancementStrategy", said.get("SecurityEnhancementStrategy"), "Active Deactive")
    formats.check_choice("CreditSpecification", said.get("CreditSpecification"), "Standard Unlimited",
                         "InvalidParameter.CreditSpecification")  # fmt: skip
    out, into = said.get("InternetMaxBandwidthOut"), said.get("InternetMaxBandwidthIn")
    formats.check_range("InternetMaxBandwidthOut", out, 0, 100)
    if into is not None and not 1 <= into <= max(10, out or 0):
        raise errors.invalid("InternetMaxBandwidthIn", "InvalidInternetMaxBandwidthIn.Malformed")


def _image(region: Region, said: Mapping[str, Any]) -> Image:
    if "ImageId" in said and "ImageFamily" in said:
        raise errors.conflict("The parameters ImageId and ImageFamily cannot be specified at the same time.")
    images = region.catalog.images
    if "ImageFamily" in said:
        image = next((one for one in images.values() if one.family == said["ImageFamily"]), None)
    elif "ImageId" in said:
        image = images.get(said["ImageId"])
    else:
        raise errors.missing("ImageId")
    if image is None:
        raise ApiError("InvalidImageId.NotFound", "The specified ImageId does not exist.", 404)
    if image.status != "Available":
        raise ApiError("OperationDenied.ImageNotValid", "The specified Image is disabled or is deleted.", 403)
    return image


def _type(region: Region, said: Mapping[str, Any]) -> InstanceType:
    if "InstanceType" not in said:
        raise errors.missing("InstanceType")
    kind = region.catalog.types.get(said["InstanceType"])
    if kind is None:
        message = "The specified InstanceType does not exist or beyond the permitted range."
        raise ApiError("InvalidInstanceType.ValueNotSupported", message)
    if "CreditSpecification" in said and not kind.is_burstable:
        message = "The specified CreditSpecification is not supported for the instance type."
        raise ApiError("InvalidParameter.CreditSpecification", message)
    return kind


def _vswitch(region: Region, said: Mapping[str, Any]) -> VSwitch:
    zone = said.get("ZoneId")
    if zone is not None and zone not in region.zones:
        raise ApiError("InvalidZoneId.NotFound", "The specified zoneId does not exist.", 404)
    if "VSwitchId" not in said:
        raise errors.missing("VSwitchId")
    vswitch = region.networks.vswitches.get(said["VSwitchId"])
    if vswitch is None:
        raise ApiError("InvalidVSwitchId.NotFound", "Specified virtual switch does not exist.", 404)
    if vswitch.status(region.world.now()) != "Available":
        message = "The current status of virtual switch does not support this operation."
        raise ApiError("IncorrectVSwitchStatus", message)
    if zone not in (None, vswitch.zone):
        raise ApiError("InvalidParameter.Mismatch", "Specified virtual switch is not in the specified zone.")
    return vswitch


def _groups(region: Region, said: Mapping[str, Any], vswitch: VSwitch) -> list[str]:
    one, many = said.get("SecurityGroupId"), said.get("SecurityGroupIds")
    if one is not None and many is not None:
        message = "The parameters SecurityGroupId and SecurityGroupIds.N cannot be specified at the same time."
        raise errors.conflict(message)
    ids = [one] if one is not None else list(many or ())
    if not ids:
        raise errors.missing("SecurityGroupId")
    if len(ids) > 16 or len(set(ids)) != len(ids):
        raise errors.invalid("SecurityGroupIds.N", "InvalidSecurityGroupId")
    for group_id in ids:
        group = region.networks.groups.get(group_id)
        if group is None:
            message = "The SecurityGroupId provided does not exist in our records."
            raise ApiError("InvalidSecurityGroupId.NotFound", message, 404)
        if group.vpc != vswitch.vpc:
            message = "Specified security group and virtual switch are not in the same VPC."
            raise ApiError("InvalidParameter.Mismatch", message)
    return ids


def _check_fit(region: Region, said: Mapping[str, Any], image: Image, kind: InstanceType, zone: str) -> None:
    if (image.architecture == "arm64") != (kind.architecture == "ARM"):
        raise errors.conflict("The specified image does not support the specified instance type.")
    if not region.stock.offers(zone, kind.id):
        message = "The specified zone does not support this instancetype."
        raise ApiError("InvalidInstanceType.ZoneNotSupported", message, 403)
    if "KeyPairName" in said:
        if image.is_windows:
            message = "The instance creating is window, cannot use ssh key pair to login."
            raise ApiError("DependencyViolation.WindowsInstance", message, 403)
        if said["KeyPairName"] not in region.key_pairs:
            message = 'The specified parameter "KeyPairName" does not exist in our records.'
            raise ApiError("InvalidKeyPairName.NotFound", message, 404)
    if "Password" in said and not formats.is_password(said["Password"], windows=image.is_windows):
        raise errors.invalid("Password", "InvalidPassword.Malformed")
    hosts = _names(said, "HostName", 1)
    if not all(formats.is_host_name(one, windows=image.is_windows) for one in hosts):
        raise errors.invalid("HostName", "InvalidHostName.Malformed")
    if "UserData" in said and not image.cloud_init:
        raise ApiError("ImageNotSupportCloudInit", "The specified image does not support cloud-init.")
    if "RamRoleName" in said:
        _check_role(region, said["RamRoleName"])


def _check_role(region: Region, name: str) -> None:
    role = region.world.roles.known.get(name)
    if role is None:
        message = 'The specified parameter "RAMRoleName" does not exist.'
        raise ApiError("InvalidRamRole.NotFound", message, 404)
    if ECS not in role.trusts:
        message = "The specified ram role is not authorized for ecs, please check your role policy."
        raise ApiError("InvalidRamRole.NotEcsRole", message, 401)


def _spot(said: Mapping[str, Any], price: float) -> Spot:
    strategy = said.get("SpotStrategy", "NoSpot")
    if strategy not in {"NoSpot", "SpotWithPriceLimit", "SpotAsPriceGo"}:
        raise ApiError("InvalidSpotStrategy", "The specified SpotStrategy is not valid.")
    limit = said.get("SpotPriceLimit")
    if limit is not None and (limit <= 0 or round(limit, 3) != limit):
        raise ApiError("InvalidSpotPriceLimit", "The specified SpotPriceLimitis not valid.")
    if said.get("SpotDuration", 1) not in {0, 1}:
        raise ApiError("InvalidSpotDuration", "The specified SpotDuration is not valid.")
    behavior = said.get("SpotInterruptionBehavior", "Terminate")
    if behavior not in {"Terminate", "Stop"}:
        raise errors.invalid("SpotInterruptionBehavior", "InvalidSpotInterruptionBehavior")
    if strategy == "SpotWithPriceLimit":
        if limit is None:
            raise ApiError("InvalidSpotPriceLimit", "The specified SpotPriceLimitis not valid.")
        if limit < price:
            message = 'The specified parameter "spotPriceLimit" can\'t be lower than current public price.'
            raise ApiError("InvalidSpotPriceLimit.LowerThanPublicPrice", message)
    if strategy == "NoSpot":
        return Spot()
    bounded = limit if strategy == "SpotWithPriceLimit" and limit is not None else 0.0
    return Spot(strategy=strategy, price_limit=bounded, duration=said.get("SpotDuration", 1), interruption=behavior)


def _check_private_address(said: Mapping[str, Any], vswitch: VSwitch, amount: int) -> None:
    text = said.get("PrivateIpAddress")
    if text is None:
        return
    if amount > 1:
        raise NotBuilt("PrivateIpAddress for more than one instance")
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        message = "Specified private IP address is malformed."
        raise ApiError("InvalidPrivateIpAddress.Malformed", message) from None
    if address not in vswitch.cidr or not vswitch.is_usable(text):
        message = "Specified private IP address is not in the CIDR block of virtual switch."
        raise ApiError("InvalidPrivateIpAddress", message)
    if text in vswitch.held:
        raise ApiError("InvalidPrivateIpAddress.Duplicated", "Specified private IP address is duplicated.")
