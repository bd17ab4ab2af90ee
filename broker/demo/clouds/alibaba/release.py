"""How instances are stopped, started, deleted and changed."""

from collections.abc import Mapping, Sequence
from typing import Any

from broker.demo.clouds.alibaba import errors, formats, life, order
from broker.demo.clouds.alibaba.instances import Instance, Status
from broker.demo.clouds.alibaba.region import Region
from broker.demo.clouds.model import ApiError, Call, Parameters


def found(region: Region, instance_id: str) -> Instance:
    """An instance that is there and not deleted; raises ApiError."""
    instance = region.instances.get(instance_id)
    if instance is None or instance.ending:
        raise errors.no_instance()
    return instance


def delete_instance(region: Region, call: Call) -> Parameters:
    """One. Without Force it must be Stopped."""
    _delete(region, [call.parameters["InstanceId"]], call.parameters)
    return {}


def delete_instances(region: Region, call: Call) -> Parameters:
    """Up to a hundred; all of them or none."""
    now, said = region.settle(), call.parameters
    if (again := region.tokens.answer("DeleteInstances", said, now)) is not None:
        return again
    if len(said["InstanceId"]) > 100:
        raise ApiError("InvalidParameter", 'The specified parameter "InstanceId" has more than 100 items.')
    _delete(region, said["InstanceId"], said)
    return region.tokens.keep("DeleteInstances", said, now, {})


def _delete(region: Region, ids: Sequence[str], said: Mapping[str, Any]) -> None:
    now = region.settle()
    instances = [found(region, one) for one in dict.fromkeys(ids)]
    for one in instances:
        _check_deletable(one, force=said.get("Force", False))
    if said.get("DryRun"):
        raise errors.dry_run()
    for one in instances:
        life.release(region, one, now)
    region.settle()


def _check_deletable(instance: Instance, *, force: bool) -> None:
    if instance.protected:
        message = "The operation is not allowed due to deletion protection."
        raise ApiError("InvalidOperation.DeletionProtection", message, 403)
    if instance.status is Status.PENDING:
        message = "The specified instance status does not support this operation."
        raise ApiError("IncorrectInstanceStatus.Initializing", message, 403)
    if instance.status is not Status.STOPPED and not force:
        raise errors.wrong_status()


def stop_instance(region: Region, call: Call) -> Parameters:
    """One that is Running."""
    region.settle()
    said = call.parameters
    instance = found(region, said["InstanceId"])
    formats.check_choice("StoppedMode", said.get("StoppedMode"), "StopCharging KeepCharging")
    if instance.status is not Status.RUNNING:
        raise errors.wrong_status()
    if said.get("DryRun"):
        raise errors.dry_run()
    mode = said.get("StoppedMode", "KeepCharging")
    life.stop(region, instance, force=said.get("ForceStop", False), mode=mode)
    return {}


def start_instance(region: Region, call: Call) -> Parameters:
    """One that is Stopped."""
    region.settle()
    instance = found(region, call.parameters["InstanceId"])
    if instance.status is not Status.STOPPED:
        raise errors.wrong_status()
    if call.parameters.get("DryRun"):
        raise errors.dry_run()
    life.start(region, instance)
    return {}


def modify_attribute(region: Region, call: Call) -> Parameters:
    """Its name, description, protection and groups."""
    region.settle()
    said = call.parameters
    instance = found(region, said["InstanceId"])
    if "InstanceName" in said and not formats.is_name(said["InstanceName"]):
        raise errors.invalid("InstanceName", "InvalidInstanceName.Malformed")
    if "Description" in said and not formats.is_description(said["Description"]):
        raise errors.invalid("Description", "InvalidDescription.Malformed")
    groups = said.get("SecurityGroupIds", instance.groups)
    for one in groups:
        if one not in region.networks.groups:
            message = "The specified SecurityGroupId does not exist."
            raise ApiError("InvalidSecurityGroupId.NotFound", message, 404)
        if region.networks.groups[one].vpc != instance.vpc:
            message = "Specified security group and virtual switch are not in the same VPC."
            raise ApiError("InvalidParameter.Mismatch", message)
    instance.groups = list(groups)
    instance.name = said.get("InstanceName", instance.name)
    instance.description = said.get("Description", instance.description)
    instance.protected = said.get("DeletionProtection", instance.protected)
    return {}


def modify_auto_release_time(region: Region, call: Call) -> Parameters:
    """When it is released by itself; without a time never."""
    now = region.settle()
    said = call.parameters
    instance = found(region, said["InstanceId"])
    life.release_at(region, instance, order.release_time(said.get("AutoReleaseTime"), now))
    return {}


def tag_resources(region: Region, call: Call) -> Parameters:
    """Tags of instances, disks, key pairs and security groups; all of them or none."""
    region.settle()
    said = call.parameters
    if len(said["ResourceId"]) > 50:
        raise ApiError("NumberExceed.ResourceIds", "The ResourceIds parameter's number is exceed , Valid : 50")
    kinds: Mapping[str, Mapping[str, Any]] = {
        "instance": {one.id: one for one in region.instances.values() if not one.ending},
        "disk": region.disks,
        "keypair": region.key_pairs,
        "securitygroup": region.networks.groups,
    }
    if said["ResourceType"] not in kinds:
        message = "The ResourceType provided does not exist in our records."
        raise ApiError("InvalidResourceType.NotFound", message, 404)
    known = kinds[said["ResourceType"]]
    if any(one not in known for one in said["ResourceId"]):
        raise ApiError("InvalidResourceId.NotFound", "The specified ResourceIds are not found in our records.", 404)
    fresh = formats.tags(said["Tag"])
    if any(len({**known[one].tags, **fresh}) > formats.MOST_TAGS for one in said["ResourceId"]):
        message = "The quota of tags on resource is beyond permitted range."
        raise ApiError("OperationDenied.QuotaExceed", message)
    for one in said["ResourceId"]:
        known[one].tags.update(fresh)
    return {}
