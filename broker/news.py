"""What happens to the agents of a controller, from any number on, without end: the history, followed."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from typing import Final

from broker.domain.agent import Agent
from broker.domain.ids import AgentId, ControllerName, PoolName
from broker.domain.lifecycle import Outcome
from broker.errors import NotFound
from broker.reconcile.context import Context
from broker.store.history import Event

PAGE: Final = 256
"""So many events are in memory for one reader, however slow it is."""
PLACED: Final = "placed"
_MAY_END: Final = frozenset({"failed", "goal", "gone"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An event of an agent; `outcome` with the event that decides the agent's end, and with its last one.

    `usual` is, for one that was placed, how long agents of its pool take to come online: the median of an hour.
    """

    event: Event
    outcome: Outcome | None = None
    usual: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resync:
    """The history cannot be told from the asked number on: all events of the agents that now live follow."""

    newest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CaughtUp:
    """All up to this number has been told: whoever resumes here misses nothing."""

    number: int


class Woken(Enum):
    """Why a pause has ended: there may be news, or the reader has heard nothing for long."""

    NEWS = auto()
    BEAT = auto()


Item = Told | Resync | CaughtUp
Pause = Callable[[Awaitable[None]], Awaitable[Woken]]
"""Waits for news, for as long as the reader may be left without a word. Raises when it is to be told no more."""


class News:
    """Follows the history for one reader at a time; many may follow at once, and none keeps more than a page."""

    def __init__(self, ctx: Context) -> None:
        """Reads only."""
        self._ctx = ctx

    async def follow(self, controller: ControllerName, after: int, pause: Pause) -> AsyncGenerator[Item, None]:
        """All events of a controller's agents after a number, as they come, until `pause` raises.

        From 0, before the oldest kept or after the newest (a restored backup), it begins with `Resync` and the
        whole history of the agents that live. `CaughtUp` comes after each burst and after each pause.
        """
        history, position = self._ctx.history, after
        newest = await history.last_number()
        if not 0 < after <= newest or after + 1 < await history.first_number():
            yield Resync(newest=newest)
            async for told in self._of_living(controller, newest):
                yield told
            position = newest
            yield CaughtUp(number=position)
        while True:
            newest = await history.last_number()  # first: whatever is read next holds all up to there
            page = await history.after(position, controller=controller, limit=PAGE)
            for told in await self._with_outcomes(controller, page):
                yield told
            position = max([position, *(event.number for event in page[-1:])])
            if len(page) < PAGE:
                position = max(position, newest)
            if page:
                yield CaughtUp(number=position)
                continue
            if await pause(history.wait(position)) is Woken.BEAT:
                yield CaughtUp(number=position)

    async def _of_living(self, controller: ControllerName, newest: int) -> AsyncGenerator[Told, None]:
        for agent in await self._ctx.agents.live(controller):
            for event in await self._ctx.history.of_agent(agent.id):
                if event.number <= newest:
                    yield _told(event, agent, {})

    async def _with_outcomes(self, controller: ControllerName, page: list[Event]) -> list[Told]:
        ending = {event.agent_id for event in page if event.event in _MAY_END and event.agent_id is not None}
        agents = {agent_id: await self._agent(agent_id) for agent_id in ending}
        usual = self._ctx.starts.medians(self._ctx.clock.now()) if any(e.event == PLACED for e in page) else {}
        return [_told(e, agents.get(e.agent_id), usual) for e in page if e.agent_id is not None]  # others are of hosts

    async def _agent(self, agent_id: AgentId) -> Agent | None:
        try:
            return await self._ctx.agents.get(agent_id)
        except NotFound:
            return None


def _told(event: Event, agent: Agent | None, usual: Mapping[PoolName, timedelta]) -> Told:
    """A failed attempt is the end if it is the last; whatever else decides the end changes the goal."""
    ends = agent is not None and event.event in _MAY_END and event.attempt == agent.attempt
    takes = usual.get(event.pool) if event.event == PLACED and event.pool is not None else None
    return Told(event=event, outcome=agent.outcome if agent is not None and ends else None, usual=takes)
