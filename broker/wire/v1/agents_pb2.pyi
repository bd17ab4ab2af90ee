import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Cause(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CAUSE_UNSPECIFIED: _ClassVar[Cause]
    CAUSE_QUEUE: _ClassVar[Cause]
    CAUSE_WARM: _ClassVar[Cause]
    CAUSE_MANUAL: _ClassVar[Cause]

class ReleaseCause(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RELEASE_CAUSE_UNSPECIFIED: _ClassVar[ReleaseCause]
    RELEASE_CAUSE_COMPLETED: _ClassVar[ReleaseCause]
    RELEASE_CAUSE_IDLE: _ClassVar[ReleaseCause]
    RELEASE_CAUSE_MAX_LIFETIME: _ClassVar[ReleaseCause]
    RELEASE_CAUSE_CANCELLED: _ClassVar[ReleaseCause]
CAUSE_UNSPECIFIED: Cause
CAUSE_QUEUE: Cause
CAUSE_WARM: Cause
CAUSE_MANUAL: Cause
RELEASE_CAUSE_UNSPECIFIED: ReleaseCause
RELEASE_CAUSE_COMPLETED: ReleaseCause
RELEASE_CAUSE_IDLE: ReleaseCause
RELEASE_CAUSE_MAX_LIFETIME: ReleaseCause
RELEASE_CAUSE_CANCELLED: ReleaseCause

class HandshakeRequest(_message.Message):
    __slots__ = ("api_version", "client_version", "controller_version", "controller_url", "boot_id", "instance_identity", "agent_host", "agent_port", "remoting_minimum_version")
    API_VERSION_FIELD_NUMBER: _ClassVar[int]
    CLIENT_VERSION_FIELD_NUMBER: _ClassVar[int]
    CONTROLLER_VERSION_FIELD_NUMBER: _ClassVar[int]
    CONTROLLER_URL_FIELD_NUMBER: _ClassVar[int]
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_IDENTITY_FIELD_NUMBER: _ClassVar[int]
    AGENT_HOST_FIELD_NUMBER: _ClassVar[int]
    AGENT_PORT_FIELD_NUMBER: _ClassVar[int]
    REMOTING_MINIMUM_VERSION_FIELD_NUMBER: _ClassVar[int]
    api_version: int
    client_version: str
    controller_version: str
    controller_url: str
    boot_id: str
    instance_identity: str
    agent_host: str
    agent_port: int
    remoting_minimum_version: str
    def __init__(self, api_version: _Optional[int] = ..., client_version: _Optional[str] = ..., controller_version: _Optional[str] = ..., controller_url: _Optional[str] = ..., boot_id: _Optional[str] = ..., instance_identity: _Optional[str] = ..., agent_host: _Optional[str] = ..., agent_port: _Optional[int] = ..., remoting_minimum_version: _Optional[str] = ...) -> None: ...

class HandshakeReply(_message.Message):
    __slots__ = ("api_version", "broker_version", "controller", "policies", "sync_interval", "gateway_url", "agent_page", "now")
    API_VERSION_FIELD_NUMBER: _ClassVar[int]
    BROKER_VERSION_FIELD_NUMBER: _ClassVar[int]
    CONTROLLER_FIELD_NUMBER: _ClassVar[int]
    POLICIES_FIELD_NUMBER: _ClassVar[int]
    SYNC_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    GATEWAY_URL_FIELD_NUMBER: _ClassVar[int]
    AGENT_PAGE_FIELD_NUMBER: _ClassVar[int]
    NOW_FIELD_NUMBER: _ClassVar[int]
    api_version: int
    broker_version: str
    controller: str
    policies: PolicySet
    sync_interval: _duration_pb2.Duration
    gateway_url: str
    agent_page: str
    now: _timestamp_pb2.Timestamp
    def __init__(self, api_version: _Optional[int] = ..., broker_version: _Optional[str] = ..., controller: _Optional[str] = ..., policies: _Optional[_Union[PolicySet, _Mapping]] = ..., sync_interval: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., gateway_url: _Optional[str] = ..., agent_page: _Optional[str] = ..., now: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class PolicySet(_message.Message):
    __slots__ = ("revision", "policies")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    POLICIES_FIELD_NUMBER: _ClassVar[int]
    revision: str
    policies: _containers.RepeatedCompositeFieldContainer[Policy]
    def __init__(self, revision: _Optional[str] = ..., policies: _Optional[_Iterable[_Union[Policy, _Mapping]]] = ...) -> None: ...

class Policy(_message.Message):
    __slots__ = ("name", "labels", "accept_unlabelled", "priority", "name_prefix", "executors", "remote_fs", "retention", "overrides", "per_job", "own_directory")
    NAME_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    ACCEPT_UNLABELLED_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    NAME_PREFIX_FIELD_NUMBER: _ClassVar[int]
    EXECUTORS_FIELD_NUMBER: _ClassVar[int]
    REMOTE_FS_FIELD_NUMBER: _ClassVar[int]
    RETENTION_FIELD_NUMBER: _ClassVar[int]
    OVERRIDES_FIELD_NUMBER: _ClassVar[int]
    PER_JOB_FIELD_NUMBER: _ClassVar[int]
    OWN_DIRECTORY_FIELD_NUMBER: _ClassVar[int]
    name: str
    labels: _containers.RepeatedScalarFieldContainer[str]
    accept_unlabelled: bool
    priority: int
    name_prefix: str
    executors: int
    remote_fs: str
    retention: Retention
    overrides: OverrideRules
    per_job: int
    own_directory: bool
    def __init__(self, name: _Optional[str] = ..., labels: _Optional[_Iterable[str]] = ..., accept_unlabelled: _Optional[bool] = ..., priority: _Optional[int] = ..., name_prefix: _Optional[str] = ..., executors: _Optional[int] = ..., remote_fs: _Optional[str] = ..., retention: _Optional[_Union[Retention, _Mapping]] = ..., overrides: _Optional[_Union[OverrideRules, _Mapping]] = ..., per_job: _Optional[int] = ..., own_directory: _Optional[bool] = ...) -> None: ...

class OverrideRules(_message.Message):
    __slots__ = ("allow",)
    ALLOW_FIELD_NUMBER: _ClassVar[int]
    allow: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, allow: _Optional[_Iterable[str]] = ...) -> None: ...

class Retention(_message.Message):
    __slots__ = ("max_uses", "idle_timeout", "max_lifetime")
    MAX_USES_FIELD_NUMBER: _ClassVar[int]
    IDLE_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    MAX_LIFETIME_FIELD_NUMBER: _ClassVar[int]
    max_uses: int
    idle_timeout: _duration_pb2.Duration
    max_lifetime: _duration_pb2.Duration
    def __init__(self, max_uses: _Optional[int] = ..., idle_timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., max_lifetime: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class RequestAgentsRequest(_message.Message):
    __slots__ = ("boot_id", "agents", "sent_at")
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    AGENTS_FIELD_NUMBER: _ClassVar[int]
    SENT_AT_FIELD_NUMBER: _ClassVar[int]
    boot_id: str
    agents: _containers.RepeatedCompositeFieldContainer[AgentRequest]
    sent_at: _timestamp_pb2.Timestamp
    def __init__(self, boot_id: _Optional[str] = ..., agents: _Optional[_Iterable[_Union[AgentRequest, _Mapping]]] = ..., sent_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class AgentRequest(_message.Message):
    __slots__ = ("name", "policy", "secret", "label_expression", "job", "build_url", "cause", "queued_at", "launch_id", "requested_by", "overrides")
    NAME_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    SECRET_FIELD_NUMBER: _ClassVar[int]
    LABEL_EXPRESSION_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    BUILD_URL_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    QUEUED_AT_FIELD_NUMBER: _ClassVar[int]
    LAUNCH_ID_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_BY_FIELD_NUMBER: _ClassVar[int]
    OVERRIDES_FIELD_NUMBER: _ClassVar[int]
    name: str
    policy: str
    secret: str
    label_expression: str
    job: str
    build_url: str
    cause: Cause
    queued_at: _timestamp_pb2.Timestamp
    launch_id: str
    requested_by: str
    overrides: Overrides
    def __init__(self, name: _Optional[str] = ..., policy: _Optional[str] = ..., secret: _Optional[str] = ..., label_expression: _Optional[str] = ..., job: _Optional[str] = ..., build_url: _Optional[str] = ..., cause: _Optional[_Union[Cause, str]] = ..., queued_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., launch_id: _Optional[str] = ..., requested_by: _Optional[str] = ..., overrides: _Optional[_Union[Overrides, _Mapping]] = ...) -> None: ...

class Overrides(_message.Message):
    __slots__ = ("image", "cpu", "memory")
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    CPU_FIELD_NUMBER: _ClassVar[int]
    MEMORY_FIELD_NUMBER: _ClassVar[int]
    image: str
    cpu: str
    memory: str
    def __init__(self, image: _Optional[str] = ..., cpu: _Optional[str] = ..., memory: _Optional[str] = ...) -> None: ...

class RequestAgentsReply(_message.Message):
    __slots__ = ("answers",)
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    answers: _containers.RepeatedCompositeFieldContainer[AgentAnswer]
    def __init__(self, answers: _Optional[_Iterable[_Union[AgentAnswer, _Mapping]]] = ...) -> None: ...

class AgentAnswer(_message.Message):
    __slots__ = ("name", "accepted", "reason", "message")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    name: str
    accepted: bool
    reason: str
    message: str
    def __init__(self, name: _Optional[str] = ..., accepted: _Optional[bool] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class ReleaseAgentsRequest(_message.Message):
    __slots__ = ("boot_id", "agents")
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    AGENTS_FIELD_NUMBER: _ClassVar[int]
    boot_id: str
    agents: _containers.RepeatedCompositeFieldContainer[AgentRelease]
    def __init__(self, boot_id: _Optional[str] = ..., agents: _Optional[_Iterable[_Union[AgentRelease, _Mapping]]] = ...) -> None: ...

class AgentRelease(_message.Message):
    __slots__ = ("name", "cause", "message", "uses")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    USES_FIELD_NUMBER: _ClassVar[int]
    name: str
    cause: ReleaseCause
    message: str
    uses: int
    def __init__(self, name: _Optional[str] = ..., cause: _Optional[_Union[ReleaseCause, str]] = ..., message: _Optional[str] = ..., uses: _Optional[int] = ...) -> None: ...

class ReleaseAgentsReply(_message.Message):
    __slots__ = ("unknown",)
    UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    unknown: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, unknown: _Optional[_Iterable[str]] = ...) -> None: ...

class SyncNodesRequest(_message.Message):
    __slots__ = ("boot_id", "nodes", "queue", "pending", "unmatched")
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    UNMATCHED_FIELD_NUMBER: _ClassVar[int]
    boot_id: str
    nodes: _containers.RepeatedCompositeFieldContainer[Node]
    queue: _containers.RepeatedCompositeFieldContainer[QueueDepth]
    pending: _containers.RepeatedScalarFieldContainer[str]
    unmatched: _containers.RepeatedCompositeFieldContainer[Unmatched]
    def __init__(self, boot_id: _Optional[str] = ..., nodes: _Optional[_Iterable[_Union[Node, _Mapping]]] = ..., queue: _Optional[_Iterable[_Union[QueueDepth, _Mapping]]] = ..., pending: _Optional[_Iterable[str]] = ..., unmatched: _Optional[_Iterable[_Union[Unmatched, _Mapping]]] = ...) -> None: ...

class Node(_message.Message):
    __slots__ = ("name", "online", "accepting", "busy", "uses", "current_build", "offline_cause")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ONLINE_FIELD_NUMBER: _ClassVar[int]
    ACCEPTING_FIELD_NUMBER: _ClassVar[int]
    BUSY_FIELD_NUMBER: _ClassVar[int]
    USES_FIELD_NUMBER: _ClassVar[int]
    CURRENT_BUILD_FIELD_NUMBER: _ClassVar[int]
    OFFLINE_CAUSE_FIELD_NUMBER: _ClassVar[int]
    name: str
    online: bool
    accepting: bool
    busy: bool
    uses: int
    current_build: str
    offline_cause: str
    def __init__(self, name: _Optional[str] = ..., online: _Optional[bool] = ..., accepting: _Optional[bool] = ..., busy: _Optional[bool] = ..., uses: _Optional[int] = ..., current_build: _Optional[str] = ..., offline_cause: _Optional[str] = ...) -> None: ...

class QueueDepth(_message.Message):
    __slots__ = ("policy", "label_expression", "length", "oldest_age")
    POLICY_FIELD_NUMBER: _ClassVar[int]
    LABEL_EXPRESSION_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    OLDEST_AGE_FIELD_NUMBER: _ClassVar[int]
    policy: str
    label_expression: str
    length: int
    oldest_age: _duration_pb2.Duration
    def __init__(self, policy: _Optional[str] = ..., label_expression: _Optional[str] = ..., length: _Optional[int] = ..., oldest_age: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class Unmatched(_message.Message):
    __slots__ = ("label_expression", "length", "oldest_age", "fresh")
    LABEL_EXPRESSION_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    OLDEST_AGE_FIELD_NUMBER: _ClassVar[int]
    FRESH_FIELD_NUMBER: _ClassVar[int]
    label_expression: str
    length: int
    oldest_age: _duration_pb2.Duration
    fresh: int
    def __init__(self, label_expression: _Optional[str] = ..., length: _Optional[int] = ..., oldest_age: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., fresh: _Optional[int] = ...) -> None: ...

class SyncNodesReply(_message.Message):
    __slots__ = ("agents", "unknown", "remove", "wanted", "policies_revision")
    AGENTS_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    REMOVE_FIELD_NUMBER: _ClassVar[int]
    WANTED_FIELD_NUMBER: _ClassVar[int]
    POLICIES_REVISION_FIELD_NUMBER: _ClassVar[int]
    agents: _containers.RepeatedCompositeFieldContainer[AgentState]
    unknown: _containers.RepeatedScalarFieldContainer[str]
    remove: _containers.RepeatedCompositeFieldContainer[NodeRemoval]
    wanted: _containers.RepeatedCompositeFieldContainer[Wanted]
    policies_revision: str
    def __init__(self, agents: _Optional[_Iterable[_Union[AgentState, _Mapping]]] = ..., unknown: _Optional[_Iterable[str]] = ..., remove: _Optional[_Iterable[_Union[NodeRemoval, _Mapping]]] = ..., wanted: _Optional[_Iterable[_Union[Wanted, _Mapping]]] = ..., policies_revision: _Optional[str] = ...) -> None: ...

class AgentState(_message.Message):
    __slots__ = ("name", "policy", "phase", "takes_builds", "uses", "why", "labels", "executors", "remote_fs", "retention", "requested_at", "waits_for_room", "keep_warm", "cause", "override_labels", "job")
    NAME_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    TAKES_BUILDS_FIELD_NUMBER: _ClassVar[int]
    USES_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    EXECUTORS_FIELD_NUMBER: _ClassVar[int]
    REMOTE_FS_FIELD_NUMBER: _ClassVar[int]
    RETENTION_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_AT_FIELD_NUMBER: _ClassVar[int]
    WAITS_FOR_ROOM_FIELD_NUMBER: _ClassVar[int]
    KEEP_WARM_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    OVERRIDE_LABELS_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    name: str
    policy: str
    phase: str
    takes_builds: bool
    uses: int
    why: str
    labels: _containers.RepeatedScalarFieldContainer[str]
    executors: int
    remote_fs: str
    retention: Retention
    requested_at: _timestamp_pb2.Timestamp
    waits_for_room: bool
    keep_warm: bool
    cause: Cause
    override_labels: _containers.RepeatedScalarFieldContainer[str]
    job: str
    def __init__(self, name: _Optional[str] = ..., policy: _Optional[str] = ..., phase: _Optional[str] = ..., takes_builds: _Optional[bool] = ..., uses: _Optional[int] = ..., why: _Optional[str] = ..., labels: _Optional[_Iterable[str]] = ..., executors: _Optional[int] = ..., remote_fs: _Optional[str] = ..., retention: _Optional[_Union[Retention, _Mapping]] = ..., requested_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., waits_for_room: _Optional[bool] = ..., keep_warm: _Optional[bool] = ..., cause: _Optional[_Union[Cause, str]] = ..., override_labels: _Optional[_Iterable[str]] = ..., job: _Optional[str] = ...) -> None: ...

class NodeRemoval(_message.Message):
    __slots__ = ("name", "reason", "message", "cancel_build")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    CANCEL_BUILD_FIELD_NUMBER: _ClassVar[int]
    name: str
    reason: str
    message: str
    cancel_build: bool
    def __init__(self, name: _Optional[str] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., cancel_build: _Optional[bool] = ...) -> None: ...

class Wanted(_message.Message):
    __slots__ = ("policy", "count", "cause", "launch_id")
    POLICY_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    LAUNCH_ID_FIELD_NUMBER: _ClassVar[int]
    policy: str
    count: int
    cause: Cause
    launch_id: str
    def __init__(self, policy: _Optional[str] = ..., count: _Optional[int] = ..., cause: _Optional[_Union[Cause, str]] = ..., launch_id: _Optional[str] = ...) -> None: ...

class WatchAgentsRequest(_message.Message):
    __slots__ = ("boot_id", "after")
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    boot_id: str
    after: int
    def __init__(self, boot_id: _Optional[str] = ..., after: _Optional[int] = ...) -> None: ...

class WatchAgentsReply(_message.Message):
    __slots__ = ("event", "resync", "heartbeat")
    EVENT_FIELD_NUMBER: _ClassVar[int]
    RESYNC_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    event: AgentEvent
    resync: Resync
    heartbeat: Heartbeat
    def __init__(self, event: _Optional[_Union[AgentEvent, _Mapping]] = ..., resync: _Optional[_Union[Resync, _Mapping]] = ..., heartbeat: _Optional[_Union[Heartbeat, _Mapping]] = ...) -> None: ...

class AgentEvent(_message.Message):
    __slots__ = ("number", "agent", "at", "event", "phase", "attempt", "pool", "reason", "message", "hint", "outcome", "attempts", "usual", "zone")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    AGENT_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    POOL_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    HINT_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    USUAL_FIELD_NUMBER: _ClassVar[int]
    ZONE_FIELD_NUMBER: _ClassVar[int]
    number: int
    agent: str
    at: _timestamp_pb2.Timestamp
    event: str
    phase: str
    attempt: int
    pool: str
    reason: str
    message: str
    hint: str
    outcome: str
    attempts: int
    usual: _duration_pb2.Duration
    zone: str
    def __init__(self, number: _Optional[int] = ..., agent: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., event: _Optional[str] = ..., phase: _Optional[str] = ..., attempt: _Optional[int] = ..., pool: _Optional[str] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., hint: _Optional[str] = ..., outcome: _Optional[str] = ..., attempts: _Optional[int] = ..., usual: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., zone: _Optional[str] = ...) -> None: ...

class Resync(_message.Message):
    __slots__ = ("newest",)
    NEWEST_FIELD_NUMBER: _ClassVar[int]
    newest: int
    def __init__(self, newest: _Optional[int] = ...) -> None: ...

class Heartbeat(_message.Message):
    __slots__ = ("number", "interval")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_FIELD_NUMBER: _ClassVar[int]
    number: int
    interval: _duration_pb2.Duration
    def __init__(self, number: _Optional[int] = ..., interval: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class DescribeFleetRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DescribeFleetReply(_message.Message):
    __slots__ = ("pools", "policies", "failures", "page_url")
    POOLS_FIELD_NUMBER: _ClassVar[int]
    POLICIES_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    PAGE_URL_FIELD_NUMBER: _ClassVar[int]
    pools: _containers.RepeatedCompositeFieldContainer[PoolState]
    policies: _containers.RepeatedCompositeFieldContainer[PolicyState]
    failures: _containers.RepeatedCompositeFieldContainer[Failure]
    page_url: str
    def __init__(self, pools: _Optional[_Iterable[_Union[PoolState, _Mapping]]] = ..., policies: _Optional[_Iterable[_Union[PolicyState, _Mapping]]] = ..., failures: _Optional[_Iterable[_Union[Failure, _Mapping]]] = ..., page_url: _Optional[str] = ...) -> None: ...

class PoolState(_message.Message):
    __slots__ = ("name", "backend", "agents", "agents_cap", "starting", "starting_cap", "state", "why", "until", "by")
    NAME_FIELD_NUMBER: _ClassVar[int]
    BACKEND_FIELD_NUMBER: _ClassVar[int]
    AGENTS_FIELD_NUMBER: _ClassVar[int]
    AGENTS_CAP_FIELD_NUMBER: _ClassVar[int]
    STARTING_FIELD_NUMBER: _ClassVar[int]
    STARTING_CAP_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    name: str
    backend: str
    agents: int
    agents_cap: int
    starting: int
    starting_cap: int
    state: str
    why: str
    until: _timestamp_pb2.Timestamp
    by: str
    def __init__(self, name: _Optional[str] = ..., backend: _Optional[str] = ..., agents: _Optional[int] = ..., agents_cap: _Optional[int] = ..., starting: _Optional[int] = ..., starting_cap: _Optional[int] = ..., state: _Optional[str] = ..., why: _Optional[str] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., by: _Optional[str] = ...) -> None: ...

class PolicyState(_message.Message):
    __slots__ = ("name", "labels", "pools", "agents", "agents_cap", "waiting", "warm", "warm_wanted", "remark", "budget")
    NAME_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    POOLS_FIELD_NUMBER: _ClassVar[int]
    AGENTS_FIELD_NUMBER: _ClassVar[int]
    AGENTS_CAP_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    WARM_FIELD_NUMBER: _ClassVar[int]
    WARM_WANTED_FIELD_NUMBER: _ClassVar[int]
    REMARK_FIELD_NUMBER: _ClassVar[int]
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    name: str
    labels: _containers.RepeatedScalarFieldContainer[str]
    pools: _containers.RepeatedScalarFieldContainer[str]
    agents: int
    agents_cap: int
    waiting: int
    warm: int
    warm_wanted: int
    remark: str
    budget: str
    def __init__(self, name: _Optional[str] = ..., labels: _Optional[_Iterable[str]] = ..., pools: _Optional[_Iterable[str]] = ..., agents: _Optional[int] = ..., agents_cap: _Optional[int] = ..., waiting: _Optional[int] = ..., warm: _Optional[int] = ..., warm_wanted: _Optional[int] = ..., remark: _Optional[str] = ..., budget: _Optional[str] = ...) -> None: ...

class Failure(_message.Message):
    __slots__ = ("at", "agent", "policy", "pool", "reason", "message", "hint")
    AT_FIELD_NUMBER: _ClassVar[int]
    AGENT_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    POOL_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    HINT_FIELD_NUMBER: _ClassVar[int]
    at: _timestamp_pb2.Timestamp
    agent: str
    policy: str
    pool: str
    reason: str
    message: str
    hint: str
    def __init__(self, at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., agent: _Optional[str] = ..., policy: _Optional[str] = ..., pool: _Optional[str] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., hint: _Optional[str] = ...) -> None: ...
