"""How many calls hosts on Alibaba Cloud ECS cost, in a burst and when nothing happens: on the strict fake.

The core, the backend and the SDK are the real ones, over HTTP; time is virtual, and Jenkins, hosts and agents are
played. All counts are of the fake's own ledger. Beside them: how full hosts get, how fast real ones are prepared over
SSH, and what the SDK costs in memory.
"""

import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

import structlog

from broker.demo.clouds.ledger import Ledger
from broker.domain.host import HostPhase
from broker.domain.ids import HostId
from broker.domain.reason import Reason
from tests.benchmarks import ali_memory, on_hosts, ssh_hosts
from tests.benchmarks.ali_machines import PREPARE_S, SHOWS_S, SSHD_S
from tests.benchmarks.ali_plugin import AGENTS as PLUGIN_AGENTS
from tests.benchmarks.ali_plugin import plugin_calls, plugin_idle_calls
from tests.benchmarks.ali_world import AGENTS_PER_HOST, BOOT_S, DELETION_S, IDLE, World, ali_world
from tests.benchmarks.figures import Benchmark, Figure
from tests.benchmarks.played import BUILD_S

BURST: Final = 1000
IDLE_HOSTS: Final = 100
IDLE_FROM_S: Final = 1800.0
IDLE_FOR_S: Final = 3.3 * 3600.0
"""From one release time that is put off to the next it is 3 to 3.6 hours: in so long each is put off about once."""
NOTICES: Final = 12
NOTICE_EVERY_S: Final = 64.5
"""So that they come at all times of a round of looks."""
_LIMIT_S: Final = 7200.0


async def burst(agents: int = BURST, host_key: str = "accept-new") -> tuple[float, str]:
    """Calls for each of so many agents at once, until all their hosts are gone; and what they were."""
    with tempfile.TemporaryDirectory(prefix="agentbroker-bench-") as folder:
        async with ali_world(Path(folder), host_key=host_key) as world:
            began = time.monotonic()
            await world.ask(agents)
            await world.until(lambda: world.done == agents, _LIMIT_S)
            built, hosts = world.clock.monotonic(), len(world.core.ctx.known.rows)
            await world.until(world.all_gone, _LIMIT_S)
            took = f"{world.clock.monotonic():.0f} virtual seconds in {time.monotonic() - began:.0f} s"
            assert not world.fake.ecs.living, "an instance is left"
            how = f"on {hosts} hosts, {AGENTS_PER_HOST} each; all builds done after {built:.0f} s; {took}"
            return len(world.ledger) / agents, f"{how}; {_told(world.ledger)}"


async def idle(
    hosts: int = IDLE_HOSTS, from_s: float = IDLE_FROM_S, for_s: float = IDLE_FOR_S, notices: int = NOTICES
) -> tuple[float, float, str]:
    """Calls for each host and hour in which nothing happens; the longest until a notice is seen; and what they were."""
    with tempfile.TemporaryDirectory(prefix="agentbroker-bench-") as folder:
        async with ali_world(Path(folder), fewest=hosts, agents_s=10.0) as world:
            await world.until(lambda: len(world.hosts(HostPhase.READY)) == hosts, _LIMIT_S)
            await world.rest(from_s)
            world.ledger.clear()
            await world.rest(for_s)
            calls, told = len(world.ledger), _told(world.ledger)
            seen = [await _notice(world, n) for n in range(notices)]
    return calls / hosts / (for_s / 3600.0), max(seen), told


async def _notice(world: World, n: int) -> float:
    """How long until the broker knows that the cloud takes a host back."""
    before = {host.id for host in world.hosts(HostPhase.READY)}
    host = next(host for host in world.hosts(HostPhase.READY) if host.ref is not None)
    assert host.ref is not None
    world.fake.ecs.interrupt(host.ref)
    began = world.clock.monotonic()
    await world.until(lambda: not _takes_agents(world, host.id), _LIMIT_S)
    seen = world.clock.monotonic() - began
    told = await world.core.ctx.hosts.get(host.id)
    assert told.why is Reason.SPOT_INTERRUPTED, told
    await world.until(lambda: len(world.hosts(HostPhase.READY)) == len(before), _LIMIT_S)
    await world.rest(NOTICE_EVERY_S + n * 2.5)
    return seen


def _takes_agents(world: World, host: HostId) -> bool:
    return any(one.id == host for one in world.hosts(HostPhase.READY))


def _told(ledger: Ledger) -> str:
    counts = ", ".join(f"{count} {action}" for action, count in ledger.by_action().most_common())
    refused = ledger.count() - ledger.count(code="")
    words = f"{counts}; {refused} refused" if refused else counts
    return f"{words}; the fake's own problems: {len(ledger.problems)}" if ledger.problems else words


async def _plugin() -> Mapping[str, Figure]:
    calls = await plugin_calls()
    how = (
        f"{PLUGIN_AGENTS} agents of the plugin's own sequence, each on a host of its own for 30 minutes: {dict(calls)}"
    )
    each = "one host, each minute of an hour: 2 for its retention, and 1 in 10 minutes for the sweep; DescribeRegions, "
    each += "once a minute and cloud, is left out"
    return {
        "calls_per_agent_plugin": _figure(sum(calls.values()) / PLUGIN_AGENTS, "calls", "about 83", how),
        "calls_per_idle_host_hour_plugin": _figure(float(await plugin_idle_calls()), "calls", "126", each),
    }


async def _idle() -> Mapping[str, Figure]:
    value, seen, told = await idle()
    how = f"{IDLE_HOSTS} hosts on spot capacity, kept without agents, over {IDLE_FOR_S / 3600:g} virtual hours: {told}"
    notices = f"the longest of {NOTICES}, at all times of a round of looks, until the host takes no agents more"
    return {
        "calls_per_idle_host_hour": _figure(value, "calls", "<= 2", how),
        "spot_notice_seen_s": _figure(seen, "s", "<= 30", notices),
    }


async def _accept_new() -> Mapping[str, Figure]:
    return await _burst("accept-new", "<= 0.6")


async def _from_console() -> Mapping[str, Figure]:
    return await _burst("from-console", "<= 1.2")


async def _burst(host_key: str, target: str) -> Mapping[str, Figure]:
    value, told = await burst(host_key=host_key)
    how = (
        f"{BURST} agents asked for at once, each for one build of {BUILD_S:g} s, with host_key {host_key}; hosts are "
        f"Running after {BOOT_S:g} s, let somebody in {SSHD_S:g} s later, show their keys after {SHOWS_S:g} s, are "
        f"prepared in {PREPARE_S:g} s, idle for {IDLE.total_seconds() / 60:g} minutes and listed for {DELETION_S:g} s "
        f"more: {told}"
    )
    return {f"calls_per_agent_burst_{host_key.replace('-', '_')}": _figure(value, "calls", target, how)}


async def _memory() -> Mapping[str, Figure]:
    return await ali_memory.figures()


async def _hosts() -> Mapping[str, Figure]:
    return await on_hosts.hosts_vs_lower_bound()


async def _prepared() -> Mapping[str, Figure]:
    return await ssh_hosts.SSH_HOSTS.run()


PARTS: Final[Mapping[str, Callable[[], Awaitable[Mapping[str, Figure]]]]] = {
    "plugin": _plugin,
    "memory": _memory,
    "hosts": _hosts,
    "prepared": _prepared,
    "idle": _idle,
    "accept-new": _accept_new,
    "from-console": _from_console,
}


def _figure(value: float, unit: str, target: str, how: str) -> Figure:
    return Figure(value=round(value, 4), unit=unit, target=target, how=how)


def alibaba_ecs(parts: tuple[str, ...] = tuple(PARTS)) -> Benchmark:
    """Some of its figures, or all."""

    async def run() -> Mapping[str, Figure]:
        """One part after the other."""
        figures: dict[str, Figure] = {}
        for name in parts:
            began = time.monotonic()
            with structlog.testing.capture_logs():
                figures |= await PARTS[name]()
            print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        return figures

    return Benchmark(
        name="alibaba-ecs",
        summary="calls to Alibaba Cloud for each agent and idle host, hosts used, time to prepare them, memory",
        run=run,
    )
