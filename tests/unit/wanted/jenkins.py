"""A controller that answers wishes, over a network that loses, repeats and delays what the test says."""

import secrets
from dataclasses import replace

from broker.domain.agent import Agent
from broker.domain.asked import Asked
from broker.domain.hand_launch import Wish
from broker.domain.ids import AgentName, BootId, ControllerName, PolicyName
from broker.domain.lifecycle import Outcome, Phase
from broker.domain.reason import Reason
from broker.intake import Release, Told, Truth
from broker.reconcile.presence import NodeReport
from broker.testing.factories import CONTROLLER
from tests.core import Core, real_secret

IDLE = NodeReport(online=True, accepting=True, busy=False, uses=0)
STARTING = replace(IDLE, online=False)


class Jenkins:
    """What a controller knows; killed and started again it knows nothing."""

    def __init__(self, core: Core, name: ControllerName = CONTROLLER) -> None:
        self.core, self.name = core, name
        self.boot = BootId(secrets.token_hex(4))
        self.nodes: dict[AgentName, NodeReport] = {}
        self.unanswered: dict[AgentName, Asked] = {}
        self.queued: dict[PolicyName, int] = {}
        self.refused: list[str] = []
        self.last: Truth | None = None

    async def exchange(self) -> Truth:
        """A sync, what it asks for, and a sync that says so."""
        await self.sync()
        await self.ask()
        return await self.sync()

    async def sync(self, *, reply_comes: bool = True) -> Truth:
        told = Told(boot_id=self.boot, nodes=dict(self.nodes), pending=list(self.unanswered), queued=self.queued)
        truth = await self.core.intake.sync(self.name, told)
        if reply_comes:
            self.take(truth)
        await self.core.settle()
        return truth

    def take(self, truth: Truth) -> None:
        """What Jenkins does with a reply; also with one that came before, or late."""
        self.last = truth
        for kept in truth.kept:
            self.nodes.setdefault(kept.agent.name, replace(STARTING, uses=kept.agent.uses))
        for agent in truth.removed:
            self.nodes.pop(agent.name, None)
        for name in truth.unknown:
            if name not in self.unanswered:
                self.nodes.pop(name, None)
        for wish in truth.wishes:
            for _ in range(wish.count):
                self.plan(wish)

    def plan(self, wish: Wish) -> None:
        name = AgentName(f"w-{secrets.token_hex(4)}")
        cause = "manual" if wish.launch_id else "warm"
        self.unanswered[name] = Asked(
            name=name, policy=wish.policy, secret=real_secret(name), cause=cause, launch_id=wish.launch_id or ""
        )
        self.nodes[name] = STARTING

    async def ask(self, *, request_comes: bool = True, reply_comes: bool = True) -> None:
        if not self.unanswered or not request_comes:
            return
        answers = await self.core.intake.accept(self.name, self.boot, list(self.unanswered.values()))
        await self.core.settle()
        for answer in answers if reply_comes else ():
            self.unanswered.pop(AgentName(answer.name), None)
            if answer.reason is not None:
                self.refused.append(f"{answer.reason}: {answer.message}")
                self.nodes.pop(AgentName(answer.name), None)

    async def queue(self, name: str, policy: str = "linux") -> None:
        """A build waits, and an agent is asked for it."""
        self.queued[PolicyName(policy)] = self.queued.get(PolicyName(policy), 0) + 1
        asked = Asked(name=name, policy=policy, secret=real_secret(name))
        await self.core.intake.accept(self.name, self.boot, [asked])
        self.nodes[AgentName(name)] = STARTING

    async def come_online(self) -> None:
        """All that were launched connect."""
        await self.core.advance(1)
        for agent in await self.core.ctx.agents.live(self.name):
            if agent.phase is Phase.CONNECTING:
                self.core.sessions.connect(agent)
                self.nodes[agent.name] = IDLE
        await self.sync()
        await self.sync()

    def begin(self, name: AgentName, uses: int = 1) -> None:
        self.nodes[name] = NodeReport(online=True, accepting=False, busy=True, uses=uses)

    async def release(self, name: AgentName, why: Reason = Reason.COMPLETED) -> None:
        uses = self.nodes.pop(name, IDLE).uses
        outcome = Outcome.CANCELLED if why is Reason.CANCELLED else Outcome.SUCCEEDED
        given = Release(name=name, outcome=outcome, why=why, message="", uses=uses)
        await self.core.intake.release(self.name, self.boot, [given])
        await self.core.advance(3)

    def restart(self) -> None:
        """kill -9: the queue, the nodes and what was under way are forgotten."""
        self.boot = BootId(secrets.token_hex(4))
        self.nodes.clear()
        self.unanswered.clear()
        self.queued.clear()
        self.last = None

    async def agents(self) -> list[Agent]:
        return await self.core.ctx.agents.live(self.name)

    async def warm(self) -> int:
        return sum(agent.cause == "warm" for agent in await self.agents())

    def kept(self) -> set[AgentName]:
        assert self.last is not None
        return {kept.agent.name for kept in self.last.kept if kept.keep_warm}


def wishes(truth: Truth) -> list[tuple[str, int]]:
    return [(wish.policy, wish.count) for wish in truth.wishes]
