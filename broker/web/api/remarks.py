"""What of the broker's status is worth a look, each with the command that tells more."""

from collections.abc import Sequence
from typing import Final

from broker.domain.lengths import short
from broker.domain.lifecycle import Phase
from broker.views.snapshot import Snapshot
from broker.web.api import models_fleet as fleet

_ABSENT: Final = {"away": "is away", "never": "was not heard since the broker started"}


def warnings(
    pools: Sequence[fleet.Pool], controllers: Sequence[fleet.Controller], snapshot: Snapshot
) -> list[fleet.Warning]:
    """Pools that take no agents, controllers that are not there, policies whose agents wait."""
    found = [
        fleet.Warning(message=_of_pool(p), command=f"agentbroker explain pool {p.id}")
        for p in pools
        if p.state != "ready"
    ]
    found += [
        fleet.Warning(message=f"controller {c.id} {_ABSENT[c.link]}", command="agentbroker get controllers")
        for c in controllers
        if c.link in _ABSENT
    ]
    found += [
        fleet.Warning(message=f"controller {c.id}: {c.remark}", command="agentbroker get controllers")
        for c in controllers
        if c.remark
    ]
    held = {a.policy: a for a in reversed(snapshot.agents) if a.phase is Phase.REQUESTED and a.why is not None}
    for policy, agent in held.items():
        message = f"policy {policy}: agents wait for {short(snapshot.now - agent.requested_at)}: {agent.why}"
        found.append(fleet.Warning(message=message, command=f"agentbroker explain policy {policy}"))
    return found


def _of_pool(pool: fleet.Pool) -> str:
    if pool.lever is not None:
        return f"pool {pool.id} is {pool.message}"
    return f"pool {pool.id} is in {pool.state}: {pool.reason}"
