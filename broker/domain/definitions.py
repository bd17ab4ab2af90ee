"""What the config defines, as the core sees it: one immutable value, replaced whole by a reload."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from broker.domain.agent import Agent
from broker.domain.ids import BackendName, ControllerName, PolicyName, PoolName, TemplateName
from broker.domain.policy import AgentLimits, Policy, Retry, Timeouts
from broker.domain.pool import BackendDefinition, Pool
from broker.domain.template import Retention, Template


@dataclass(frozen=True, slots=True, kw_only=True)
class Controller:
    """A Jenkins that talks to this broker. `url` ends in a slash; a token is known by its SHA-256 in hex."""

    name: ControllerName
    url: str
    token_sha256: tuple[str, ...]
    limits: AgentLimits = field(default_factory=AgentLimits)


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

    def policies_of(self, controller: ControllerName) -> tuple[Policy, ...]:
        """The policies that a controller may use, the highest priority first, else in the order of the file."""
        allowed = (p for p in self.policies.values() if not p.controllers or controller in p.controllers)
        return tuple(sorted(allowed, key=lambda p: -p.priority))
