"""How many calls an agent on Amazon ECS costs, and how fast a quota lets agents be launched: on the strict fake.

The core, the backend and the SDK are the real ones, over HTTP; time is virtual, and Jenkins and the agents are played.
All counts are of the fake's own ledger.
"""

import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import structlog

from broker.demo.clouds.ledger import Ledger
from broker.demo.clouds.throttles import FARGATE_RUN
from broker.domain.ids import AgentId
from tests.benchmarks.ecs_plugin import AGENTS as PLUGIN_AGENTS
from tests.benchmarks.ecs_plugin import plugin_calls
from tests.benchmarks.ecs_world import World, ecs_world
from tests.benchmarks.figures import Benchmark, Figure

BURST: Final = 1000
TRICKLE: Final = 40
TRICKLE_EVERY_S: Final = 10.0
HALVED: Final = 1000
HALVED_RATE: Final = 10.0
WINDOW: Final = 200
WINDOW_S: Final = 45.0
REGISTERED: Final = 100
DEATHS: Final = 10
_LIMIT_S: Final = 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Launches:
    """The calls of RunTask: when each came, in seconds, and whether it was refused for its rate."""

    at: Sequence[float]
    throttled: Sequence[bool]

    @classmethod
    def of(cls, ledger: Ledger) -> "Launches":
        """Those of a ledger."""
        calls = ledger.of("RunTask")
        first: datetime | None = calls[0].at if calls else None
        times = [(call.at - first).total_seconds() if first is not None else 0.0 for call in calls]
        return cls(at=times, throttled=[call.code == "ThrottlingException" for call in calls])

    @property
    def took_s(self) -> float:
        """From the first one to the last one that was accepted."""
        return max((at for at, refused in zip(self.at, self.throttled, strict=True) if not refused), default=0.0)

    @property
    def accepted(self) -> int:
        """How many were not refused."""
        return self.throttled.count(False)

    @property
    def refused_share(self) -> float:
        """Of all."""
        return self.throttled.count(True) / len(self.throttled) if self.throttled else 0.0


def ideal_s(launches: int, rate: float, burst: float) -> float:
    """How long a full token bucket needs for so many, at the least."""
    return max(0.0, launches - burst) / rate


def efficiency(launches: Launches, rate: float, burst: float) -> float:
    """The ideal time as a part of the real one; 1 where neither is any."""
    ideal = ideal_s(launches.accepted, rate, burst)
    return ideal / launches.took_s if launches.took_s else 1.0


def per_agent(ledger: Ledger, agents: int) -> float:
    """All calls, whatever of, for each agent."""
    return len(ledger) / agents


def _told(ledger: Ledger) -> str:
    counts = ", ".join(f"{count} {action}" for action, count in ledger.by_action().most_common())
    problems = f"; the fake's own problems: {len(ledger.problems)}" if ledger.problems else ""
    return counts + problems


async def _burst() -> Mapping[str, Figure]:
    with tempfile.TemporaryDirectory(prefix="agentbroker-bench-") as folder:
        async with ecs_world(Path(folder)) as world:
            began = time.monotonic()
            await world.ask(BURST)
            await world.until(world.all_gone, _LIMIT_S)
            ledger, launches = world.fake.ledger, Launches.of(world.fake.ledger)
            took = f"{world.clock.monotonic():.0f} virtual seconds in {time.monotonic() - began:.0f} s"
    quota = world.fake.throttles.quotas[FARGATE_RUN]
    share = efficiency(launches, quota.rate, quota.burst)
    how = (
        f"{BURST} agents asked for at once, each for one build of 120 s, on Fargate in three zones; tasks 53 to 62 s "
        f"to RUNNING; from the first call to the last STOPPED: {_told(ledger)}; {took}"
    )
    launched = (
        f"{launches.accepted} RunTasks in {launches.took_s:.1f} s; the quota of {quota.burst:g} and then "
        f"{quota.rate:g} a second would let them in {ideal_s(launches.accepted, quota.rate, quota.burst):.1f} s; "
        f"{launches.refused_share:.1%} of the calls throttled"
    )
    refused = f"of {len(launches.at)} calls of RunTask in that burst"
    return {
        "calls_per_agent_burst_env": _figure(per_agent(ledger, BURST), "calls", "<= 2.0", how),
        "launch_rate_efficiency": _figure(share, "ratio", ">= 0.97", launched),
        "throttled_replies": _figure(launches.refused_share, "ratio", "<= 0.01", refused),
    }


async def _plugin() -> Mapping[str, Figure]:
    calls = await plugin_calls()
    how = f"{PLUGIN_AGENTS} agents of the plugin's own sequence, template unchanged: {dict(calls)}"
    return {"calls_per_agent_plugin": _figure(sum(calls.values()) / PLUGIN_AGENTS, "calls", "about 65", how)}


async def _trickle() -> Mapping[str, Figure]:
    with tempfile.TemporaryDirectory(prefix="agentbroker-bench-") as folder:
        async with ecs_world(Path(folder)) as world:
            for _ in range(TRICKLE):
                await world.ask(1)
                next_at = world.clock.monotonic() + TRICKLE_EVERY_S
                await world.until(lambda until=next_at: world.clock.monotonic() >= until)  # type: ignore[misc]
            await world.until(world.all_gone, _LIMIT_S)
            how = f"{TRICKLE} agents, one each {TRICKLE_EVERY_S:g} s: {_told(world.fake.ledger)}"
            value = per_agent(world.fake.ledger, TRICKLE)
    return {"calls_per_agent_trickle": _figure(value, "calls", "<= 8", how)}


async def _launched(world: World, count: int) -> Launches:
    """Asks for so many, and waits until all are launched; a build that fails would never be."""
    await world.ask(count)
    await world.until(lambda: Launches.of(world.fake.ledger).accepted >= count, _LIMIT_S)
    return Launches.of(world.fake.ledger)


async def _halved() -> Mapping[str, Figure]:
    with tempfile.TemporaryDirectory(prefix="agentbroker-bench-") as folder:
        async with ecs_world(Path(folder), run_rate=HALVED_RATE, run_burst=HALVED_RATE) as world:
            launches = await _launched(world, HALVED)
    share = efficiency(launches, HALVED_RATE, HALVED_RATE)
    how = (
        f"{HALVED} agents while the account's quota is half of what is documented ({HALVED_RATE:g} a second, as many "
        f"at once): {launches.took_s:.1f} s; {launches.refused_share:.1%} of the calls throttled"
    )
    return {"launch_rate_efficiency_halved": _figure(share, "ratio", ">= 0.9", how)}


async def _window() -> Mapping[str, Figure]:
    """The same launches with and without a time in which every call is throttled."""
    counts: list[int] = []
    for throttled in (False, True):
        with tempfile.TemporaryDirectory(prefix="agentbroker-bench-") as folder:
            async with ecs_world(Path(folder)) as world:
                quota = world.fake.throttles.quotas[FARGATE_RUN]
                opens = world.clock.monotonic() + WINDOW_S
                if throttled:
                    world.fake.throttles.limit(FARGATE_RUN, burst=0, rate=0)
                await world.ask(WINDOW)
                while throttled and world.clock.monotonic() < opens:
                    await world.step()
                world.fake.throttles.limit(FARGATE_RUN, burst=quota.burst, rate=quota.rate)
                await world.until(lambda: Launches.of(world.fake.ledger).accepted >= WINDOW, _LIMIT_S)
                counts.append(len(Launches.of(world.fake.ledger).at))
                assert len(await world.core.phases()) == WINDOW, "a build has failed"
    without, with_it = counts
    how = (
        f"{WINDOW} agents, while every RunTask is throttled for {WINDOW_S:g} s: {with_it} calls of RunTask, {without} "
        "without; no build failed"
    )
    return {"throttle_amplification": _figure(with_it / without, "ratio", "<= 1.1", how)}


async def _registrations() -> Mapping[str, Figure]:
    with tempfile.TemporaryDirectory(prefix="agentbroker-bench-") as folder:
        async with ecs_world(Path(folder)) as world:
            await _launched(world, REGISTERED)
            registered = world.fake.ledger.count("RegisterTaskDefinition")
    how = f"calls of RegisterTaskDefinition for {REGISTERED} agents of one template, asked for at once"
    return {"registrations_per_100_launches": _figure(float(registered), "calls", "1", how)}


async def _death() -> Mapping[str, Figure]:
    """Containers that end as soon as they run, and before their agents connect."""
    died: dict[AgentId, float] = {}
    noticed: dict[AgentId, float] = {}
    with tempfile.TemporaryDirectory(prefix="agentbroker-bench-") as folder:
        async with ecs_world(Path(folder)) as world:
            await world.ask(DEATHS)
            while len(noticed) < DEATHS:
                await world.step()
                for agent_id in [one for one in world.waiting if one not in died]:
                    del world.waiting[agent_id]
                    died[agent_id] = world.clock.monotonic()
                    world.fake.ecs.stop(world.instance_of[agent_id], exit_code=137)
                for agent_id in died.keys() - noticed.keys():
                    events = await world.core.ctx.history.of_agent(agent_id)
                    if any(event.event == "failed" for event in events):
                        noticed[agent_id] = world.clock.monotonic() - died[agent_id]
                assert world.clock.monotonic() < _LIMIT_S, await world.story()
    seen = sorted(noticed.values())
    how = f"{DEATHS} containers that end as they come to RUNNING; until the attempt has failed, {seen[0]:g} s at best"
    return {"death_noticed_s": _figure(seen[-1], "s", "<= 6", how)}


def _figure(value: float, unit: str, target: str, how: str) -> Figure:
    return Figure(value=round(value, 4), unit=unit, target=target, how=how)


async def run() -> Mapping[str, Figure]:
    """All of them, one after the other."""
    with structlog.testing.capture_logs():
        figures: dict[str, Figure] = {}
        for part in (_plugin, _registrations, _death, _window, _halved, _trickle, _burst):
            began = time.monotonic()
            figures |= await part()
            print(f"{part.__name__}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return figures


AMAZON_ECS: Final = Benchmark(
    name="amazon-ecs",
    summary="calls to Amazon ECS for each agent, and how fast a quota lets agents be launched",
    run=run,
)
