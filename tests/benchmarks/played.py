"""Jenkins and agents, played in virtual time around a broker's real core and backend on a fake cloud."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from broker.demo.clouds.ledger import Ledger
from broker.domain.asked import Asked
from broker.domain.ids import AgentId, AgentName
from broker.domain.lifecycle import Outcome, Phase
from broker.domain.reason import Reason
from broker.intake import Release
from broker.testing.clock import ManualClock
from broker.testing.factories import CONTROLLER
from tests.core import BOOT, Core, real_secret

BUILD_S: Final = 120.0
JVM_S: Final = 2.0
"""From the start of an agent to its first knock."""
LEAVES_S: Final = 1.5
"""From the end of its session until agent.jar has knocked, was told that its work is over, and has ended."""
STEP_S: Final = 0.5


@dataclass(slots=True)
class Played(ABC):
    """One cloud and one broker. `step` brings the time on; builds begin and end as it goes."""

    core: Core
    ledger: Ledger
    clock: ManualClock
    waiting: dict[AgentId, float] = field(default_factory=dict)
    """Agents that start, and when they knock."""
    building: dict[str, float] = field(default_factory=dict)
    """Names of agents whose builds run, and when those end."""
    leaving: dict[str, float] = field(default_factory=dict)
    """Instances whose agents leave, and when."""
    instance_of: dict[AgentId, str] = field(default_factory=dict)
    """What each agent's last attempt runs as: a task, say."""
    done: int = 0
    _number: int = 0
    _ended: int = 0

    @abstractmethod
    def started(self) -> Iterable[tuple[AgentId, str]]:
        """The agents that have started since the last call, with what they run as."""

    @abstractmethod
    def left(self, instance: str) -> None:
        """The agent that runs as this has ended by itself."""

    @abstractmethod
    def is_empty(self) -> bool:
        """Whether nothing of ours is in the cloud."""

    async def ask(self, count: int) -> None:
        """So many builds come, each with its agent."""
        names = [f"linux-{number:06d}" for number in range(self._number, self._number + count)]
        self._number += count
        asked = [Asked(name=n, policy="linux", secret=real_secret(n), label_expression="linux") for n in names]
        answers = await self.core.intake.accept(CONTROLLER, BOOT, asked)
        assert not any(answer.reason for answer in answers), answers[0]

    async def until(self, reached: Callable[[], bool], limit_s: float = 3600.0) -> None:
        """Steps until it is so."""
        end = self.clock.monotonic() + limit_s
        while not reached():
            assert self.clock.monotonic() < end, await self.story()
            await self.step()

    async def story(self) -> str:
        """How far it has come, for who wonders."""
        phases = list((await self.core.phases()).values())
        counts = {phase.value: phases.count(phase) for phase in set(phases)}
        return f"not reached: {counts}, {self.done} done, calls {dict(self.ledger.by_action())}"

    async def step(self) -> None:
        """Half a second."""
        await self.clock.advance(STEP_S)
        now = self.clock.monotonic()
        for agent_id, instance in self.started():
            self.instance_of[agent_id] = instance
            self.waiting[agent_id] = now + JVM_S
        changed = await self._connect(now)
        changed = await self._finish(now) or changed
        self._leave(now)
        if changed:
            await self.core.sync()

    async def _connect(self, now: float) -> bool:
        due = [agent_id for agent_id, at in self.waiting.items() if at <= now]
        for agent_id in due:
            del self.waiting[agent_id]
            agent = await self.core.ctx.agents.get(agent_id)
            self.core.sessions.connect(agent)
            self.core.says(agent.name, busy=True, uses=1)
            self.building[agent.name] = now + BUILD_S
        return bool(due)

    async def _finish(self, now: float) -> bool:
        due = [name for name, at in self.building.items() if at <= now]
        given = [
            Release(name=name, outcome=Outcome.SUCCEEDED, why=Reason.COMPLETED, message="", uses=1) for name in due
        ]
        for name in due:
            del self.building[name]
            self.core.nodes.pop(AgentName(name))
        if given:
            await self.core.intake.release(CONTROLLER, BOOT, given)
        self.done += len(due)
        return bool(due)

    def _leave(self, now: float) -> None:
        for agent_id, _ in self.core.sessions.ended[self._ended :]:
            self.leaving[self.instance_of[agent_id]] = now + LEAVES_S
        self._ended = len(self.core.sessions.ended)
        for instance in [instance for instance, at in self.leaving.items() if at <= now]:
            del self.leaving[instance]
            self.left(instance)

    def all_gone(self) -> bool:
        """Whether all builds have run and nothing of their agents is left in the cloud."""
        return self.done == self._number and not self.leaving and self.is_empty()

    async def is_over(self) -> bool:
        """Whether the broker knows it, too."""
        return self.all_gone() and all(phase is Phase.GONE for phase in (await self.core.phases()).values())
