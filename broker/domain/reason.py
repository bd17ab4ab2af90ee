"""The closed list of reasons: a metric label, an API value, a doc row and a line in the build's log.

`REASONS` says of every code what it means, who can put it right, and what to do next. `docs/reference/reasons.md` is
made from it (`make docs`). A new code is a line in the enum and a row in the table; tests fail until both are there
and something in the broker says it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Reason(StrEnum):
    """Why an agent waits, failed or ended."""

    NO_MATCHING_POLICY = "NoMatchingPolicy"
    INVALID_REQUEST = "InvalidRequest"
    NAME_TAKEN = "NameTaken"
    OVERRIDE_FORBIDDEN = "OverrideForbidden"
    POOL_AT_LIMIT = "PoolAtLimit"
    POLICY_AT_LIMIT = "PolicyAtLimit"
    CONTROLLER_AT_LIMIT = "ControllerAtLimit"
    BROKER_AT_LIMIT = "BrokerAtLimit"
    JOB_AT_LIMIT = "JobAtLimit"
    BUDGET_EXCEEDED = "BudgetExceeded"
    POOL_PAUSED = "PoolPaused"
    POOL_DRAINING = "PoolDraining"
    MAX_SKEW = "MaxSkew"
    POOL_COOLING_DOWN = "PoolCoolingDown"
    INSUFFICIENT_CAPACITY = "InsufficientCapacity"
    SPOT_UNAVAILABLE = "SpotUnavailable"
    SPOT_INTERRUPTED = "SpotInterrupted"
    QUOTA_EXCEEDED = "QuotaExceeded"
    THROTTLED = "Throttled"
    ACCESS_DENIED = "AccessDenied"
    CREDENTIALS_INVALID = "CredentialsInvalid"
    INVALID_TEMPLATE = "InvalidTemplate"
    NETWORK_UNAVAILABLE = "NetworkUnavailable"
    IMAGE_PULL_FAILED = "ImagePullFailed"
    SECRETS_UNAVAILABLE = "SecretsUnavailable"
    CONTAINER_EXITED = "ContainerExited"
    BOOT_TIMEOUT = "BootTimeout"
    SSH_UNREACHABLE = "SshUnreachable"
    SSH_AUTH_FAILED = "SshAuthFailed"
    SSH_HOST_KEY_MISMATCH = "SshHostKeyMismatch"
    SETUP_FAILED = "SetupFailed"
    CONNECT_TIMEOUT = "ConnectTimeout"
    HANDSHAKE_REJECTED = "HandshakeRejected"
    CONTROLLER_UNREACHABLE = "ControllerUnreachable"
    OUTSIDE_HOURS = "OutsideHours"
    QUEUE_TIMEOUT = "QueueTimeout"
    LAUNCH_TIMEOUT = "LaunchTimeout"
    RECONNECT_TIMEOUT = "ReconnectTimeout"
    DRAIN_TIMEOUT = "DrainTimeout"
    INSTANCE_VANISHED = "InstanceVanished"
    HOST_VANISHED = "HostVanished"
    NOT_AN_INBOUND_AGENT = "NotAnInboundAgent"
    BACKEND_ERROR = "BackendError"
    ONLINE = "Online"
    AGENT_LOST = "AgentLost"
    IDLE_TIMEOUT = "IdleTimeout"
    MAX_LIFETIME = "MaxLifetime"
    COMPLETED = "Completed"
    CANCELLED = "Cancelled"
    SUPERSEDED = "Superseded"


LACKS: Final = frozenset({Reason.INSUFFICIENT_CAPACITY, Reason.SPOT_UNAVAILABLE, Reason.QUOTA_EXCEEDED})
"""There is no more here now: somewhere else there may be, at once. It says nothing against the agent."""


class Fixer(StrEnum):
    """Who can put it right: who wrote the build, who runs the broker or the cloud; or time does, and one waits."""

    DEV = "dev"
    ADMIN = "admin"
    WAIT = "wait"


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What is said of one reason wherever it is shown."""

    meaning: str
    """One sentence: what has happened."""
    fix_by: tuple[Fixer, ...] = ()
    """The likeliest first; empty where nothing is broken."""
    hint: str
    """One sentence: the next thing to do."""


_DEV: Final = (Fixer.DEV,)
_ADMIN: Final = (Fixer.ADMIN,)
_WAIT: Final = (Fixer.WAIT,)
_DEV_OR_ADMIN: Final = (Fixer.DEV, Fixer.ADMIN)
_WAIT_OR_ADMIN: Final = (Fixer.WAIT, Fixer.ADMIN)
_ADMIN_OR_WAIT: Final = (Fixer.ADMIN, Fixer.WAIT)

REASONS: Final[Mapping[Reason, About]] = MappingProxyType(
    {
        Reason.NO_MATCHING_POLICY: About(
            meaning="No policy that this controller may use carries all the labels that the build asks for.",
            fix_by=_DEV_OR_ADMIN,
            hint="Use labels of one policy, or add a policy that carries them all.",
        ),
        Reason.INVALID_REQUEST: About(
            meaning="The controller asked for an agent with a name, secret or label that the broker does not accept.",
            fix_by=_ADMIN,
            hint="Run `agentbroker init jenkins` again, so that the files in Jenkins are those of this broker.",
        ),
        Reason.NAME_TAKEN: About(
            meaning="Another agent has had this name; names are never used twice.",
            fix_by=_WAIT,
            hint="Wait: Jenkins asks again under a new name.",
        ),
        Reason.OVERRIDE_FORBIDDEN: About(
            meaning="The build asks for an image, vCPU or memory that its policy does not let it choose.",
            fix_by=_DEV_OR_ADMIN,
            hint="Ask for what the policy's `overrides` allow, or have them changed.",
        ),
        Reason.POOL_AT_LIMIT: About(
            meaning="The pool has as many agents, starting agents, vCPU or memory as its limits allow.",
            fix_by=_WAIT_OR_ADMIN,
            hint="Wait until an agent ends, or raise the pool's `limits`.",
        ),
        Reason.POLICY_AT_LIMIT: About(
            meaning="The policy has as many agents, or starting agents, as its limits allow.",
            fix_by=_WAIT_OR_ADMIN,
            hint="Wait until an agent ends, or raise the policy's `limits`.",
        ),
        Reason.CONTROLLER_AT_LIMIT: About(
            meaning="The controller has as many agents, or starting agents, as its limits allow.",
            fix_by=_WAIT_OR_ADMIN,
            hint="Wait until an agent ends, or raise the controller's `limits`.",
        ),
        Reason.BROKER_AT_LIMIT: About(
            meaning="The whole broker has as many agents, or starting agents, as its limits allow.",
            fix_by=_WAIT_OR_ADMIN,
            hint="Wait until an agent ends, or raise the broker's own `limits`.",
        ),
        Reason.JOB_AT_LIMIT: About(
            meaning="The job has as many agents as one job may have.",
            fix_by=_WAIT_OR_ADMIN,
            hint="Wait until one of the job's builds ends, or raise the limit for a job.",
        ),
        Reason.BUDGET_EXCEEDED: About(
            meaning="The money for this period is spent.",
            fix_by=_ADMIN_OR_WAIT,
            hint="Raise the budget, or wait for the next period.",
        ),
        Reason.POOL_PAUSED: About(
            meaning="Somebody has paused the pool: it takes no new agents.",
            fix_by=_ADMIN_OR_WAIT,
            hint="Resume the pool when the cause that was noted with the pause is settled.",
        ),
        Reason.POOL_DRAINING: About(
            meaning="The pool is being emptied: it takes no new agents and its running builds end.",
            fix_by=_ADMIN_OR_WAIT,
            hint="Resume the pool, or let another pool serve the policy.",
        ),
        Reason.MAX_SKEW: About(
            meaning="Another zone, type, pool or host of the policy has too few of its agents for one more here.",
            fix_by=_WAIT_OR_ADMIN,
            hint="Wait until there is room where the policy has the fewest agents, or raise its `spread.max_skew`.",
        ),
        Reason.POOL_COOLING_DOWN: About(
            meaning="Launches in the pool kept failing, so it rests before it is tried again.",
            fix_by=_WAIT_OR_ADMIN,
            hint="Put right what its last launches failed of; it is tried again by itself.",
        ),
        Reason.INSUFFICIENT_CAPACITY: About(
            meaning="There is no room for the agent where it should run.",
            fix_by=_WAIT,
            hint="Wait, or add another pool, zone or size to the policy.",
        ),
        Reason.SPOT_UNAVAILABLE: About(
            meaning="There is no spot capacity at this price now.",
            fix_by=_WAIT,
            hint="Wait, or add a pool without spot to the policy.",
        ),
        Reason.SPOT_INTERRUPTED: About(
            meaning="The cloud took a spot instance back.",
            fix_by=_WAIT,
            hint="Run the build again; a build that may not be cut belongs into a pool without spot.",
        ),
        Reason.QUOTA_EXCEEDED: About(
            meaning="A quota of the cloud account is used up.",
            fix_by=_ADMIN,
            hint="Ask the cloud for a higher quota, or lower the pool's `limits` to it.",
        ),
        Reason.THROTTLED: About(
            meaning="The backend takes no more calls now, or cannot be asked yet.",
            fix_by=_ADMIN_OR_WAIT,
            hint="Wait, as calls are repeated; if it stays, look for other users of the same account.",
        ),
        Reason.ACCESS_DENIED: About(
            meaning="The broker's identity may not do what was asked.",
            fix_by=_ADMIN,
            hint="Grant the permission that the message names to the broker's role.",
        ),
        Reason.CREDENTIALS_INVALID: About(
            meaning="The broker's credentials are missing, wrong or out of date.",
            fix_by=_ADMIN,
            hint="Renew the credentials of the backend.",
        ),
        Reason.INVALID_TEMPLATE: About(
            meaning="The backend cannot run what the template describes.",
            fix_by=_ADMIN,
            hint="Change the template as the message says.",
        ),
        Reason.NETWORK_UNAVAILABLE: About(
            meaning="The agent cannot be given a network address, or the network that the pool names is not there.",
            fix_by=_ADMIN,
            hint="Check the pool's network: free addresses, names, and what it is attached to.",
        ),
        Reason.IMAGE_PULL_FAILED: About(
            meaning="The image could not be fetched.",
            fix_by=_DEV_OR_ADMIN,
            hint="Check the image's name and tag, and that the backend may read its registry.",
        ),
        Reason.SECRETS_UNAVAILABLE: About(
            meaning="A secret that the agent needs could not be read where it starts.",
            fix_by=_ADMIN,
            hint="Check that the secret exists and that the role of the agent may read it.",
        ),
        Reason.CONTAINER_EXITED: About(
            meaning="The agent's process or container ended before its work was done.",
            fix_by=_DEV_OR_ADMIN,
            hint="Read its exit code and last lines; 137 is mostly out of memory: raise the template's `memory`.",
        ),
        Reason.BOOT_TIMEOUT: About(
            meaning="The instance was made and did not run within `timeouts.boot`.",
            fix_by=_ADMIN,
            hint="Look at the instance where it was made, or raise `timeouts.boot`.",
        ),
        Reason.SSH_UNREACHABLE: About(
            meaning="The host does not answer on its SSH port.",
            fix_by=_ADMIN,
            hint="Check that the host runs and that the broker may reach its SSH port.",
        ),
        Reason.SSH_AUTH_FAILED: About(
            meaning="The host refuses the broker's SSH key or user.",
            fix_by=_ADMIN,
            hint="Check the user and that the broker's public key is on the host.",
        ),
        Reason.SSH_HOST_KEY_MISMATCH: About(
            meaning="The host shows another SSH key than the one that is known.",
            fix_by=_ADMIN,
            hint="Find out why the host's key has changed before you accept the new one.",
        ),
        Reason.SETUP_FAILED: About(
            meaning="The agent could not be prepared where it should run.",
            fix_by=_ADMIN,
            hint="Put right what the message names: a program, a path, a file or a URL.",
        ),
        Reason.CONNECT_TIMEOUT: About(
            meaning="The agent runs, but did not reach the gateway within `timeouts.connect`.",
            fix_by=_ADMIN,
            hint="Run `agentbroker doctor --gateway` where the agent runs: it says what does not reach the gateway.",
        ),
        Reason.HANDSHAKE_REJECTED: About(
            meaning="The gateway or the controller refused the agent's connection.",
            fix_by=_ADMIN,
            hint="Read the message: a secret, a name, an attempt or the versions of agent and Jenkins do not fit.",
        ),
        Reason.CONTROLLER_UNREACHABLE: About(
            meaning="The controller could not be reached, or did not take the agent that was forwarded to it.",
            fix_by=_ADMIN,
            hint="Check that the controller runs, and that `controllers.….url` is right as seen from the broker.",
        ),
        Reason.OUTSIDE_HOURS: About(
            meaning="The pool does not serve this policy at this hour.",
            fix_by=_WAIT,
            hint="Wait for its hours, or add a pool without them.",
        ),
        Reason.QUEUE_TIMEOUT: About(
            meaning="No pool had room for the agent within `timeouts.queue`.",
            fix_by=_ADMIN,
            hint="Read the last why-not of each pool in the message; raise its limits or add a pool.",
        ),
        Reason.LAUNCH_TIMEOUT: About(
            meaning="The backend did not say within `timeouts.launch` whether it had made an instance.",
            fix_by=_ADMIN,
            hint="Check that the broker reaches the backend, or raise `timeouts.launch`.",
        ),
        Reason.RECONNECT_TIMEOUT: About(
            meaning="The agent lost its connection and did not come back within `timeouts.reconnect`.",
            fix_by=_ADMIN,
            hint="Look at the network between agent and gateway, or raise `timeouts.reconnect`.",
        ),
        Reason.DRAIN_TIMEOUT: About(
            meaning="The agent's last build did not end within `timeouts.drain`.",
            fix_by=_ADMIN,
            hint="Give the job a time limit, or raise `timeouts.drain`.",
        ),
        Reason.INSTANCE_VANISHED: About(
            meaning="The agent's instance is no longer there, and the broker did not end it.",
            fix_by=_ADMIN,
            hint="Find out who or what ended it: the cloud's own log of calls tells.",
        ),
        Reason.HOST_VANISHED: About(
            meaning="The host of the agent is no longer there, and the broker did not end it.",
            fix_by=_ADMIN,
            hint="Find out who or what ended it: the cloud's own log of calls tells.",
        ),
        Reason.NOT_AN_INBOUND_AGENT: About(
            meaning="What the image runs does not speak to the gateway as an inbound agent does.",
            fix_by=_DEV,
            hint="Use an image that starts an inbound agent, with `-webSocket` where there is no `gateway.tcp`.",
        ),
        Reason.BACKEND_ERROR: About(
            meaning="The backend refused, in words that the broker has no code for.",
            fix_by=_ADMIN,
            hint="Read the backend's own words in the message.",
        ),
        Reason.ONLINE: About(
            meaning="The agent came online.",
            hint="Nothing to do.",
        ),
        Reason.AGENT_LOST: About(
            meaning="The process or container of an agent that was online has ended.",
            fix_by=_DEV_OR_ADMIN,
            hint="Read its exit code and last lines, and run the build again.",
        ),
        Reason.IDLE_TIMEOUT: About(
            meaning="The agent had no build for the template's `retention.idle_timeout`.",
            hint="Nothing to do; raise `retention.idle_timeout` to keep agents longer.",
        ),
        Reason.MAX_LIFETIME: About(
            meaning="The agent was older than the template's `retention.max_lifetime`.",
            hint="Nothing to do; a build that was cut needs a higher `retention.max_lifetime`.",
        ),
        Reason.COMPLETED: About(
            meaning="The agent has done its builds, or Jenkins has no more use for it.",
            hint="Nothing to do.",
        ),
        Reason.CANCELLED: About(
            meaning="Nobody wants the agent any more: its build was aborted, or somebody ended it.",
            hint="Nothing to do.",
        ),
        Reason.SUPERSEDED: About(
            meaning="Something took its place: a pool before this one, or a config that no longer has its policy.",
            hint="Nothing to do.",
        ),
    }
)


def who_can_fix(reason: Reason) -> tuple[Fixer, ...]:
    """The likeliest first; empty where nothing is broken."""
    return REASONS[reason].fix_by


def hint(reason: Reason) -> str:
    """One sentence: the next thing to do."""
    return REASONS[reason].hint
