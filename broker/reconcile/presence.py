"""What Jenkins told last, and whether it is there to be believed. In memory: a restarted broker waits for a sync."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from broker.domain.ids import AgentId, AgentName, BootId, ControllerName
from broker.ports import Clock

AWAY_AFTER_S: Final = 10.0
"""A controller that was not heard for so long is away. It syncs every `SYNC_INTERVAL_S`."""
SYNC_INTERVAL_S: Final = 2.0
SILENT_S: Final = 3600.0
"""For so long after our start a controller that has not told its nodes may have any; and for so long a node that nobody
knows is thought of. Jenkins is told to drop it unless its agent is connected, and a connected one is no orphan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeReport:
    """One node as Jenkins told it in a sync."""

    online: bool
    accepting: bool
    busy: bool
    uses: int
    offline_cause: str = ""
    """In Jenkins' words; empty while it is online, or where Jenkins gives none."""
    build_url: str = ""
    """Of the build that it runs, else of one that waits for it though it was asked for for another; may be empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """When a controller was heard: `connected_since` begins anew with each boot and after each time away."""

    boot_id: BootId
    connected_since: datetime
    last_heard_at: datetime
    away: bool
    synced: bool
    client_version: str = ""
    """Of the files in Jenkins, as its last handshake said; empty before."""


@dataclass(slots=True)
class _Controller:
    boot_id: BootId
    heard_at: float
    connected_at: float
    synced: bool = False
    nodes: dict[AgentId, NodeReport] = field(default_factory=dict)
    was_online: set[AgentId] = field(default_factory=set)
    strangers: dict[AgentName, float] = field(default_factory=dict)
    client_version: str = ""


class Presence:
    """The controllers as they were last heard."""

    def __init__(self, clock: Clock) -> None:
        """Nobody was heard yet."""
        self._clock = clock
        self._since = clock.monotonic()
        self._controllers: dict[ControllerName, _Controller] = {}
        self._news = asyncio.Event()

    def heard(self, controller: ControllerName, boot_id: BootId) -> bool:
        """Notes a call; tells whether the controller was away or is a new boot. A new boot has told nothing yet."""
        known = self._controllers.get(controller)
        news = known is None or known.boot_id != boot_id or self.away(controller)
        if known is None or known.boot_id != boot_id:
            now = self._clock.monotonic()
            self._controllers[controller] = _Controller(boot_id, now, now)
        else:
            known.heard_at = self._clock.monotonic()
            known.connected_at = known.heard_at if news else known.connected_at
        if news:
            self._tell()
        return news

    def heard_of(self, controller: ControllerName) -> Heard | None:
        """When the controller was heard, for people; None if never since our start."""
        known = self._controllers.get(controller)
        if known is None:
            return None
        now, monotonic = self._clock.now(), self._clock.monotonic()
        return Heard(
            boot_id=known.boot_id,
            connected_since=now - timedelta(seconds=monotonic - known.connected_at),
            last_heard_at=now - timedelta(seconds=monotonic - known.heard_at),
            away=self.away(controller),
            synced=self.synced(controller),
            client_version=known.client_version,
        )

    def greeted(self, controller: ControllerName, client_version: str) -> bool:
        """Notes the version of the files in Jenkins; tells whether it is news. After `heard`."""
        known = self._controllers[controller]
        news = known.client_version != client_version
        known.client_version = client_version
        return news

    def told(
        self,
        controller: ControllerName,
        boot_id: BootId,
        nodes: dict[AgentId, NodeReport],
        strangers: frozenset[AgentName] = frozenset(),
    ) -> set[AgentId]:
        """Notes the nodes of a sync, and those whose agents nobody knows; returns the agents with a new report.

        A sync that was on its way when a newer boot was heard says nothing of that boot.
        """
        known = self._controllers[controller]
        if known.boot_id != boot_id:
            return set()
        if not known.synced:
            self._tell()
        changed = {a for a in known.nodes.keys() | nodes.keys() if known.nodes.get(a) != nodes.get(a)}
        known.nodes, known.synced, now = nodes, True, self._clock.monotonic()
        known.strangers = {name: known.strangers.get(name, now) for name in strangers}
        known.was_online |= {agent for agent, report in nodes.items() if report.online}
        known.was_online &= nodes.keys()
        return changed

    def next_news(self) -> asyncio.Event:
        """Set when a controller is back, is a new boot, or has told its nodes. Taken before a look, it misses none."""
        return self._news

    async def wait(self, news: asyncio.Event, until: float) -> bool:
        """Whether there is news before a monotonic time."""
        if until <= self._clock.monotonic():
            return False
        async with asyncio.TaskGroup() as group:
            sleeping = group.create_task(self._clock.sleep_until(until), name="presence:until")
            waiting = group.create_task(news.wait(), name="presence:news")
            await asyncio.wait({sleeping, waiting}, return_when=asyncio.FIRST_COMPLETED)
            sleeping.cancel()
            waiting.cancel()
        return news.is_set()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    def may_have_strangers(self, controllers: Iterable[ControllerName]) -> bool:
        """Whether an agent that nobody knows may be a node of one of these controllers.

        It may if one told of nodes that nobody knows (a restored backup has forgotten their agents), or has told none
        of its nodes since our start; neither counts for longer than `SILENT_S`.
        """
        since = self._clock.monotonic() - SILENT_S
        for known in map(self._controllers.get, controllers):
            if self._since > since and (known is None or not known.synced):
                return True
            if known is not None and any(told_at > since for told_at in known.strangers.values()):
                return True
        return False

    def away(self, controller: ControllerName) -> bool:
        """Whether the controller is not there: never heard since our start, or silent for `AWAY_AFTER_S`."""
        known = self._controllers.get(controller)
        return known is None or self._clock.monotonic() - known.heard_at > AWAY_AFTER_S

    def silent_s(self, controller: ControllerName) -> float:
        """For how many seconds the controller was not heard, our start counting as the first time."""
        known = self._controllers.get(controller)
        return self._clock.monotonic() - (known.heard_at if known else self._since)

    def synced(self, controller: ControllerName) -> bool:
        """Whether the controller is there and has told its nodes since it booted and since we started."""
        known = self._controllers.get(controller)
        return known is not None and known.synced and not self.away(controller)

    def node(self, controller: ControllerName, agent: AgentId) -> NodeReport | None:
        """The last report of an agent's node; None if Jenkins has told of none."""
        known = self._controllers.get(controller)
        return known.nodes.get(agent) if known else None

    def was_online_this_boot(self, controller: ControllerName, agent: AgentId) -> bool:
        """Whether the agent's node was ever online since the controller booted."""
        known = self._controllers.get(controller)
        return known is not None and agent in known.was_online
