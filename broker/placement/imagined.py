"""Agents that nobody asks for: of whom it is decided where they would go."""

from datetime import datetime

from broker.domain.agent import Agent
from broker.domain.ids import AgentId, AgentName, ControllerName, PolicyName
from broker.domain.lifecycle import Goal, Phase
from broker.domain.overrides import NO_OVERRIDE, Override


def imagined(
    name: str,
    policy: PolicyName,
    controller: ControllerName,
    since: datetime,
    *,
    job: str = "",
    overrides: Override = NO_OVERRIDE,
) -> Agent:
    """One that waits for a place since then; its name is its id. It is for a decision alone: no row, no secret."""
    return Agent(
        id=AgentId(name),
        controller=controller,
        name=AgentName(name),
        policy=policy,
        label_expression="",
        job=job,
        build_url="",
        cause="queue",
        sealed_secret=b"",
        phase=Phase.REQUESTED,
        goal=Goal.ONLINE,
        version=1,
        requested_at=since,
        phase_since=since,
        not_before=since,
        overrides=overrides,
    )
