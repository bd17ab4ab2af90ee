"""RunInstances' request for an order: all that a pool says of its hosts, in the API's own words."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from broker.backends.alibaba_ecs.options import SPOT, Disk, PoolOptions
from broker.domain.host_order import HostOrder
from broker.domain.reason import Reason
from broker.errors import BackendRejected

MOST_AT_ONCE: Final = 100
_MOST_USER_DATA: Final = 32 * 1024
_LONGEST_NAME: Final = 128
_LEAST_AHEAD: Final = timedelta(minutes=31)
"""An automatic release is at least half an hour ahead, and counts whole minutes (API reference, RunInstances)."""
_BUILD: Final = re.compile(r"/([0-9]+)/?$")
"""The number of a build, at the end of its URL."""
_START: Final = re.compile(r"[^\W\d_][\w:.-]")
"""What a name begins with: a letter and one character more."""
_PREFIX: Final = "agentbroker"
_FIELDS: Final = re.compile(r"\{(pool|policy|controller|job|build)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What of a request is not the pool's."""

    client_token: str
    tags: list[dict[str, str]]
    vswitch: str
    key_pair: str = ""
    release_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """What a pool says in files: read in a thread."""

    user_data: str = ""
    password: str = ""

    @classmethod
    def of(cls, options: PoolOptions, pool: str) -> "Texts":
        """Blocks. BackendRejected names the key and the file."""
        return cls(
            user_data=options.user_data or _read(options.user_data_file, f"pools.{pool}.user_data_file"),
            password=options.password or _read(options.password_file, f"pools.{pool}.password_file").strip(),
        )


def run_instances(order: HostOrder, options: PoolOptions, given: Given, texts: Texts) -> dict[str, Any]:
    """At least one and at most as many hosts as the order has."""
    request: dict[str, Any] = {
        "ClientToken": given.client_token,
        "Amount": len(order.hosts),
        "MinAmount": 1,
        "InstanceType": order.offering.type,
        "VSwitchId": given.vswitch,
        "SecurityGroupIds": list(options.security_groups),
        "InstanceChargeType": "PostPaid",
        "InstanceName": name_of(order, options),
        "Tag": given.tags,
        **_image(options),
        **_spot(order, options),
        **_disks(options),
        **_address(options),
        **_entry(options, given, texts),
        **_others(options),
    }
    if order.offering.zone:
        request["ZoneId"] = order.offering.zone
    if texts.user_data:
        request["UserData"] = _user_data(texts.user_data, order.pool.name)
    if given.release_at is not None:
        request["AutoReleaseTime"] = release_text(given.release_at)
    return request


def release_at(now: datetime, horizon_s: float) -> datetime | None:
    """When a host whose broker is dead is deleted; None: never."""
    return now + max(timedelta(seconds=horizon_s), _LEAST_AHEAD) if horizon_s else None


def release_text(at: datetime) -> str:
    """As the API wants it."""
    return at.strftime("%Y-%m-%dT%H:%M:00Z")


def name_of(order: HostOrder, options: PoolOptions) -> str:
    """What people see in the console; 2 to 128 characters. Names of one call get numbers of the cloud's own."""
    said = {"pool": order.pool.name, "policy": order.policy, "controller": order.controller, "job": order.job}
    said["build"] = found[1] if (found := _BUILD.search(order.build_url)) else ""
    name = _FIELDS.sub(lambda match: said[match[1]], options.instance_name)
    name = re.sub(r"[^\w:.,\[\]-]", "-", name.replace("http", "htp")).strip("-")
    if not _START.match(name):
        name = f"{_PREFIX}-{name or order.pool.name}"
    suffix = "-[1,3]" if len(order.hosts) > 1 else ""
    return f"{name[: _LONGEST_NAME - 8].replace('[', '(').replace(']', ')')}{suffix}"


def _image(options: PoolOptions) -> Mapping[str, Any]:
    return {"ImageId": options.image_id} if options.image_id else {"ImageFamily": options.image_family}


def _spot(order: HostOrder, options: PoolOptions) -> Mapping[str, Any]:
    if order.offering.capacity != SPOT:
        return {"SpotStrategy": "NoSpot"}
    charge = options.charge
    found: dict[str, Any] = {"SpotStrategy": charge.spot_strategy}
    if charge.price_limit is not None and charge.spot_strategy == "SpotWithPriceLimit":
        found["SpotPriceLimit"] = round(charge.price_limit, 3)
    if charge.duration is not None:
        found["SpotDuration"] = charge.duration
    if charge.interruption:
        found["SpotInterruptionBehavior"] = charge.interruption
    return found


def _disks(options: PoolOptions) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    if options.system_disk is not None:
        found["SystemDisk"] = _disk(options.system_disk)
        if "Size" in found["SystemDisk"]:
            found["SystemDisk"]["Size"] = str(found["SystemDisk"]["Size"])  # a text, for this disk alone
    disks = [_data_disk(disk) for disk in options.data_disks for _ in range(disk.count)]
    return {**found, "DataDisk": disks} if disks else found


def _disk(disk: Disk) -> dict[str, Any]:
    said = {"Category": disk.category, "PerformanceLevel": disk.performance_level, "Size": disk.size}
    return {name: value for name, value in said.items() if value}


def _data_disk(disk: Disk) -> dict[str, Any]:
    snapshot = {"SnapshotId": disk.snapshot} if disk.snapshot else {}
    return {**_disk(disk), **snapshot, "DeleteWithInstance": disk.delete_with_instance}


def _address(options: PoolOptions) -> Mapping[str, Any]:
    """No public address is no bandwidth."""
    public = options.public_ip
    if public is None:
        return {"InternetMaxBandwidthOut": 0}
    found: dict[str, Any] = {"InternetMaxBandwidthOut": public.bandwidth_out, "InternetChargeType": public.charge}
    return {**found, "InternetMaxBandwidthIn": public.bandwidth_in} if public.bandwidth_in else found


def _entry(options: PoolOptions, given: Given, texts: Texts) -> Mapping[str, Any]:
    """Linux has a key pair, Windows a password; each ignores the other's."""
    if options.is_windows:
        return {"Password": texts.password} if texts.password else {"PasswordInherit": True}
    if given.key_pair:
        return {"KeyPairName": given.key_pair}
    return {"Password": texts.password} if texts.password else {}


def _others(options: PoolOptions) -> Mapping[str, Any]:
    said = {
        "HostName": options.host_name,
        "RamRoleName": options.vm_ram_role,
        "DeploymentSetId": options.deployment_set,
        "ResourceGroupId": options.resource_group,
        "HttpTokens": options.http_tokens,
    }
    return {name: value for name, value in said.items() if value}


def _user_data(text: str, pool: str) -> str:
    raw = text.encode()
    if len(raw) > _MOST_USER_DATA:
        message = f"pools.{pool}.user_data has {len(raw)} bytes; the API takes {_MOST_USER_DATA}"
        raise BackendRejected("UserDataTooLong", message, Reason.INVALID_TEMPLATE)
    return base64.b64encode(raw).decode()


def _read(path: str, key: str) -> str:
    if not path:
        return ""
    try:
        return Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        message = f"{key}: cannot read {path}: {why}"
        raise BackendRejected("FileUnreadable", message, Reason.INVALID_TEMPLATE) from error
