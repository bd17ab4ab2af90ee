"""What an agent takes of each limit."""

from broker.domain.agent import Agent
from broker.domain.definitions import Definitions
from broker.domain.limits import Claim, Scope
from broker.domain.policy import AgentLimits, Policy
from broker.domain.pool import Pool


def shared_claims(agent: Agent, policy: Policy, definitions: Definitions) -> tuple[Claim, ...]:
    """What an agent takes wherever it runs: of the broker's, its controller's and its policy's limits."""
    controller = definitions.controllers.get(agent.controller)
    return (
        *_agent_claims(Scope.BROKER_AGENTS, Scope.BROKER_PENDING, "", definitions.limits),
        *_agent_claims(
            Scope.CONTROLLER_AGENTS,
            Scope.CONTROLLER_PENDING,
            agent.controller,
            controller.limits if controller else AgentLimits(),
        ),
        *_agent_claims(Scope.POLICY_AGENTS, Scope.POLICY_PENDING, policy.name, policy.limits),
    )


def pool_claims(policy: Policy, pool: Pool, definitions: Definitions) -> tuple[Claim, ...]:
    """What an agent of a policy takes of a pool's limits."""
    size = definitions.templates[policy.template].resources
    amounts = (
        (Scope.POOL_AGENTS, 1, pool.limits.agents),
        (Scope.POOL_PENDING, 1, pool.limits.pending),
        (Scope.POOL_CPU_MILLI, size.cpu_milli, pool.limits.cpu_milli),
        (Scope.POOL_MEMORY_MIB, size.memory_mib, pool.limits.memory_mib),
    )
    return tuple(Claim(scope=s, key=pool.name, amount=amount, cap=cap) for s, amount, cap in amounts if amount)


def _agent_claims(agents: Scope, pending: Scope, key: str, limits: AgentLimits) -> tuple[Claim, Claim]:
    return (
        Claim(scope=agents, key=key, amount=1, cap=limits.agents),
        Claim(scope=pending, key=key, amount=1, cap=limits.pending),
    )
