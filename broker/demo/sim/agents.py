"""Simulated agents, thousands in one process: they get in, carry streams, come back, or misbehave.

What they run is nothing: a real controller, which asks an agent for its version first, never takes them for online.
"""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Iterable, Iterator
from enum import StrEnum
from typing import Final, Self

from broker.demo.agent import retry_waits
from broker.demo.sim.channels import Channel, Tap, pour
from broker.demo.sim.knocking import Opened, TurnedAway, is_there, knock
from broker.demo.sim.misbehaviour import Kind, Script, Step, end_by_close_notify
from broker.demo.sim.plans import AgentPlan, Transport
from broker.demo.sim.streams import Traffic, agents_seed
from broker.inbound.blocks import Malformed

_FAILURES: Final = (OSError, EOFError, Malformed, TimeoutError)
_PORT_RETRY_S: Final = 10.0
_LOOK_S: Final = 0.01


class State(StrEnum):
    """Where an agent is."""

    KNOCKING = "knocking"
    CONNECTED = "connected"
    REFUSED = "refused"
    """The other side has said why."""
    FAILED = "failed"
    """It did not get in, and nobody has said why."""
    ENDED = "ended"
    """Its session is over."""


class SimAgent:
    """One agent, and what has become of it."""

    __slots__ = (
        "_cookie",
        "_script",
        "_tap",
        "again",
        "channel",
        "plan",
        "refusals",
        "sessions",
        "state",
        "traffic",
        "why",
    )

    def __init__(self, plan: AgentPlan, tap: Tap) -> None:
        """Knocks when it is run."""
        self.plan = plan
        self.state = State.KNOCKING
        self.why = ""
        """The last refusal, failure or end, for people."""
        self.sessions = 0
        self.refusals = 0
        self.traffic = Traffic()
        """Of its last session."""
        self.again = ""
        """What a duplicate was told at its second connection."""
        self.channel: Channel | None = None
        """While it is connected."""
        self._cookie = ""
        self._tap = tap
        self._script = Script(plan.misbehaviour)

    async def run(self, gate: asyncio.Semaphore) -> None:
        """Lives as planned; `gate` bounds how many knock at once, but for those who misbehave."""
        waits = self._waits()
        while True:
            opened = await self._knock(gate)
            if opened is not None:
                try:
                    await self._serve(opened)
                finally:
                    opened.channel.wire.close()
                waits = self._waits()
            if not self.plan.comes_back:
                return
            if opened is None or self.plan.transport is Transport.TCP:
                await asyncio.sleep(next(waits) / self.plan.haste)
            if opened is not None and self.plan.url:
                await self._until_there()

    def _waits(self) -> Iterator[float]:
        if self.plan.transport is Transport.WEBSOCKET:
            return retry_waits()
        return iter(lambda: _PORT_RETRY_S, None)

    async def _until_there(self) -> None:
        for wait_s in self._waits():
            try:
                async with asyncio.timeout(self.plan.patience_s):
                    if await is_there(self.plan):
                        return
            except _FAILURES:
                pass
            await asyncio.sleep(wait_s / self.plan.haste)

    async def _knock(self, gate: asyncio.Semaphore) -> Opened | None:
        self.state = State.KNOCKING
        try:
            if self.plan.misbehaviour is not None:
                return await knock(self.plan, self._cookie)
            async with gate, asyncio.timeout(self.plan.patience_s):
                return await knock(self.plan, self._cookie)
        except TurnedAway as refusal:
            self.state, self.why = State.REFUSED, str(refusal)
            self.refusals += 1
        except _FAILURES as error:
            self.state, self.why = State.FAILED, _words(error)
        return None

    async def _serve(self, opened: Opened) -> None:
        self._cookie, self.channel = opened.cookie, opened.channel
        channel = opened.channel
        self.traffic = Traffic()
        self.sessions += 1
        self.state, self.why = State.CONNECTED, ""
        try:
            await self._script.at(Step.ACCEPTED, channel.wire)
            async with asyncio.TaskGroup() as group:
                asides = [group.create_task(aside, name=f"sim:{self.plan.name}") for aside in self._asides(channel)]
                while data := await channel.receive():
                    for piece in data:
                        self.traffic.received.add(piece)
                for aside in asides:
                    aside.cancel()
            self.why = "the other side has ended it"
        except* _FAILURES as errors:
            self.why = _words(errors.exceptions[0])
        finally:
            self.state, self.channel = State.ENDED, None

    def _asides(self, channel: Channel) -> Iterator[Coroutine[None, None, None]]:
        plan, script = self.plan, self._script
        if plan.stream_seed:
            seed = agents_seed(plan.stream_seed, plan.name)
            yield pour(channel, seed, self.traffic.sent, self._tap, plan.bytes_per_s)
        if script.is_(Kind.CLOSE_NOTIFY):
            yield end_by_close_notify(channel.wire, script.pause_s)
        if script.is_(Kind.DUPLICATE):
            yield self._come_twice()

    async def _come_twice(self) -> None:
        try:
            opened = await knock(self.plan, "")
            opened.channel.wire.close()
            self.again = "accepted"
        except TurnedAway as refusal:
            self.again = str(refusal)
        except _FAILURES as error:
            self.again = _words(error)


class Swarm:
    """Agents of one process, by name. A context: at its end all of them are gone, with a FIN."""

    def __init__(self, *, at_once: int = 100) -> None:
        """`at_once` bounds how many well-behaved agents knock at the same time."""
        self.agents: dict[str, SimAgent] = {}
        self._gate = asyncio.Semaphore(at_once)
        self._tap = Tap()
        self._group = asyncio.TaskGroup()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        """Nobody is there yet."""
        await self._group.__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """Ends all."""
        self.close()
        await self._group.__aexit__(kind, error, None)

    def start(self, plans: Iterable[AgentPlan]) -> None:
        """Starts agents; ValueError for a name that is there. They live until the context ends."""
        for plan in plans:
            if plan.name in self.agents:
                raise ValueError(f"there are two agents called {plan.name}")
            agent = self.agents[plan.name] = SimAgent(plan, self._tap)
            self._tasks.append(self._group.create_task(agent.run(self._gate), name=f"sim:{plan.name}"))

    def counts(self) -> Counter[State]:
        """How many agents are in each state."""
        return Counter(agent.state for agent in self.agents.values())

    async def until(self, state: State, count: int, *, within_s: float) -> None:
        """Waits until so many agents are in a state; TimeoutError says in which they are."""
        try:
            async with asyncio.timeout(within_s):
                while self.counts()[state] < count:  # noqa: ASYNC110  # a look at thousands, not one event
                    await asyncio.sleep(_LOOK_S)
        except TimeoutError:
            raise TimeoutError(
                f"not {count} {state} within {within_s} s: {dict(self.counts())}, {self._whys()}"
            ) from None

    def quiet(self) -> None:
        """No agent sends more of its stream; what is sent arrives still."""
        self._tap.open = False

    def hashes(self) -> dict[str, tuple[str, str]]:
        """What went up and what went down in each agent's last session. Equal to the other end's once all is quiet."""
        return {name: (a.traffic.sent.digest, a.traffic.received.digest) for name, a in self.agents.items()}

    def close(self) -> None:
        """Ends all agents."""
        for task in self._tasks:
            task.cancel()

    def _whys(self) -> dict[str, int]:
        return dict(Counter(agent.why for agent in self.agents.values() if agent.why).most_common(3))


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__
