"""The actions of ECS: what answers each, which parameters it needs, and which others it takes."""

from collections.abc import Callable
from typing import Final

from broker.demo.clouds.alibaba import (
    commands,
    commands_told,
    describe,
    disks,
    groups,
    keys,
    launch,
    listings,
    offers,
    release,
)
from broker.demo.clouds.alibaba.region import Region
from broker.demo.clouds.model import Call, Parameters

Answer = Callable[[Region, Call], Parameters]
_NUMBERED: Final = " PageNumber PageSize"
_PAGED: Final = " PageNumber PageSize NextToken MaxResults"
_RULE: Final = " IpProtocol PortRange SourceCidrIp SourceGroupId DestCidrIp Policy Priority NicType"
_RUN: Final = " ClientToken InstanceId Parameters RepeatMode Tag Timeout Username WorkingDir"
_END: Final = " DryRun Force ForceStop TerminateSubscription"

TABLE: Final[dict[str, tuple[Answer, str, str]]] = {
    "RunInstances": (launch.run_instances, "RegionId", launch.TAKES),
    "DescribeInstances": (describe.describe_instances, "RegionId", describe.TAKES),
    "DescribeInstanceStatus": (describe.describe_instance_status, "RegionId", "InstanceId ZoneId" + _NUMBERED),
    "DeleteInstance": (release.delete_instance, "InstanceId", _END),
    "DeleteInstances": (release.delete_instances, "RegionId InstanceId", "ClientToken" + _END),
    "StopInstance": (release.stop_instance, "InstanceId", "ForceStop StoppedMode ConfirmStop DryRun"),
    "StartInstance": (release.start_instance, "InstanceId", "DryRun"),
    "ModifyInstanceAttribute": (
        release.modify_attribute,
        "InstanceId",
        "InstanceName Description DeletionProtection SecurityGroupIds",
    ),
    "ModifyInstanceAutoReleaseTime": (release.modify_auto_release_time, "InstanceId", "AutoReleaseTime"),
    "TagResources": (release.tag_resources, "RegionId ResourceType ResourceId Tag", ""),
    "ImportKeyPair": (keys.import_key_pair, "RegionId KeyPairName PublicKeyBody", "Tag ResourceGroupId"),
    "DescribeKeyPairs": (
        keys.describe_key_pairs,
        "RegionId",
        "KeyPairName KeyPairFingerPrint IncludePublicKey Tag" + _NUMBERED,
    ),
    "DeleteKeyPairs": (keys.delete_key_pairs, "RegionId KeyPairNames", ""),
    "CreateSecurityGroup": (
        groups.create,
        "RegionId",
        "ClientToken Description ResourceGroupId SecurityGroupName SecurityGroupType Tag VpcId",
    ),
    "AuthorizeSecurityGroup": (
        groups.authorize,
        "RegionId SecurityGroupId",
        "ClientToken Description Permissions" + _RULE,
    ),
    "RevokeSecurityGroup": (groups.revoke, "RegionId SecurityGroupId SecurityGroupRuleId", ""),
    "DescribeSecurityGroups": (
        groups.describe,
        "RegionId",
        "FuzzyQuery IsQueryEcsCount NetworkType SecurityGroupId SecurityGroupIds SecurityGroupName SecurityGroupType"
        " Tag VpcId" + _PAGED,
    ),
    "DescribeSecurityGroupAttribute": (
        groups.describe_attribute,
        "RegionId SecurityGroupId",
        "Direction NicType NextToken MaxResults",
    ),
    "DeleteSecurityGroup": (groups.delete, "RegionId SecurityGroupId", ""),
    "DescribeRegions": (offers.describe_regions, "", "AcceptLanguage InstanceChargeType ResourceType"),
    "DescribeZones": (offers.describe_zones, "RegionId", "AcceptLanguage InstanceChargeType SpotStrategy Verbose"),
    "DescribeAvailableResource": (
        offers.describe_available,
        "RegionId DestinationResource",
        "Cores InstanceChargeType InstanceType IoOptimized Memory NetworkCategory ResourceType SpotDuration"
        " SpotStrategy SystemDiskCategory ZoneId",
    ),
    "DescribeSpotPriceHistory": (
        offers.describe_spot_prices,
        "RegionId NetworkType InstanceType",
        "EndTime IoOptimized OSType Offset SpotDuration StartTime ZoneId",
    ),
    "DescribeInstanceTypes": (
        listings.describe_types,
        "",
        "CpuArchitecture InstanceTypeFamily InstanceTypes MaxResults MaximumCpuCoreCount MaximumGPUAmount"
        " MaximumMemorySize MinimumCpuCoreCount MinimumGPUAmount MinimumMemorySize NextToken",
    ),
    "DescribeImages": (
        listings.describe_images,
        "RegionId",
        "Architecture ImageFamily ImageId ImageName ImageOwnerAlias InstanceType IsSupportCloudinit"
        " IsSupportIoOptimized OSType Status Tag" + _NUMBERED,
    ),
    "DescribeImageFromFamily": (listings.describe_image_from_family, "RegionId ImageFamily", ""),
    "AttachDisk": (disks.attach, "InstanceId DiskId", "DeleteWithInstance Device"),
    "DescribeDisks": (disks.describe, "RegionId", "Category DiskIds DiskType InstanceId Status Tag ZoneId" + _PAGED),
    "GetInstanceConsoleOutput": (disks.console_output, "RegionId InstanceId", ""),
    "CreateCommand": (
        commands.create_command,
        "RegionId Type CommandContent",
        "ClientToken ContentEncoding Description EnableParameter Name Timeout WorkingDir",
    ),
    "RunCommand": (
        commands.run_command,
        "RegionId Type CommandContent",
        "ContentEncoding Description EnableParameter KeepCommand Name" + _RUN,
    ),
    "InvokeCommand": (commands.invoke_command, "RegionId CommandId", _RUN),
    "StopInvocation": (commands.stop_invocation, "RegionId InvokeId", "InstanceId"),
    "DescribeCloudAssistantStatus": (commands.describe_status, "RegionId", "InstanceId OSType" + _PAGED),
    "DescribeInvocations": (
        commands_told.describe_invocations,
        "RegionId",
        "CommandId CommandName CommandType ContentEncoding IncludeOutput InstanceId InvokeId InvokeStatus" + _PAGED,
    ),
    "DescribeInvocationResults": (
        commands_told.describe_results,
        "RegionId",
        "CommandId ContentEncoding IncludeHistory InstanceId InvokeId InvokeRecordStatus" + _PAGED,
    ),
}
