"""All that operators may change: each change is one transaction with its event, which says who did it, from where."""

from dataclasses import dataclass, replace

from broker.domain.agent import Agent
from broker.domain.hand_launch import HandLaunch
from broker.domain.ids import PoolName
from broker.domain.lifecycle import Goal, Outcome, Phase
from broker.domain.limits import Lever, LeverKind
from broker.domain.reason import Reason
from broker.errors import BrokerError, Conflict, NotFound
from broker.reconcile.context import Context
from broker.store.hand_launches import HandLaunches
from broker.store.levers import Levers
from broker.store.search import Search
from broker.telemetry import events

LONGEST_REASON = 500
"""Characters of the reason that an operator gives."""


class LaunchTaken(BrokerError):
    """Another launch has this id already."""


class AgentBusy(BrokerError):
    """The agent runs a build, and nobody said that it may be cut."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: the owner of the token, or this machine's user where no tokens are configured."""

    name: str
    peer: str

    def __str__(self) -> str:
        """As the history keeps it, such as `ana@10.0.0.7`."""
        return f"{self.name}@{self.peer}"[:128]


class Operations:
    """What the operators' API does to the broker."""

    def __init__(self, ctx: Context) -> None:
        """Works on the same context as the reconciler."""
        self._ctx = ctx

    async def terminate(self, name: str, actor: Actor, reason: str, *, force: bool) -> Agent:
        """Ends an agent, also one that still waits; returns it as it then is. A repeat changes nothing.

        An online agent is drained first, unless `force`d: Jenkins may have given it a build that nobody has told of
        yet. Raises `NotFound`, and `AgentBusy` for one that runs a build unless `force`d: that build is cut.
        """
        return await self._end(name, actor, reason, "ended", force=force, may_be_busy=force)

    async def drain(self, name: str, actor: Actor, reason: str) -> Agent:
        """Lets an agent take no new build, and end; returns it as it then is. A repeat changes nothing.

        A running build ends first; for that it has `timeouts.drain` of its policy. One that never was online ends at
        once. Raises `NotFound`.
        """
        return await self._end(name, actor, reason, "drained", force=False, may_be_busy=True)

    async def _end(self, name: str, actor: Actor, reason: str, deed: str, *, force: bool, may_be_busy: bool) -> Agent:
        while True:
            agent = await Search(self._ctx.database).named(name)
            if agent is None:
                raise NotFound(f"no agent is called {name}")
            if agent.phase is Phase.GONE or agent.goal is Goal.GONE:
                return agent
            if agent.busy and not may_be_busy:
                raise AgentBusy(f"agent {name} runs a build")
            outcome = Outcome.SUCCEEDED if agent.was_online else Outcome.CANCELLED
            goal = Goal.DRAINED if agent.was_online and not force else Goal.GONE
            try:
                message = f"{deed} by {actor.name}{_told(agent, goal, reason)}"
                return await self._ctx.aim(agent, goal, outcome, Reason.CANCELLED, message, str(actor))
            except Conflict:
                continue  # it has changed meanwhile: it may be busy now

    async def pull(self, lever: Lever, actor: Actor) -> None:
        """Puts a lever in force: from now on the pool takes no new agent. It takes the place of one that is there.

        With `DRAIN`, agents of the pool that were online take no new build and end, those that never were end at once.
        """
        ctx, drains = self._ctx, lever.kind is LeverKind.DRAIN
        what = "is being emptied" if drains else "is paused"
        until = f" until {lever.until:%Y-%m-%d %H:%M:%S} UTC" if lever.until else ""
        message = f"pool {lever.pool} {what}{until}" + (f": {lever.reason}" if lever.reason else "")
        await Levers(ctx.database).put(lever, "draining_pool" if drains else "paused", message, str(actor))
        ctx.levers = {**ctx.levers, lever.pool: lever}
        told = {"pool": lever.pool, "actor": actor.name, "reason": lever.reason, "until": until.removeprefix(" until ")}
        (events.POOL_DRAINING if drains else events.POOL_PAUSED).emit(**told)
        if drains:
            await self._look_at_agents_of(lever.pool)

    async def resume(self, pool: PoolName, actor: Actor, reason: str) -> bool:
        """Ends the lever of a pool; False if it has none. Agents that drain already go on to their end."""
        ctx = self._ctx
        lever = ctx.levers.get(pool)
        if lever is None:
            return False
        message = f"pool {pool} is used again" + (f": {reason[:LONGEST_REASON]}" if reason else "")
        await Levers(ctx.database).end(lever, message, str(actor), ctx.clock.now())
        if ctx.levers.get(pool) == lever:
            ctx.levers = {name: one for name, one in ctx.levers.items() if name != pool}
        events.POOL_RESUMED.emit(pool=pool, actor=actor.name)
        ctx.nudge.placement()
        return True

    async def _look_at_agents_of(self, pool: PoolName) -> None:
        for agent in await self._ctx.agents.live():
            if agent.pool == pool:
                self._ctx.nudge.agent(agent.id)

    async def launch(self, launch: HandLaunch) -> HandLaunch:
        """Keeps a launch by hand, for its controller to name and ask for; returns it as it is kept.

        A repeat, known by the id, changes nothing. Raises `LaunchTaken` for an id that was given to another launch.
        """
        kept = await HandLaunches(self._ctx.database).add(launch)
        same = replace(launch, actor=kept.actor, created_at=kept.created_at, expires_at=kept.expires_at)
        if same != kept:
            what = f"{kept.count} of policy {kept.policy} at {kept.controller}"
            raise LaunchTaken(f"launch {launch.id} is another one: {what}")
        return kept


def _told(agent: Agent, goal: Goal, reason: str) -> str:
    why = f": {reason[:LONGEST_REASON]}" if reason else ""
    before = f"{agent.phase}{', busy' if agent.busy else ''}"
    return f"{why} (goal {agent.goal} -> {goal}; it was {before})"
