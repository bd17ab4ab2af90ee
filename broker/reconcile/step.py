"""Which file acts on an agent, by its phase."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from broker.domain.agent import Agent
from broker.domain.lifecycle import Phase
from broker.reconcile.connect import boot, connect
from broker.reconcile.context import Again, Context
from broker.reconcile.drain import drain, reconnect, stay_online
from broker.reconcile.launch import launch
from broker.reconcile.levers import heed_lever
from broker.reconcile.place import wait_for_place
from broker.reconcile.terminate import terminate

Step = Callable[[Context, Agent], Awaitable[Again | None]]


async def _rest(_ctx: Context, _agent: Agent) -> None:
    return None


STEPS: Final[Mapping[Phase, Step]] = {
    Phase.REQUESTED: wait_for_place,
    Phase.LAUNCHING: launch,
    Phase.BOOTING: boot,
    Phase.CONNECTING: connect,
    Phase.ONLINE: stay_online,
    Phase.RECONNECTING: reconnect,
    Phase.DRAINING: drain,
    Phase.TERMINATING: terminate,
    Phase.GONE: _rest,
}


async def step(ctx: Context, agent: Agent) -> Again | None:
    """One look at an agent: at most one change. Safe to repeat at any time."""
    if await heed_lever(ctx, agent):
        return None
    return await STEPS[agent.phase](ctx, agent)
