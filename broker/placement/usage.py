"""What an agent takes of each limit."""

from hashlib import sha256

from broker.domain.agent import Agent
from broker.domain.definitions import Definitions
from broker.domain.ids import ControllerName
from broker.domain.limits import Claim, Scope
from broker.domain.policy import AgentLimits, Policy
from broker.domain.pool import Pool
from broker.domain.resources import Resources

_KEY_LENGTH = 24


def shared_claims(agent: Agent, policy: Policy, definitions: Definitions) -> tuple[Claim, ...]:
    """What an agent takes wherever it runs: of the broker's, its controller's, its policy's and its job's limits."""
    controller = definitions.controllers.get(agent.controller)
    claims = (
        *_agent_claims(Scope.BROKER_AGENTS, Scope.BROKER_PENDING, "", definitions.limits),
        *_agent_claims(
            Scope.CONTROLLER_AGENTS,
            Scope.CONTROLLER_PENDING,
            agent.controller,
            controller.limits if controller else AgentLimits(),
        ),
        *_agent_claims(Scope.POLICY_AGENTS, Scope.POLICY_PENDING, policy.name, policy.limits),
    )
    if policy.per_job is None or not agent.job:
        return claims
    key, most = f"{policy.name}|{job_key(agent.controller, agent.job)}", policy.per_job
    said = f"job {agent.job} is at its limit ({most} agents of policy {policy.name})"
    return (*claims, Claim(scope=Scope.JOB_AGENTS, key=key, amount=1, cap=most, words=said))


def job_key(controller: ControllerName, job: str) -> str:
    """A short key of a job that no other has, whatever its name holds."""
    return sha256(f"{controller}\0{job}".encode()).hexdigest()[:_KEY_LENGTH]


def pool_claims(size: Resources, pool: Pool) -> tuple[Claim, ...]:
    """What an agent of a size takes of a pool's limits."""
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
