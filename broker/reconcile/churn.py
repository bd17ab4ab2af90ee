"""Agents whose connections end as soon as they have begun."""

from typing import Final

from broker.domain.agent import Agent
from broker.domain.reason import Reason
from broker.reconcile.context import Context

CONNECTIONS: Final = 5
"""As many as there were: `broker.gateway.churn` gives an agent up after the fifth."""


def why_churned(ctx: Context, agent: Agent) -> tuple[Reason, str] | None:
    """Why the agent is given up, with what Jenkins says of its node; None while it need not be.

    Another attempt would start the same agent again, so it is the agent that ends. A busy one never does: its build may
    go on once the connection holds, and it has the time that a lost connection has. Nor does one that is connected:
    that connection may hold, and Jenkins may just have given it a build.
    """
    words = ctx.sessions.churned(agent.id)
    if not words or agent.busy or ctx.connected(agent):
        return None
    node = ctx.presence.node(agent.controller, agent.id)
    cause = node.offline_cause if node is not None else ""
    return Reason.HANDSHAKE_REJECTED, f"{words}; Jenkins says: {cause}" if cause else words
