"""What the config defines, as the core sees it: one immutable value, replaced whole by a reload."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from fnmatch import fnmatchcase

from broker.domain.agent import Agent
from broker.domain.ids import BackendName, ControllerName, PolicyName, PoolName, TemplateName
from broker.domain.lifecycle import Outcome
from broker.domain.operators import Operator
from broker.domain.overrides import NO_OVERRIDE, applied, refusal
from broker.domain.policy import AgentLimits, OnTimeout, Policy, Retry, Timeouts
from broker.domain.pool import BackendDefinition, Pool
from broker.domain.reason import Reason
from broker.domain.template import Retention, Template


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """So many in a time, such as 20 a second."""

    count: float
    per: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Controller:
    """A Jenkins that talks to this broker. `url` ends in a slash; a token is known by its SHA-256 in hex."""

    name: ControllerName
    url: str
    token_sha256: tuple[str, ...]
    limits: AgentLimits = field(default_factory=AgentLimits)
    labels: tuple[str, ...] | None = None
    """Patterns (`*`, `?`) of the labels that it may use; None is without bound."""
    rate: Rate | None = None
    """How many agents it may ask for; None is without bound."""
    path: str = ""
    """The path prefix of its agents at the gateway; empty is the default one."""
    agents_by_tcp: bool = False
    """Whether the gateway reaches it on its TCP port for agents, else over WebSocket."""
    instance_identity: str = ""
    """The identity that its TCP port must show, in base64; empty: the one that it tells itself."""
    agent_address: tuple[str, int] | None = None
    """Host and port of its TCP port for agents; None: where it says itself."""
    ca_file: str = ""
    """PEM file of certificates that its https certificate is checked against, beside the system's own."""

    @property
    def gateway_path(self) -> str:
        """What its agents' URLs begin with at the gateway: begins and ends with a slash."""
        return self.path or default_path(self.name)

    def labels_of(self, policy: Policy) -> tuple[str, ...]:
        """The labels of a policy that this controller may use."""
        if self.labels is None:
            return policy.labels
        return tuple(label for label in policy.labels if any(fnmatchcase(label, known) for known in self.labels))

    def may_use(self, policy: Policy) -> bool:
        """Whether it may use a policy: one for all or for it by name, and with a label that it may use."""
        named = not policy.controllers or self.name in policy.controllers
        return named and (self.labels is None or bool(self.labels_of(policy)))


def default_path(controller: str) -> str:
    """The path prefix at the gateway of a controller that the config gives none."""
    return f"/c/{controller}/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Definitions:
    """Everything by name. Names that one part uses of another are known to exist: the config loader checked them."""

    revision: str
    controllers: Mapping[ControllerName, Controller]
    backends: Mapping[BackendName, BackendDefinition]
    templates: Mapping[TemplateName, Template]
    pools: Mapping[PoolName, Pool]
    policies: Mapping[PolicyName, Policy]
    limits: AgentLimits = field(default_factory=AgentLimits)
    currency: str = ""
    """The name of the base currency, in which all money is; empty: it has none."""
    operators: tuple[Operator, ...] = ()
    """Without any, the operators' API answers this machine alone."""

    def timeouts_of(self, policy: PolicyName) -> Timeouts:
        """The timeouts of a policy; the defaults if it is no longer configured."""
        found = self.policies.get(policy)
        return found.timeouts if found else Timeouts()

    def retry_of(self, policy: PolicyName) -> Retry:
        """The retry rule of a policy; the default if it is no longer configured."""
        found = self.policies.get(policy)
        return found.retry if found else Retry()

    def retention_of(self, policy: PolicyName) -> Retention:
        """How long agents of a policy are kept; the default if it is no longer configured."""
        found = self.policies.get(policy)
        return self.templates[found.template].retention if found else Retention()

    def used_up(self, agent: Agent) -> bool:
        """Whether an agent has begun as many builds as it may."""
        return 0 < self.retention_of(agent.policy).max_uses <= agent.uses

    def gives_up_build(self, agent: Agent) -> bool:
        """Whether the build that waits for an agent which has ended waits no longer (`timeouts.on_timeout: fail`).

        So it is when no place was found in time, and when the agent failed and its build has waited for
        `timeouts.queue` by then, for this agent and those before: else a build whose agents all fail would be given
        new ones for ever.
        """
        times = self.timeouts_of(agent.policy)
        failed = agent.outcome is Outcome.FAILED and not agent.was_online and agent.why is not Reason.NO_MATCHING_POLICY
        if times.on_timeout is not OnTimeout.FAIL or agent.cause != "queue" or not failed:
            return False
        waited = agent.phase_since - (agent.waits_since or agent.requested_at)
        return agent.why is Reason.QUEUE_TIMEOUT or waited >= times.queue

    def policies_of(self, controller: ControllerName) -> tuple[Policy, ...]:
        """The policies that a controller may use, the highest priority first, else in the order of the file.

        Each carries only the labels that this controller may use: no build of it can be matched by another one.
        """
        who = self._controller(controller)
        allowed = (replace(p, labels=who.labels_of(p)) for p in self.policies.values() if who.may_use(p))
        return tuple(sorted(allowed, key=lambda p: -p.priority))

    def template_of(self, agent: Agent) -> Template:
        """What an agent of a configured policy is: its policy's template with what its build asks for itself."""
        return applied(self.templates[self.policies[agent.policy].template], agent.overrides)

    def forbids(self, agent: Agent) -> str:
        """Why its policy does not allow what an agent's build asks for itself, in words; empty if it does."""
        policy = self.policies.get(agent.policy)
        if policy is None or agent.overrides == NO_OVERRIDE:
            return ""
        refused = refusal(agent.overrides, policy.overrides, self.templates[policy.template], policy.name)
        return refused[1] if refused else ""

    def labels_of(self, controller: ControllerName, policy: PolicyName) -> tuple[str, ...]:
        """The labels that an agent of a policy has at a controller; none if the policy is no longer configured."""
        found = self.policies.get(policy)
        return self._controller(controller).labels_of(found) if found else ()

    @property
    def tcp_controllers(self) -> dict[str, str]:
        """The controllers that the gateway reaches on their TCP port, with their identities."""
        return {str(c.name): c.instance_identity for c in self.controllers.values() if c.agents_by_tcp}

    def gateway_path(self, controller: ControllerName) -> str:
        """What the URLs of a controller's agents begin with at the gateway, also of one no longer configured."""
        return self._controller(controller).gateway_path

    def _controller(self, name: ControllerName) -> Controller:
        """A controller; one that is no longer configured has the defaults."""
        return self.controllers.get(name) or Controller(name=name, url="", token_sha256=())
