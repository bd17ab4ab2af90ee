"""Keys that people try: the names of the Jenkins plugin for Amazon ECS, and what the broker does not do at all."""

from collections.abc import Mapping, Sequence
from typing import Final

from broker.config.base import known_keys
from broker.config.model_ecs_task import EcsModel

_PAGE: Final = "see docs/how-to/amazon-ecs.md"
_NO_GROUPS: Final = (
    f"the broker does not manage auto-scaling groups: make a capacity provider with managed scaling of the group, and "
    f"name it as 'capacity_provider' of a pool; {_PAGE}"
)
_NO_LISTS: Final = f"file systems are not looked up: name them in 'ecs.volumes'; {_PAGE}"
_CREDENTIALS: Final = "use the SDK's default chain, 'profile', 'assume_role_arn' or 'access_key_id_file'"
INSTEAD: Final[Mapping[str, str]] = {
    "autoscalinggroup": _NO_GROUPS,
    "autoscalinggroups": _NO_GROUPS,
    "autoscalinggroupname": _NO_GROUPS,
    "autoscalinggrouparn": _NO_GROUPS,
    "autoscalinggroupprovider": _NO_GROUPS,
    "asg": _NO_GROUPS,
    "managedscaling": _NO_GROUPS,
    "efsfilesystem": _NO_LISTS,
    "efsfilesystems": _NO_LISTS,
    "efsfilesystemlist": _NO_LISTS,
    "credentialsid": _CREDENTIALS,
    "credentials": _CREDENTIALS,
    "assumedrolearn": "write 'assume_role_arn'",
    "regionname": "write 'region'",
    "allowedoverrides": "a policy says what builds may choose: 'overrides.allow'",
    "maxcpu": "a policy says how much builds may choose: 'overrides.max_cpu'",
    "maxmemory": "a policy says how much builds may choose: 'overrides.max_memory'",
    "maxmemoryreservation": "a policy says how much builds may choose: 'overrides.max_memory'",
    "maxagents": "write 'limits: { agents: ... }' of a pool, a policy or a controller",
    "tunnel": "agents dial the gateway; with 'connect: direct' write 'direct.tunnel' of a pool",
    "jenkinsurl": "agents dial the gateway; with 'connect: direct' write 'direct.url' of a pool",
    "numexecutors": "write 'executors'",
    "slavetimeoutinseconds": "a policy has a timeout for each phase: 'timeouts'",
    "retainagents": "write 'retention: { max_uses: 0 }' of a template",
    "retentiontimeout": "write 'retention: { idle_timeout: ... }' of a template",
    "taskpollingintervalinseconds": "write 'poll_interval' of the backend",
    "label": "labels are of policies",
    "labels": "labels are of policies",
    "templatename": "a template is called by its key; its family is '<family_prefix>-<template>'",
    "taskdefinitionoverride": "write 'task_definition'",
    "agentcontainername": "write 'agent_container'",
    "launchtype": "write 'launch_type' of a pool",
    "operatingsystemfamily": "write 'ecs: { runtime_platform: { operating_system_family: ... } }'",
    "cpuarchitecture": "write 'ecs: { runtime_platform: { cpu_architecture: ... } }'",
    "defaultcapacityprovider": "leave out capacity_provider, capacity_provider_strategy and launch_type of the pool",
    "capacityproviderstrategies": "write 'capacity_provider_strategy' of a pool",
    "assignpublicip": "write 'assign_public_ip' of a pool",
    "remotefsroot": "write 'remote_fs'",
    "uniqueremotefsroot": "write 'unique_remote_fs'",
    "platformversion": "write 'platform_version' of a pool",
    "ephemeralstoragesizeingib": "write 'ecs: { ephemeral_storage: { size_in_gib: ... } }'",
    "sharedmemorysize": "write 'ecs: { linux_parameters: { shared_memory_size: ... } }'",
    "kernelcapabilities": "write 'ecs: { linux_parameters: { capabilities: { add: [...] } } }'",
    "jvmargs": "write 'env: { JENKINS_JAVA_OPTS: ... }'",
    "taskrole": "write 'task_role_arn' of a pool, or 'ecs.task_role_arn' of a template",
    "executionrole": "write 'execution_role_arn' of a pool, or 'ecs.execution_role_arn' of a template",
    "containeruser": "write 'user'",
    "logdriver": "write 'ecs: { log_configuration: { log_driver: ... } }'",
    "logdriveroptions": "write 'ecs: { log_configuration: { options: ... } }'",
    "environments": "write 'env'",
    "efsmountpoints": "write 'ecs.volumes' with an 'efs_volume_configuration', and 'ecs.mount_points'",
    "placementstrategies": "write 'placement_strategy' of a pool",
}
"""Key without its case and underscores → what to do. Where the key is known, nobody asks here."""
_NOUNS: Final = frozenset({"backends", "pools", "templates"})


def instead_of(key: str, path: Sequence[str | int]) -> str:
    """What to write for an unknown key of a map at `path`; empty if nothing is known of it."""
    if len(path) != 2 or path[0] not in _NOUNS:
        return ""
    bare = key.replace("_", "").replace("-", "").lower()
    if bare in INSTEAD:
        return INSTEAD[bare]
    below = {name.replace("_", ""): name for name in known_keys(EcsModel)}
    return f"write it below 'ecs': 'ecs: {{ {below[bare]}: ... }}'" if path[0] == "templates" and bare in below else ""
