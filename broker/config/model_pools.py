"""The nouns `backends`, `templates` and `pools`.

A model has the keys of all backends; `BACKEND_KEYS` and `POOL_KEYS` say which belong to which type.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from broker.config.agent_port import InstanceIdentity, Tunnel
from broker.config.base import AtLeastOne, Cap, Count, Cpu, Model, Money, Text, Url
from broker.config.model_alibaba import (
    ALIBABA_BACKEND_KEYS,
    ALIBABA_POOL_KEYS,
    AlibabaBackendKeys,
    AlibabaPoolKeys,
)
from broker.config.model_ecs import ECS_BACKEND_KEYS, ECS_POOL_KEYS, EcsBackendKeys, EcsPoolKeys, EcsTemplateKeys
from broker.config.model_ecs_types import SecurityGroup, User
from broker.config.model_hosts import HOST_KEYS, HostPoolKeys
from broker.config.mounts import EngineSocket, MountText, Network
from broker.config.units import Duration, Rate, Size, SomeTime

BackendType = Literal["aws-ecs", "alibaba-ecs", "process", "container", "ssh-hosts"]

COMMON_POOL_KEYS: Final = frozenset(
    {"backend", "inherit_from", "abstract", "connect", "direct", "limits", "cost", "cooldown"}
)
CURRENCY: Final = r"[A-Za-z][A-Za-z0-9_-]{0,15}"
POOL_KEYS: Final[Mapping[str, frozenset[str]]] = {
    "process": frozenset({"java", "agent_jar", "command"}),
    "container": frozenset({"command", "network", "pids", "pull", "init_process", "cap_add"}),
    "aws-ecs": ECS_POOL_KEYS,
    "alibaba-ecs": ALIBABA_POOL_KEYS,
    "ssh-hosts": HOST_KEYS | {"hosts"},
}
HOST_PATHS: Final[tuple[tuple[str, str], ...]] = (("limits", "hosts"), ("limits", "min_hosts"), ("cost", "host_hour"))
"""Keys within a pool's maps that are of hosts."""
WITH_HOSTS: Final = frozenset({"alibaba-ecs", "ssh-hosts"})
"""Types whose pools make their hosts, or know them: what is said of a number of hosts is theirs."""
HOSTLESS: Final = frozenset({"process", "container"})
"""Types whose pools have none: agents are on one machine, which is there anyway."""
LAUNCH_TYPES_WITH_HOSTS: Final = frozenset({"EC2", "EXTERNAL"})
"""Of pools on ECS: the cluster's instances are known, so that agents bear their part of what one costs."""
BACKEND_KEYS: Final[Mapping[str, frozenset[str]]] = {
    "process": frozenset(),
    "container": frozenset({"socket"}),
    "aws-ecs": ECS_BACKEND_KEYS,
    "alibaba-ecs": ALIBABA_BACKEND_KEYS,
    "ssh-hosts": frozenset(),
}


class _BackendKeys(Model):
    """What several types have, and containers."""

    noun: ClassVar[str] = "a backend"
    type: BackendType = Field(description="What makes and unmakes the instances.")
    socket: EngineSocket | None = Field(
        default=None,
        description="unix:///PATH or tcp://HOST:PORT of the engine; default: DOCKER_HOST; container.",
        examples=["unix:///run/podman/podman.sock"],
    )
    region: Text | None = Field(default=None, description="Region of the cloud.", examples=["eu-west-1"])
    api_rate: Rate | None = Field(default=None, description="Most calls to the cloud.")
    access_key_id: Text | None = Field(
        default=None,
        description="Better access_key_id_file; aws-ecs, alibaba-ecs.",
        examples=["${ALI_KEY_ID}"],
    )
    access_key_id_file: Text | None = Field(
        default=None,
        description="File that holds the id of the key; aws-ecs, alibaba-ecs.",
        examples=["/run/secrets/ali_key_id"],
    )


class BackendModel(EcsBackendKeys, AlibabaBackendKeys, _BackendKeys):
    """One account and region with its credentials, or this machine."""


class RetentionModel(Model):
    """How long an agent is kept."""

    max_uses: Count = Field(default=1, description="Builds that an agent may run; 0 is without limit.")
    idle_timeout: Duration = Field(default=timedelta(minutes=2), description="Idle time after which it ends.")
    max_lifetime: SomeTime = Field(
        default=timedelta(hours=6),
        description="Age at which it ends, busy or not; in its last tenth it takes no new build.",
    )


class _TemplateKeys(Model):
    """What agents everywhere have, and containers."""

    noun: ClassVar[str] = "a template"
    inherit_from: Text | None = Field(default=None, description="Template whose keys it takes over.", examples=["base"])
    abstract: bool = Field(default=False, description="Whether it is there only to inherit from.")
    image: Text | None = Field(
        default=None,
        description="Container image; none runs on the host itself.",
        examples=["jenkins/inbound-agent:jdk21"],
    )
    cpu: Cpu | None = Field(default=None, description="vCPU; on ECS 1 = 1024 units.")
    memory: Size | None = Field(default=None, description="Memory.")
    executors: Annotated[int, Field(ge=1, le=1000)] = Field(default=1, description="Builds at once.")
    remote_fs: Text | None = Field(
        default=None,
        description="Directory on the agent; default: the backend's choice.",
        examples=["/home/jenkins/agent"],
    )
    retention: RetentionModel = Field(default=RetentionModel(), description="How long an agent is kept.")
    unique_remote_fs: bool = Field(
        default=False, description="Whether each agent has a directory of its own in remote_fs, called as it is."
    )
    user: User = Field(
        default=None, description="Who the agent is in its container; default: the image's.", examples=["jenkins"]
    )
    read_only: bool = Field(default=False, description="Whether the image's files cannot be changed.")
    mounts: list[MountText] = Field(
        default=[], description="SOURCE:TARGET or SOURCE:TARGET:ro; container.", examples=[["/var/cache/maven:/m2:ro"]]
    )
    inject: Literal["env", "args", "legacy", "script"] = Field(
        default="env", description="How name and secret are passed; script is for images without an agent."
    )
    env: dict[str, str] = Field(default={}, description="Environment variables of the agent.", examples=[{"TZ": "UTC"}])
    tags: dict[str, str] = Field(
        default={},
        description="Tags on what the cloud bills, labels of a container; AGENTBROKER_TAGS (JSON) of a process.",
        examples=[{"team": "build"}],
    )


class TemplateModel(EcsTemplateKeys, _TemplateKeys):
    """What an agent is."""


class PoolLimitsModel(Model):
    """Caps of a pool."""

    agents: Cap | None = Field(default=None, description="Most agents at once, in whatever phase.")
    pending: Cap | None = Field(default=None, description="Most agents at once that are launched and not yet online.")
    cpu: Cpu | None = Field(default=None, description="Most vCPU of all agents together.")
    memory: Size | None = Field(default=None, description="Most memory of all agents together.")
    hosts: Cap | None = Field(default=None, description="Most hosts.")
    min_hosts: Count | None = Field(default=None, description="Hosts that are kept even if nothing runs.")


class Cost(Model):
    """Prices."""

    cpu_hour: Money | None = Field(default=None, description="Price of a vCPU for an hour.")
    memory_gib_hour: Money | None = Field(default=None, description="Price of a GiB of memory for an hour.")
    host_hour: Money | None = Field(default=None, description="Price of a host for an hour; an agent bears its part.")
    currency: Text | None = Field(
        default=None, description="A key of currencies; default: the base currency.", examples=["USD"]
    )


class CooldownModel(Model):
    """The breaker: a pool that keeps failing is left alone for a time."""

    after_failures: AtLeastOne = Field(default=5, description="So many failures ...")
    within: SomeTime = Field(default=timedelta(minutes=2), description="... within this time ...")
    rest: SomeTime = Field(default=timedelta(minutes=5), alias="for", description="... rest the pool for this long.")


class DirectModel(Model):
    """What agents are given that connect to Jenkins itself."""

    url: Url | None = Field(
        default=None,
        description="URL of Jenkins for them; default: the controller's.",
        examples=["https://ci.example.com/"],
    )
    tunnel: Tunnel | None = Field(
        default=None,
        description="HOST:PORT of the agent port as they reach it; of HOST: or :PORT the rest is as Jenkins says.",
        examples=["ci.example.com:50000"],
    )
    websocket: bool = Field(default=False, description="Whether they use WebSocket.")
    instance_identity: InstanceIdentity | None = Field(
        default=None,
        description="The controller's identity, base64: they dial tunnel and ask no URL.",
        examples=["MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A"],
    )


class _PoolKeys(Model):
    """What all pools have, and those of processes and containers."""

    noun: ClassVar[str] = "a pool"
    inherit_from: Text | None = Field(default=None, description="Pool whose keys it takes over.", examples=["fargate"])
    abstract: bool = Field(default=False, description="Whether it is there only to inherit from.")
    backend: Text = Field(description="Backend that runs it; 'process' needs no definition.", examples=["aws"])
    connect: Literal["gateway", "direct"] = Field(default="gateway", description="What agents dial.")
    direct: DirectModel | None = Field(default=None, description="What agents are given with connect direct.")
    limits: PoolLimitsModel = Field(default=PoolLimitsModel(), description="Caps.")
    cost: Cost | None = Field(default=None, description="Prices.")
    cooldown: CooldownModel = Field(default=CooldownModel(), description="The breaker.")
    java: Text | None = Field(
        default=None, description="The java program; default: the one on the PATH; process.", examples=["/usr/bin/java"]
    )
    agent_jar: Text | None = Field(
        default=None,
        description="The agent's jar; default: the controller's own; process.",
        examples=["/opt/agent.jar"],
    )
    command: Annotated[list[Text], Field(min_length=1)] | None = Field(
        default=None,
        description="Program and first arguments in place of java -jar agent.jar; process, container.",
        examples=[["java", "-jar", "agent.jar"]],
    )
    network: Network | None = Field(
        default=None, description="host, bridge or a network's name; default: the engine's; container."
    )
    pids: AtLeastOne = Field(default=4096, description="Most processes and threads of an agent; container.")
    pull: Literal["if-missing", "always", "never"] = Field(default="if-missing", description="Image; container.")
    init_process: bool = Field(default=True, description="Whether a small init reaps zombies; container.")
    cap_add: list[Text] = Field(
        default=[], description="Capabilities to keep; all others are dropped; container.", examples=[["NET_RAW"]]
    )
    security_groups: list[SecurityGroup] | None = Field(
        default=None, description="Security groups; aws-ecs, alibaba-ecs.", examples=[["sg-0agents"]]
    )


class PoolModel(EcsPoolKeys, AlibabaPoolKeys, HostPoolKeys, _PoolKeys):
    """Where agents may run."""
